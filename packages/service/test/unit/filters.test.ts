import { evaluate, type LogFilter, type QueriedEntry } from "@sazabi/sdk/protocol";
import { expect, test } from "vitest";
import { queryOfFilters, queryOfWords } from "../../src/logs/query/filters.ts";

const entry: QueriedEntry = {
  level: 4,
  service: "api",
  environment: "prod",
  traceId: "ab12",
  spanId: null,
  message: "Connection refused by peer",
  attributes: { "http.status": 503, user: "Bob", level: "odd", ok: true },
};

test.each<[string, LogFilter["op"], LogFilter["value"], boolean]>([
  ["severity", "eq", "ERROR", true],
  ["severity", "in", ["WARN", "ERROR"], true],
  ["severity", "gte", "warn", true],
  ["severity", "gt", "loud", false],
  ["severity", "between", { from: "info", to: "warn" }, false],
  ["service", "eq", "API", true],
  ["service_name", "neq", "web", true],
  ["environment", "starts_with", "PR", true],
  ["trace_id", "eq", "AB12", true],
  ["span_id", "exists", false, true],
  ["body", "contains", "REFUSED", true],
  ["message", "eq", "connection refused by peer", true],
  ["message", "eq", "refused", false],
  ["message", "starts_with", "connection", true],
  ["attributes[http.status]", "eq", 503, true],
  ["http.status", "eq", "503", true],
  ["http.status", "gte", "500", true],
  ["http.status", "lt", 500, false],
  ["http.status", "between", { from: "500", to: "599" }, true],
  ["http.status", "contains", "03", true],
  ["user", "eq", "bob", false],
  ["user", "contains", "OB", true],
  ["ok", "eq", true, true],
  ["ok", "eq", "true", true],
  ["attributes[level]", "eq", "odd", true],
  ["missing", "neq", "x", true],
  ["missing", "exists", true, false],
  ["missing", "exists", false, true],
])("%s %s %j", (field, op, value, expected) => {
  expect(evaluate(queryOfFilters([{ field, op, value }]), entry)).toBe(expected);
});

test("all have to hold, and those on the time are the window's", () => {
  const error: LogFilter = { field: "severity", op: "eq", value: "error" };
  const time: LogFilter = { field: "timestamp", op: "gte", value: "2026-11-22T00:00:00Z" };
  expect(evaluate(queryOfFilters([error, time]), entry)).toBe(true);
  expect(evaluate(queryOfFilters([error, { field: "service", op: "eq", value: "web" }]), entry)).toBe(false);
  expect(queryOfFilters([])).toEqual({ kind: "everything" });
});

test.each<[LogFilter["op"], LogFilter["value"], string]>([
  ["in", "x", "filters[1].value: `in` takes an array."],
  ["between", "x", "filters[1].value: `between` takes { from, to }."],
  ["between", ["a", "b"], "filters[1].value: `between` takes { from, to }."],
  ["exists", "yes", "filters[1].value: `exists` takes true or false."],
  ["eq", ["x"], "filters[1].value: `eq` takes a string, a number or a boolean."],
])("%s does not take %j", (op, value, message) => {
  const good: LogFilter = { field: "a", op: "exists", value: true };
  expect(() => queryOfFilters([good, { field: "b", op, value }])).toThrow(
    expect.objectContaining({ code: "VALIDATION_ERROR", message }),
  );
});

test("words taken as they are", () => {
  expect(evaluate(queryOfWords("nothing peer", "any"), entry)).toBe(true);
  expect(evaluate(queryOfWords("level:error", "any"), entry)).toBe(false);
  expect(evaluate(queryOfWords(" refused BY peer ", "phrase"), entry)).toBe(true);
  expect(evaluate(queryOfWords("by refused", "phrase"), entry)).toBe(false);
  expect(queryOfWords("  ", "any")).toEqual({ kind: "everything" });
});
