import {
  allOf,
  anyOf,
  type Comparison,
  type ConditionField,
  compares,
  containsText,
  equalsText,
  exists,
  fold,
  isBetween,
  type LogFilter,
  matchesPattern,
  not,
  type QueryNode,
  resolveField,
  storable,
} from "@sazabi/sdk/protocol";
import { ApiError } from "../../errors.ts";
import { isTimestamp } from "./window.ts";

/**
 * The filters of a request as one query, so that they mean what the language means. All must hold; those on
 * `timestamp` are the window's and are left out here. 400 when a value does not fit its operator.
 */
export function queryOfFilters(filters: readonly LogFilter[]): QueryNode {
  return allOf(filters.flatMap((filter, index) => (isTimestamp(filter) ? [] : [queryOfFilter(filter, index)])));
}

/** The words of a search as they are, without syntax: `any` one of them, or all of it as one `phrase`. */
export function queryOfWords(text: string, mode: "any" | "phrase"): QueryNode {
  const trimmed = storable(text).trim();
  if (trimmed === "") return allOf([]);
  return mode === "phrase" ? containsText(trimmed) : anyOf(trimmed.split(/\s+/).map((word) => containsText(word)));
}

const comparisons = { gt: ">", gte: ">=", lt: "<", lte: "<=" } as const satisfies Record<string, Comparison>;

function queryOfFilter({ field: name, op, value }: LogFilter, index: number): QueryNode {
  const field = resolveField(storable(name));
  const no = (message: string) =>
    new ApiError("VALIDATION_ERROR", `filters[${index}].value: ${message}`, {
      issues: [{ path: `filters[${index}].value`, message }],
    });
  const isScalar = typeof value !== "object";
  if (op === "in") {
    if (isScalar || !("length" in value)) throw no("`in` takes an array.");
    return value.length === 0 ? not(allOf([])) : anyOf(value.map((one) => equals(field, textOf(one))));
  }
  if (op === "between") {
    if (isScalar || !("from" in value)) throw no("`between` takes { from, to }.");
    const { from, to } = value;
    return isBetween(field, { operator: ">=", value: storable(from) }, { operator: "<=", value: storable(to) });
  }
  if (op === "exists") {
    if (typeof value !== "boolean") throw no("`exists` takes true or false.");
    return value ? exists(field) : not(exists(field));
  }
  if (!isScalar) throw no(`\`${op}\` takes a string, a number or a boolean.`);
  const text = textOf(value);
  switch (op) {
    case "eq":
      return equals(field, text);
    case "neq":
      return not(equals(field, text));
    case "contains":
      if (isMessage(field)) return containsText(text, "message");
      return matchesPattern(field, [{ any: "many" }, fold(text), { any: "many" }]);
    case "starts_with":
      return matchesPattern(field, [fold(text), { any: "many" }]);
    default:
      return compares(field, comparisons[op], text);
  }
}

/** In a filter, a message that equals a text is that text; in a query `message:text` contains it. */
function equals(field: ConditionField, text: string): QueryNode {
  return isMessage(field) ? matchesPattern(field, [fold(text)]) : equalsText(field, text);
}

function isMessage(field: ConditionField): boolean {
  return field !== "level" && "column" in field && field.column === "message";
}

function textOf(value: string | number | boolean): string {
  return typeof value === "string" ? storable(value) : String(value);
}
