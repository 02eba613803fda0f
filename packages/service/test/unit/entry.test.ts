import { intakeLimits } from "@sazabi/sdk/protocol";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type NormalisedEntry, normaliseEntry } from "../../src/logs/ingest/entry.ts";

const now = Date.UTC(2026, 10, 22, 10);
const dayMs = 86_400_000;

function verdict(value: unknown) {
  return normaliseEntry(value, now, 30 * dayMs);
}

/** The entry, as plain data. */
function stored(value: unknown): NormalisedEntry {
  const result = verdict(value);
  if ("rejected" in result) throw new Error(`${result.rejected.field} ${result.rejected.message}`);
  return { ...result, attributes: { ...result.attributes } };
}

test("of too many members, those that are nested least are kept as attributes", () => {
  const payload = Object.fromEntries(Array.from({ length: 300 }, (_, place) => [`p${place}`, place]));
  const { attributes, message } = stored({
    payload: { deep: payload, level: 1 },
    message: "x",
    public: true,
    actor: { id: 7 },
  });
  expect(message).toBe("x");
  expect(attributes).toMatchObject({ public: true, "actor.id": 7, "payload.level": 1, "payload.deep.p0": 0 });
  expect(Object.keys(attributes)).toHaveLength(intakeLimits.attributes + 1);
  const overflow = JSON.parse(attributes["sazabi.overflow"] as string);
  expect(Object.keys(overflow)).toHaveLength(300 + 3 - intakeLimits.attributes);
  expect(overflow).toHaveProperty(["payload.deep.p299"], 299);
});

describe("what other programs send", () => {
  const cursor = { __CURSOR: "s=1", __REALTIME_TIMESTAMP: String(now * 1000 - 60_000_000) };

  test.each<[string, Record<string, unknown>, object]>([
    [
      "journalctl -o json",
      { ...cursor, MESSAGE: "x", PRIORITY: "3", _SYSTEMD_UNIT: "cron.service" },
      { message: "x", level: 4, service: "cron.service", timestampMicros: now * 1000 - 60_000_000 },
    ],
    [
      "the journal, with the sender's own time and name",
      { ...cursor, MESSAGE: "x", _SOURCE_REALTIME_TIMESTAMP: String(now * 1000 - 7), SYSLOG_IDENTIFIER: "cron" },
      { service: "cron", timestampMicros: now * 1000 - 7 },
    ],
    ["the journal, with bytes", { ...cursor, MESSAGE: [72, 105, 13] }, { message: "Hi\r" }],
    ["a message of bytes alone", { MESSAGE: [72, 195, 169] }, { message: "H\u00e9" }],
    [
      "the journal, with bytes in a field",
      { ...cursor, MESSAGE: "x", _CMDLINE: [97, 27] },
      { attributes: { _CMDLINE: "a\u001b" } },
    ],
    ["numbers that are no bytes", { ...cursor, MESSAGE: "x", PORTS: [80, 443] }, { attributes: { PORTS: "[80,443]" } }],
    ["numbers of others", { message: "x", PORTS: [80, 81] }, { attributes: { PORTS: "[80,81]" } }],
    [
      "syslog-ng",
      { MESSAGE: "x", PROGRAM: "sshd", SOURCE: "s_net", ISODATE: "2026-11-22T10:30:00+01:00", PRIORITY: "err" },
      { service: "sshd", level: 4, timestampMicros: (now - 1_800_000) * 1000, attributes: { SOURCE: "s_net" } },
    ],
    ["syslog-ng without a program", { MESSAGE: "x", SOURCE: "s_net" }, { service: "" }],
    ["Monolog", { message: "x", level: 400, level_name: "ERROR" }, { level: 4 }],
    ["Logback", { message: "x", level_value: 1, level: 40_000 }, { level: 4 }],
    ["a coloured level", { message: "x", level: "\u001b[31merror\u001b[39m" }, { level: 4 }],
    ["a level in brackets", { message: "x", level: "[ERROR]" }, { level: 4 }],
    ["OpenTelemetry's number", { message: "x", severityNumber: 17 }, { level: 4, attributes: { severityNumber: 17 } }],
    ["the number under another name", { message: "x", severity_number: 13, severity_text: "info" }, { level: 2 }],
    ["Datadog", { message: "x", status: "error" }, { level: 4, attributes: { status: "error" } }],
    ["an HTTP status", { message: "x", status: 404 }, { level: 2, attributes: { status: 404 } }],
    ["an HTTP status as text", { message: "x", status: "3" }, { level: 2, attributes: { status: "3" } }],
    ["a status beside a level", { message: "x", level: "info", status: "error" }, { level: 2 }],
    [
      "MongoDB",
      { t: { $date: "2026-11-22T09:59:59.999+00:00" }, s: "W", c: "NETWORK", msg: "x" },
      { message: "x", level: 3, timestampMicros: now * 1000 - 1000 },
    ],
    ["seconds that are no level", { message: "x", s: 3 }, { level: 2, attributes: { s: 3 } }],
    ["Serilog's template", { "@mt": "Hello {Name}", Name: "Ada" }, { message: "Hello {Name}" }],
    ["Serilog's text and template", { "@m": "Hello Ada", "@mt": "Hello {Name}" }, { message: "Hello Ada" }],
    [
      "Rust's tracing",
      { fields: { message: "x", n: 1 }, level: "WARN" },
      { message: "x", level: 3, attributes: { "fields.n": 1 } },
    ],
    ["Google's LogEntry", { jsonPayload: { message: "x", n: 1 }, severity: "ERROR" }, { message: "x", level: 4 }],
    [
      "a message beside them",
      { message: "y", fields: { message: "x" } },
      { message: "y", attributes: { "fields.message": "x" } },
    ],
    [
      "Python's asctime",
      { message: "x", asctime: "2026-11-22 09:00:00,123" },
      { timestampMicros: (now - 3_599_877) * 1000 },
    ],
    ["Log4j's timeMillis", { message: "x", timeMillis: now - 5 }, { timestampMicros: (now - 5) * 1000 }],
  ])("%s", (_, sent, expected) => {
    expect(stored(sent)).toMatchObject(expected);
  });
});

describe("what an entry is made of", () => {
  test("the members of the contract", () => {
    expect(
      stored({
        message: "boom",
        level: "error",
        service: "api",
        environment: "prod",
        timestamp: "2026-11-22T09:00:00.000001Z",
        traceId: "4BF92F35",
        spanId: "00f0",
        attributes: { user: 1, nested: { ok: true, none: null } },
      }),
    ).toEqual({
      message: "boom",
      level: 4,
      service: "api",
      environment: "prod",
      timestampMicros: (now - 3_600_000) * 1000 + 1,
      traceId: "4bf92f35",
      spanId: "00f0",
      attributes: { user: 1, "nested.ok": true, "nested.none": null },
      bytes: expect.any(Number),
    });
  });

  test("only a message: now, info, no service", () => {
    expect(stored({ message: "x" })).toMatchObject({
      timestampMicros: now * 1000,
      level: 2,
      service: "",
      environment: null,
      traceId: null,
      spanId: null,
      attributes: {},
    });
    expect(stored("a line")).toMatchObject({ message: "a line", level: 2 });
  });

  test("every other member becomes an attribute, flattened, with its type", () => {
    const { attributes } = stored({ message: "x", a: { b: { c: 1 } }, list: [1, { d: 2 }], empty: {}, no: false });
    expect(attributes).toEqual({ "a.b.c": 1, list: '[1,{"d":2}]', empty: "{}", no: false });
  });

  test.each([
    [
      { msg: "m", severity: "WARN", time: now, app: "web" },
      { message: "m", level: 3, service: "web" },
    ],
    [{ log: "m\n", stream: "stdout", "@timestamp": "2026-11-22T10:00:00Z" }, { message: "m\n" }],
    [
      { MESSAGE: "m", PRIORITY: "3", SYSLOG_IDENTIFIER: "cron" },
      { message: "m", level: 4, service: "cron" },
    ],
    [
      { "@m": "m", "@l": "Warning", "@t": "2026-11-22T10:00:00Z" },
      { message: "m", level: 3 },
    ],
    [
      { level: 50, time: now, msg: "m", pid: 1 },
      { message: "m", level: 4, attributes: { pid: 1, "level.original": 50 } },
    ],
    [
      { message: "m", service: { name: "api", version: "2" }, log: { level: "error" }, trace: { id: "AB" } },
      { message: "m", level: 4, service: "api", traceId: "ab", attributes: { "service.version": "2" } },
    ],
    [
      { message: "m", "dd.trace_id": 123, env: "prod" },
      { traceId: "123", environment: "prod" },
    ],
    [
      { message: "m", attributes: { "service.name": "api", level: "error" } },
      { service: "api", level: 4, attributes: {} },
    ],
  ])("%j is understood", (sent, expected) => {
    expect(stored(sent)).toMatchObject(expected);
  });

  test("the better name wins, in any order, and the other stays an attribute", () => {
    for (const sent of [
      { body: "second", message: "first" },
      { message: "first", body: "second" },
    ]) {
      expect(stored(sent)).toMatchObject({ message: "first", attributes: { body: "second" } });
    }
    expect(stored({ app: "web", service: "api", message: "m" })).toMatchObject({
      service: "api",
      attributes: { app: "web" },
    });
    expect(stored({ service: "api", message: "m", attributes: { service: "other" } })).toMatchObject({
      service: "api",
      attributes: { service: "other" },
    });
  });

  test("words that mean other things too are not swallowed", () => {
    expect(stored({ message: "m", priority: "high", date: "tomorrow", source: "eu" })).toMatchObject({
      level: 2,
      service: "eu",
      timestampMicros: now * 1000,
      attributes: { priority: "high", date: "tomorrow", source: "eu" },
    });
  });
});

describe("what is mended", () => {
  test("a message that is no text", () => {
    expect(stored({ message: 42 }).message).toBe("42");
    expect(stored({ message: true }).message).toBe("true");
    expect(stored({ message: { a: [1] } }).message).toBe('{"a":[1]}');
    expect(stored({ message: null, a: 1 })).toMatchObject({ message: "", attributes: { a: 1 } });
    expect(stored({ message: "", msg: "other" }).message).toBe("other");
  });

  test("a NUL becomes a visible one, half a surrogate pair the replacement character, everywhere", () => {
    expect(
      stored({ message: "a\0b\ud800", "k\0": "v\udc00", service: "s\0", env: "\ud800", trace_id: "t\0" }),
    ).toMatchObject({
      message: "a\u2400b\ufffd",
      service: "s\u2400",
      environment: "\ufffd",
      traceId: "t\u2400",
      attributes: { "k\u2400": "v\ufffd" },
    });
    expect(stored({ message: "🚒", "🚒": "🚒" })).toMatchObject({ message: "🚒", attributes: { "🚒": "🚒" } });
  });

  test("any spelling of a level, keeping the sender's", () => {
    expect(stored({ message: "x", level: "Error" })).toMatchObject({ level: 4, attributes: {} });
    expect(stored({ message: "x", level: "WARNING" })).toMatchObject({
      level: 3,
      attributes: { "level.original": "WARNING" },
    });
    expect(stored({ message: "x", level: "audit" })).toMatchObject({
      level: 2,
      attributes: { "level.original": "audit" },
    });
    expect(stored({ message: "x", level: true })).toMatchObject({ level: 2, attributes: { "level.original": true } });
  });

  test.each([
    ["1970-01-01T00:00:00Z"],
    ["2099-01-01T00:00:00Z"],
    ["yesterday"],
    [0],
    [1e18 * 5],
    ["+300000-01-01T00:00:00Z"],
  ])("the timestamp %s is replaced by the time of arrival, and kept", (timestamp) => {
    expect(stored({ message: "x", timestamp })).toMatchObject({
      timestampMicros: now * 1000,
      attributes: { "timestamp.original": timestamp },
    });
  });

  test("the ends of the window count as inside", () => {
    for (const ms of [now - 30 * dayMs, now + dayMs]) {
      expect(stored({ message: "x", timestamp: ms })).toMatchObject({ timestampMicros: ms * 1000, attributes: {} });
    }
    for (const ms of [now - 30 * dayMs - 1, now + dayMs + 1]) {
      expect(stored({ message: "x", timestamp: ms }).timestampMicros).toBe(now * 1000);
    }
  });

  test("numbers that JSON cannot write", () => {
    const value = JSON.parse('{"message":"x","big":1e999,"small":-1e999,"zero":-0,"exact":9007199254740993}');
    expect(stored(value).attributes).toEqual({
      big: "Infinity",
      small: "-Infinity",
      zero: -0,
      exact: 9007199254740992,
    });
  });

  test("names that are special in JavaScript are names like others", () => {
    const value = JSON.parse(
      '{"message":"x","__proto__":{"polluted":1},"constructor":"c","a":{"__proto__":2,"toString":3}}',
    );
    expect(Object.entries(stored(value).attributes)).toEqual([
      ["__proto__.polluted", 1],
      ["constructor", "c"],
      ["a.__proto__", 2],
      ["a.toString", 3],
    ]);
    const flat = verdict(JSON.parse('{"message":"x","attributes":{"__proto__":"p"}}')) as NormalisedEntry;
    expect(JSON.stringify(flat.attributes)).toBe('{"__proto__":"p"}');
    expect(({} as { polluted?: number }).polluted).toBeUndefined();
  });
});

describe("limits", () => {
  const nested = (depth: number): unknown => JSON.parse(`${'{"a":'.repeat(depth)}1${"}".repeat(depth)}`);

  test("objects ten deep are flattened, deeper ones kept as JSON", () => {
    expect(stored({ message: "x", deep: nested(9) }).attributes).toEqual({ [`deep${".a".repeat(9)}`]: 1 });
    expect(stored({ message: "x", deep: nested(12) }).attributes).toEqual({
      [`deep${".a".repeat(9)}`]: '{"a":{"a":{"a":1}}}',
    });
  });

  test("JSON more than a hundred deep is refused, however deep, and nothing breaks", () => {
    expect(verdict({ message: "x", deep: nested(80) })).not.toHaveProperty("rejected");
    for (const value of [
      { message: "x", deep: nested(200) },
      { message: nested(9_000) },
      { message: "x", list: JSON.parse("[".repeat(9_000) + "]".repeat(9_000)) },
    ]) {
      expect(verdict(value)).toEqual({
        rejected: { field: expect.any(String), message: "is nested more than 100 levels deep." },
      });
    }
  });

  test("an entry with too many members or characters is refused, and nothing is made of it", () => {
    const numbers = (count: number) => Array.from({ length: count }, (_, index) => index);
    const named = (count: number) => Object.fromEntries(numbers(count).map((index) => [`k${index}`, index]));
    expect(verdict({ message: "x", list: numbers(9_998) })).not.toHaveProperty("rejected");
    for (const value of [
      { message: "x", list: numbers(10_000) },
      { message: "x", ...named(10_000) },
      { message: "x", attributes: named(5_000), other: { deep: [named(5_000)] } },
      { message: "x", list: JSON.parse("[".repeat(100_000) + "]".repeat(100_000)) },
    ]) {
      expect(verdict(value)).toEqual({
        rejected: { field: "", message: "has more than 10000 members and elements." },
      });
    }
    const { entryCharacters } = intakeLimits;
    const long = "x".repeat(entryCharacters - "message".length);
    expect(verdict(long)).not.toHaveProperty("rejected");
    for (const value of [`${long}x`, { message: "x", a: { b: [long] } }, { message: "x", [long]: 1 }]) {
      expect(verdict(value)).toEqual({
        rejected: { field: "", message: "has more than 1048576 characters in its names and values." },
      });
    }
  });

  test("what is kept beside the attributes stops where an entry has no more room for it", () => {
    const many = Object.fromEntries(Array.from({ length: 9_000 }, (_, index) => [`name_of_attribute_${index}`, index]));
    const { attributes } = stored({ message: "x", ...many });
    const overflow = JSON.parse(attributes["sazabi.overflow"] as string);
    expect(overflow).toMatchObject({ name_of_attribute_300: 300 });
    expect(Object.keys(overflow).length).toBeLessThan(8_000);
    expect(attributes["sazabi.truncated"]).toBe(true);
  });

  test.each([[{}], [{ message: "" }], [{ message: null }], [""], [{ level: "error" }]])(
    "%j says nothing, and is refused",
    (value) => {
      expect(verdict(value)).toEqual({
        rejected: { field: "message", message: "is missing, and there are no attributes either." },
      });
    },
  );

  test.each([[null], [42], [true], [["x"]], [undefined]])("%j is no entry", (value) => {
    expect(verdict(value)).toEqual({ rejected: { field: "", message: "must be an object or a string." } });
  });

  test("what has no room among the attributes is kept beside them", () => {
    const many = Object.fromEntries(Array.from({ length: 300 }, (_, index) => [`k${index}`, index]));
    const { attributes } = stored({ message: "x", ...many, ["é".repeat(101)]: "long" });
    expect(Object.keys(attributes)).toHaveLength(257);
    const overflow = JSON.parse(attributes["sazabi.overflow"] as string);
    expect(Object.keys(overflow)).toHaveLength(45);
    expect(overflow).toMatchObject({ k299: 299, ["é".repeat(101)]: "long" });
  });

  test("two values for one name are both kept", () => {
    expect(stored({ message: "x", "a.b": 1, a: { b: 2 } }).attributes).toEqual({
      "a.b": 1,
      "sazabi.overflow": '{"a.b":2}',
    });
    expect(stored({ message: "x", "a.b": 1, a: { b: 1 } }).attributes).toEqual({ "a.b": 1 });
  });

  test("an entry keeps within 256 KiB: the message is cut, and says so", () => {
    const { message, attributes } = stored({ message: "é".repeat(200_000), a: "b" });
    const bytes = Buffer.byteLength(message);
    expect(bytes).toBeLessThanOrEqual(intakeLimits.entryBytes);
    expect(bytes).toBeGreaterThan(intakeLimits.entryBytes - 200);
    expect(message).toMatch(/^é+$/);
    expect(attributes).toEqual({ a: "b", "sazabi.truncated": true });
    expect(stored({ message: "x".repeat(250_000) }).attributes).toEqual({});
  });

  test("attributes that are too long are cut, and leave the message half of the room", () => {
    const long = Object.fromEntries(Array.from({ length: 9 }, (_, index) => [`k${index}`, "v".repeat(100_000)]));
    const entry = stored({ message: "m".repeat(100_000), ...long });
    expect(entry.message).toHaveLength(100_000);
    expect(entry.attributes["sazabi.truncated"]).toBe(true);
    expect(Buffer.byteLength(JSON.stringify(entry.attributes)) + 100_000).toBeLessThan(intakeLimits.entryBytes);
  });

  test("names and ids that no index could hold are cut, or left out, and kept whole as attributes", () => {
    const entry = stored({ message: "x", service: "s".repeat(5000), env: "e".repeat(300), trace_id: "t".repeat(5000) });
    expect(entry.service).toBe("s".repeat(200));
    expect(entry.environment).toBe("e".repeat(200));
    expect(entry.traceId).toBeNull();
    expect(entry.attributes).toEqual({
      "service.original": "s".repeat(5000),
      "environment.original": "e".repeat(300),
      "trace_id.original": "t".repeat(5000),
    });
  });
});

test("whatever is sent, what is stored can be stored", () => {
  const key = fc.oneof(
    fc.constantFrom(
      "message",
      "msg",
      "level",
      "time",
      "service",
      "attributes",
      "trace",
      "id",
      "__proto__",
      "sazabi.overflow",
      "a\0",
    ),
    fc.string({ unit: "binary", maxLength: 12 }),
  );
  const value = fc.anything({
    key,
    maxDepth: 6,
    values: [fc.string({ unit: "binary" }), fc.double(), fc.boolean(), fc.constant(null)],
  });
  fc.assert(
    fc.property(value, (sent) => {
      const result = verdict(sent);
      if ("rejected" in result) return;
      const texts = [result.message, result.service, result.environment, result.traceId, result.spanId];
      const text = [...texts, ...Object.entries(result.attributes).flat()].join("");
      expect(text).not.toMatch(/\0|\p{Surrogate}/u);
      expect(Number.isSafeInteger(result.timestampMicros)).toBe(true);
      expect([0, 1, 2, 3, 4, 5]).toContain(result.level);
      for (const attribute of Object.values(result.attributes)) {
        expect(attribute === null || ["string", "number", "boolean"].includes(typeof attribute)).toBe(true);
        expect(typeof attribute !== "number" || Number.isFinite(attribute)).toBe(true);
      }
      expect(result.bytes).toBeGreaterThan(0);
    }),
    { numRuns: 3000 },
  );
});
