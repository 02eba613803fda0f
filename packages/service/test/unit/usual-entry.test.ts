import { intakeLimits } from "@sazabi/sdk/protocol";
import fc from "fast-check";
import { expect, test } from "vitest";
import { normaliseAny } from "../../src/logs/entry.ts";
import { normaliseUsual } from "../../src/logs/usual-entry.ts";

const now = Date.UTC(2026, 10, 22, 10);
const retention = 30 * 86_400_000;

function usual(members: Readonly<Record<string, unknown>>) {
  return normaliseUsual(members, now * 1000, retention * 1000);
}

const iso = "2026-11-22T09:59:59.123Z";
const short = fc.oneof(fc.constantFrom("", "checkout", "ABCDEF", "abc", "é\0\ud800"), fc.string({ maxLength: 5 }));
const sized = fc.constantFrom(66, 67, 100, 128, 129, 201).map((length) => "x".repeat(length));
const scalar = fc.oneof(
  { weight: 6, arbitrary: short },
  sized,
  fc.double(),
  fc.integer(),
  fc.boolean(),
  fc.constant(null),
);
const plainNames = [
  "host",
  "user_id",
  "status",
  "a.b",
  "__proto__",
  "constructor",
  "traceId",
  "span_id",
  "environment",
];
const otherNames = [
  "k\0",
  "log.record.uid",
  "id",
  "msg",
  "severity",
  "app",
  "source",
  "time",
  "date",
  "sazabi.public_key",
];
const name = fc.oneof(
  { weight: 9, arbitrary: fc.constantFrom(...plainNames) },
  fc.constantFrom(...otherNames, "n".repeat(300)),
);
const members = fc.dictionary(name, scalar, { maxKeys: 6, noNullPrototype: true });

/** Mostly like the entries of a sender, with something else in some. */
const entries = fc
  .tuple(
    fc.record(
      {
        timestamp: fc.oneof(
          { weight: 8, arbitrary: fc.constant(iso) },
          fc.constantFrom(now, now / 1000, "2020-01-01", "", 7),
        ),
        level: fc.oneof(
          { weight: 8, arbitrary: fc.constantFrom("info", "error") },
          fc.constantFrom("ERROR", 30, "no", ""),
        ),
        message: fc.oneof(
          { weight: 8, arbitrary: fc.string({ minLength: 1 }) },
          fc.constantFrom("", 1, null, { a: 1 }),
        ),
        attributes: fc.oneof(
          { weight: 8, arbitrary: members },
          fc.constantFrom<unknown>(null, [], "x", { a: { b: 1 } }),
        ),
        service: short,
      },
      { requiredKeys: ["message"] },
    ),
    fc.dictionary(name, scalar, { maxKeys: 3, noNullPrototype: true }),
    fc.boolean(),
  )
  .map(([known, others, first]) => JSON.stringify(first ? { ...known, ...others } : { ...others, ...known }));

test("what is made of an entry by the short way is what the long one makes of it", () => {
  let taken = 0;
  const runs = 30_000;
  fc.assert(
    fc.property(entries, (sent) => {
      const made = usual(JSON.parse(sent));
      if (made === undefined) return;
      taken += 1;
      expect(made).toEqual(normaliseAny(JSON.parse(sent), now, retention));
    }),
    { numRuns: runs },
  );
  expect(taken).toBeGreaterThan(runs / 10);
});

test.each([
  ["small", { timestamp: iso, level: "warn", service: "api", message: "slow", host: "a", duration_ms: 3, ok: true }],
  ["nested", { message: "m", trace_id: "AB", span_id: "cd", environment: "prod", attributes: { host: "a", n: 1.5 } }],
  ["a time as a number", { time: now, msg: "m" }],
])("an entry like most takes the short way: %s", (_, sent) => {
  expect(usual(sent)).toEqual(normaliseAny(sent, now, retention));
});

test.each([
  ["nothing to say", {}],
  ["an id", { message: "m", id: "7" }],
  ["a uid", { message: "m", attributes: { "log.record.uid": "7" } }],
  ["a level of another spelling", { message: "m", level: "WARN" }],
  ["a time out of the window", { message: "m", timestamp: "1999-01-01T00:00:00Z" }],
  ["two names for one slot", { message: "m", msg: "n" }],
  ["one attribute twice", { message: "m", attributes: { host: "a" }, host: "b" }],
  ["one attribute twice, the other way round", { message: "m", host: "b", attributes: { host: "a" } }],
  ["a slot's name among the attributes", { message: "m", attributes: { service: "a" } }],
  ["a name that may mean something else", { message: "m", source: "a" }],
  ["a key of ours", { message: "m", "sazabi.public_key": "pk" }],
  ["a name to mend", { message: "m", "a\0": 1 }],
  ["an object", { message: "m", user: { id: 1 } }],
  ["null", { message: "m", user: null }],
  ["attributes that are a list", { message: "m", attributes: [1] }],
  ["a long service", { message: "m", service: "s".repeat(201) }],
  ["a long trace id", { message: "m", trace_id: "t".repeat(129) }],
  ["a long message", { message: "m".repeat(intakeLimits.entryBytes / 2) }],
  ["many attributes", Object.fromEntries(Array.from({ length: 300 }, (_, at) => [`k${at}`, at]))],
])("any other does not: %s", (_, sent) => {
  expect(usual(sent)).toBeUndefined();
});
