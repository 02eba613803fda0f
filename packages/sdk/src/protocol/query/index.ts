export { type AmountForm, amountStart, readAmount } from "./amounts.ts";
export * from "./ast.ts";
export {
  type ConditionField,
  compares,
  containsText,
  equalsText,
  exists,
  isBetween,
  matchesPattern,
} from "./conditions.ts";
export { evaluate, type QueriedEntry } from "./evaluate.ts";
export { readIntegerBound } from "./large-integers.ts";
export { elementsEqualTo, listElementPattern, listPattern, readingsOf } from "./lists.ts";
export { type ParsedQuery, parseQuery } from "./parse.ts";
export { printRegex, type Regex } from "./regex.ts";
export { StepLimitError, StepMeter } from "./steps.ts";
export {
  caseVariants,
  decimalText,
  fold,
  integerPattern,
  numberPattern,
  readNumber,
  sanitizeText as storable,
} from "./text.ts";
