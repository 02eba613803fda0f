type Parse = (text: string, before: unknown) => unknown;

const repeatable = new WeakSet<object>();

/** Declares that an option with this parser may be given several times: the parser gets the value before. */
export function mayRepeat<P extends object>(parse: P): P {
  repeatable.add(parse);
  return parse;
}

/** Every other option that takes a value is refused when it is given twice (program.ts). */
export function isRepeatable(parse: Parse | undefined): boolean {
  return parse !== undefined && repeatable.has(parse);
}

/** Each value as it is. */
export const collectTexts = mayRepeat((text: string, before: readonly string[] = []): readonly string[] => [
  ...before,
  text,
]);

/** What stands between the commas of all values. */
export const collectList = mayRepeat((text: string, before: readonly string[] = []): readonly string[] => [
  ...before,
  ...text.split(",").map((entry) => entry.trim()),
]);
