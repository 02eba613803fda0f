import { intakeLimits } from "@sazabi/sdk/protocol";
import fc from "fast-check";
import { expect, test } from "vitest";
import { normaliseAny, normaliseEntry } from "../../src/logs/ingest/entry.ts";
import { normaliseFast } from "../../src/logs/ingest/entry-fast-path.ts";

const now = Date.UTC(2026, 10, 22, 10);
const retention = 30 * 86_400_000;
const iso = "2026-11-22T09:59:59.123Z";

type Members = Readonly<Record<string, unknown>>;

function usual(members: Members) {
  return inOrder(normaliseFast(members, now * 1000, retention * 1000));
}

function any(members: Members) {
  return inOrder(normaliseAny(members, now, retention));
}

/** As plain data; attributes as a list, since they have an order too. */
function inOrder(verdict: ReturnType<typeof normaliseFast> | ReturnType<typeof normaliseAny>) {
  if (verdict === undefined || "rejected" in verdict) return verdict;
  return { ...verdict, attributes: Object.entries(verdict.attributes) };
}

/** Nine times in ten one of the first. */
function mostly<T>(first: fc.Arbitrary<T>, ...others: readonly fc.Arbitrary<T>[]): fc.Arbitrary<T> {
  return fc.oneof({ weight: 9 * others.length, arbitrary: first }, ...others);
}

const short = mostly(fc.constantFrom("checkout", "ABCDEF", "abc", ""), fc.string({ unit: "binary", maxLength: 5 }));
/** At the limits of what is kept, in characters of one to three bytes. */
const sized = fc
  .tuple(fc.constantFrom("x", "é", "€"), fc.constantFrom(42, 43, 64, 65, 66, 67, 100, 101, 128, 129, 200, 201))
  .map(([character, length]) => character.repeat(length));
const scalar = mostly<unknown>(short, sized, fc.double(), fc.integer(), fc.boolean(), fc.constant(null));
const attributeName = mostly(
  fc.constantFrom("host", "user_id", "status", "a.b", "__proto__", "constructor"),
  fc.constantFrom("k\0", "log.record.uid", "id", "msg", "time", "sazabi.public_key", "n".repeat(300)),
);
const members = (maxKeys: number) => fc.dictionary(attributeName, scalar, { maxKeys, noNullPrototype: true });

const time = mostly<unknown>(
  fc.constant(iso),
  fc.constantFrom(now, now / 1000, "2020-01-01", "", 7, null),
  fc.integer({ min: -1, max: 1 }).map((ms) => now - retention + ms),
  fc.integer({ min: -1, max: 1 }).map((ms) => now + intakeLimits.futureHours * 3_600_000 + ms),
);
const slots = fc.record(
  {
    timestamp: time,
    level: mostly<unknown>(fc.constantFrom("info", "error"), fc.constantFrom("ERROR", 30, "no", "", null)),
    message: mostly<unknown>(fc.string({ unit: "binary", minLength: 1 }), fc.constantFrom("", 1, null, { a: 1 })),
    service: mostly<unknown>(short, sized, fc.constant(7)),
    environment: mostly<unknown>(short, sized),
    trace_id: mostly<unknown>(short, sized),
    span_id: mostly<unknown>(short, sized),
  },
  { requiredKeys: ["message"] },
);
/** What attributes come in: at the top, or together. */
const others = mostly<Members>(
  fc.oneof(
    members(6),
    members(6).map((attributes) => ({ attributes })),
  ),
  fc.tuple(members(3), members(3)).map(([attributes, top]) => ({ attributes, ...top })),
  fc.constantFrom<Members>(
    { attributes: null },
    { attributes: [] },
    { attributes: "x" },
    { attributes: { a: { b: 1 } } },
  ),
);
const odd = mostly<Members>(fc.constant({}), fc.record({ traceId: short }), fc.record({ source: short }));
const entries = fc
  .tuple(slots, others, odd, fc.boolean())
  .map(([known, more, rest, first]) =>
    JSON.stringify(first ? { ...more, ...known, ...rest } : { ...rest, ...known, ...more }),
  );

test("what is made of an entry by the short way is what the long one makes of it", () => {
  let taken = 0;
  const runs = 30_000;
  fc.assert(
    fc.property(entries, (sent) => {
      const made = usual(JSON.parse(sent));
      if (made === undefined) return;
      taken += 1;
      expect(made).toEqual(any(JSON.parse(sent)));
    }),
    { numRuns: runs },
  );
  expect(taken).toBeGreaterThan(runs / 4);
});

test.each<[string, Members]>([
  ["small", { timestamp: iso, level: "warn", service: "api", message: "slow", host: "a", duration_ms: 3, ok: true }],
  ["nested", { message: "m", trace_id: "AB", span_id: "cd", environment: "prod", attributes: { host: "a", n: 1.5 } }],
  ["a time as a number", { time: now, msg: "m" }],
  [
    "nulls, and texts that say nothing",
    { time: null, level: "", message: "m", user: null, attributes: null, none: "" },
  ],
])("an entry like most takes the short way: %s", (_, sent) => {
  const made = usual(sent);
  expect(made).toBeDefined();
  expect(made).toEqual(any(sent));
});

test.each<[string, Members]>([
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
  ["attributes that are a list", { message: "m", attributes: [1] }],
  ["a number that JSON has no word for", { message: "m", n: Number.POSITIVE_INFINITY }],
  ["a long service", { message: "m", service: "s".repeat(201) }],
  ["a long trace id", { message: "m", trace_id: "€".repeat(43) }],
  ["a long message", { message: "m".repeat(intakeLimits.entryBytes / 2) }],
  ["many attributes", Object.fromEntries(Array.from({ length: 300 }, (_, at) => [`k${at}`, at]))],
])("any other does not: %s", (_, sent) => {
  expect(usual(sent)).toBeUndefined();
});

test("entries of which many are declined in a row are all read, and so are those behind them", () => {
  const sent = (at: number) => (at < 300 ? { message: `${at}`, level: "INFO" } : { message: `${at}`, level: "info" });
  for (let at = 0; at < 600; at++) {
    expect(normaliseEntry(sent(at), now, retention)).toMatchObject({ message: `${at}`, level: 2 });
  }
});
