import type { Comparison } from "./ast.ts";
import { readInteger, readNumber } from "./text.ts";

/** The bound of a range that is an integer beyond 2^53: texts of integers are compared with it digit by digit. */
interface IntegerBound {
  readonly integer: bigint;
  /** The nearest double, and the operator by which a double has to be compared with it instead. */
  readonly nearest: number;
  readonly operator: Comparison;
}

/** Undefined for a bound that doubles compare rightly, and for one that is no integer. */
export function readIntegerBound(operator: Comparison, value: string): IntegerBound | undefined {
  const nearest = readNumber(value);
  if (nearest === undefined || Math.abs(nearest) <= Number.MAX_SAFE_INTEGER) return undefined;
  const integer = readInteger(value);
  if (integer === undefined) return undefined;
  const nearestPasses = isInRange(operator, compareIntegers(BigInt(nearest), integer));
  const direction = operator.startsWith(">") ? ">" : "<";
  return { integer, nearest, operator: nearestPasses ? `${direction}=` : direction };
}

/** Whether a value whose order to the bound is negative, zero or positive is in the range. */
export function isInRange(operator: Comparison, order: number): boolean {
  if (operator === ">") return order > 0;
  if (operator === ">=") return order >= 0;
  return operator === "<" ? order < 0 : order <= 0;
}

export function compareIntegers(a: bigint, b: bigint): number {
  return a === b ? 0 : a < b ? -1 : 1;
}
