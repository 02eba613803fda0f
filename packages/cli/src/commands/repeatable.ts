type Parse = (text: string, before: unknown) => unknown;

const repeatable = new WeakSet<object>();

/** Declares that an option with this parser may be repeated. The parser receives the previous value. */
export function mayRepeat<P extends object>(parse: P): P {
  repeatable.add(parse);
  return parse;
}

/** Returns true if the option may be repeated. Other options that take a value may not (program.ts). */
export function isRepeatable(parse: Parse | undefined): boolean {
  return parse !== undefined && repeatable.has(parse);
}

/** Collects each value unchanged. */
export const collectTexts = mayRepeat((text: string, before: readonly string[] = []): readonly string[] => [
  ...before,
  text,
]);

/** Collects the comma-separated items of all values. */
export const collectList = mayRepeat((text: string, before: readonly string[] = []): readonly string[] => [
  ...before,
  ...text.split(",").map((entry) => entry.trim()),
]);
