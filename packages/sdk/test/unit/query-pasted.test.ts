import { expect, test } from "vitest";
import { evaluate, parseQuery, type QueriedEntry } from "../../src/protocol/index.ts";
import { logLine, Random } from "../support/log-lines.ts";

const lines = 5000;

function entryWith(message: string): QueriedEntry {
  return { level: 2, service: "", environment: null, traceId: null, spanId: null, message, attributes: {} };
}

test("a line out of a log, pasted as a query, finds that line", () => {
  const random = new Random(20_261_122);
  const missed = new Set<string>();
  for (let count = 0; count < lines; count++) {
    const line = logLine(random);
    if (!evaluate(parseQuery(line).ast, entryWith(line))) missed.add(line);
  }
  expect([...missed]).toEqual([]);
});

test("a pasted line does not find other lines", () => {
  const random = new Random(7);
  let others = 0;
  for (let count = 0; count < lines; count++) {
    const line = logLine(random);
    const other = logLine(random);
    if (line !== other && !other.includes(line) && evaluate(parseQuery(line).ast, entryWith(other))) others += 1;
  }
  expect(others / lines).toBeLessThan(0.01);
});
