import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type NormalisedEntry, normaliseEntry } from "../../src/logs/ingest/entry.ts";
import { documentIdentity } from "../../src/logs/ingest/entry-identity.ts";

const now = Date.UTC(2026, 10, 22, 10);
const dayMs = 86_400_000;
const uidOf = (entry: unknown, arrivedAtMs = now) =>
  (normaliseEntry(entry, arrivedAtMs, 30 * dayMs) as NormalisedEntry).uid;

/** Entries that differ in little, so that an identity that looks at too little takes two for one. */
const entries = fc.record(
  {
    id: fc.constantFrom<string | number>("7", 7, "8"),
    timestamp: fc.constantFrom<string | number>("2026-11-22T09:00:00Z", "2026-11-22T09:00:00.000Z", now, now + 1),
    message: fc.constantFrom("paid", "paid ", ""),
    level: fc.constantFrom("info", "warn"),
    service: fc.constantFrom("a", "b"),
    trace_id: fc.constantFrom("ab", "AB"),
    total: fc.constantFrom<unknown>(1, "1", null, [1], { a: 1 }),
    attributes: fc.record({ a: fc.constantFrom(1, 2) }, { requiredKeys: [] }),
  },
  { requiredKeys: ["id", "timestamp"] },
);

describe("an entry with an id and a time of its own", () => {
  test("is the same one exactly when all that was sent is the same", () => {
    fc.assert(
      fc.property(entries, entries, fc.integer({ min: 0, max: 1000 }), (one, other, laterMs) => {
        const equal = JSON.stringify(one) === JSON.stringify(other);
        expect(uidOf(one, now + laterMs)).toBe(uidOf(structuredClone(one)));
        expect(uidOf(one) === uidOf(other)).toBe(equal);
      }),
      { numRuns: 2_000 },
    );
  });

  test("has an identity of at most 200 characters, and another kind than a document", () => {
    expect(uidOf({ id: "7", timestamp: now, message: "m" })).toMatch(/^id:[\w-]{43}$/);
    expect(documentIdentity("create", "shop", "7", "{}")).toMatch(/^_id:[\w-]{43}$/);
  });
});

describe("an entry with a log.record.uid", () => {
  const uid = { "log.record.uid": "order-7" };

  test("is the same one exactly when all that was sent is the same", () => {
    fc.assert(
      fc.property(entries, entries, fc.integer({ min: 0, max: 1000 }), (one, other, laterMs) => {
        const equal = JSON.stringify(one) === JSON.stringify(other);
        expect(uidOf({ ...one, ...uid }, now + laterMs)).toBe(uidOf({ ...structuredClone(one), ...uid }));
        expect(uidOf({ ...one, ...uid }) === uidOf({ ...other, ...uid })).toBe(equal);
      }),
      { numRuns: 2_000 },
    );
  });

  test("needs no time of its own, and is never another kind of identity", () => {
    expect(uidOf({ message: "m", ...uid })).toMatch(/^uid:[\w-]{43}$/);
    expect(uidOf({ message: "m", ...uid }, now + 1)).toBe(uidOf({ message: "m", ...uid }));
    expect(uidOf({ message: "m", "log.record.uid": "order-8" })).not.toBe(uidOf({ message: "m", ...uid }));
  });
});

test("a document's identity is its action, index, id and text", () => {
  const of = (...[action, index, id, document]: Parameters<typeof documentIdentity>) =>
    documentIdentity(action, index, id, document);
  expect(of("create", "a", "1", "{}")).toBe(of("create", "a", "1", "{}"));
  expect(of("index", "a", "1", "{}")).toBe(of("index", "a", "1", "{}"));
  const apart = [
    of("create", "a", "1", "{}"),
    of("create", "a", "1", '{"b":1}'),
    of("create", "a1", "", "{}"),
    of("create", "a", "2", "{}"),
    of("create", "b", "1", "{}"),
    of("index", "a", "1", "{}"),
    of("index", "a", "1", '{"b":1}'),
  ];
  expect(new Set(apart).size).toBe(apart.length);
});
