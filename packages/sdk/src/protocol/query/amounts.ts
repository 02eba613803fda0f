/** Durations and byte sizes in text, which ranges compare by their amount. */
export interface AmountForm {
  /**
   * A regular expression that JavaScript, PostgreSQL and RE2 read alike. Its groups are the sign and then one decimal
   * number for each of `factors`. Its lengths keep every sum within a double, so that no cast can fail.
   */
  readonly pattern: string;
  /** What one of each unit is worth: in nanoseconds, or in bytes. */
  readonly factors: readonly number[];
}

const number = "([0-9]{1,15}(?:[.][0-9]{1,15})?)";

function formOf(join: "all" | "one", units: readonly (readonly [unit: string, factor: number])[]): AmountForm {
  const parts = units.map(([unit]) => `${number} ?${unit}`);
  const body = join === "one" ? `(?:${parts.join("|")})` : parts.map((part) => `(?:${part} ?)?`).join("");
  return { pattern: `^(-?)${body}$`, factors: units.map(([, factor]) => factor) };
}

const second = 1e9;

/** `1.5s`, `90 ms`, and of several units, as Go writes them: `1h2m0.5s`. */
const duration = formOf("all", [
  ["d", 86_400 * second],
  ["h", 3_600 * second],
  ["m", 60 * second],
  ["s", second],
  ["ms", 1e6],
  ["(?:u|\u00b5|\u03bc)s", 1e3],
  ["ns", 1],
]);

/** `10KB`, `1.5 MiB`, `512B`. Without case, but for the lone `B`. */
const size = formOf("one", [
  ["B", 1],
  ...["[kK]", "[mM]", "[gG]", "[tT]"].flatMap((prefix, index): readonly (readonly [string, number])[] => [
    [`${prefix}[bB]`, 1000 ** (index + 1)],
    [`${prefix}[iI][bB]`, 1024 ** (index + 1)],
  ]),
]);

const forms = [duration, size].map((form) => ({ form, expression: new RegExp(form.pattern) }));

/** Every amount begins like this. Without this check, an empty text would be a duration. */
export const amountStart = "^-?[0-9]";
const start = new RegExp(amountStart);

/** The form and the amount of a text such as `100ms` or `5KB`; undefined for any other text. */
export function readAmount(text: string): { readonly form: AmountForm; readonly amount: number } | undefined {
  if (!start.test(text)) return undefined;
  for (const { form, expression } of forms) {
    const match = expression.exec(text);
    if (match) return { form, amount: amountOf(form, match) };
  }
  return undefined;
}

/** Added up in the order of the units, as the compilers do: so all of them get the same double. */
function amountOf({ factors }: AmountForm, [, sign, ...numbers]: readonly (string | undefined)[]): number {
  const sum = factors.reduce((total, factor, index) => total + Number(numbers[index] ?? 0) * factor, 0);
  return sign === "-" ? -sum : sum;
}
