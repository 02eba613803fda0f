import { Readable } from "node:stream";
import { deflateRawSync, deflateSync, gzipSync } from "node:zlib";
import { intakeLimits } from "@sazabi/sdk/protocol";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { TimeSlices } from "../../src/concurrency/event-loop-fairness.ts";
import { ApiError } from "../../src/errors.ts";
import { BodyBudget } from "../../src/http/body-budget.ts";
import { type BodyOptions, type IntakeBody, readBodyBytes, tooLarge } from "../../src/logs/ingest/body.ts";
import { normaliseEntry } from "../../src/logs/ingest/entry.ts";
import { entriesFormat } from "../../src/logs/ingest/formats/entries.ts";

interface Sent {
  readonly type?: string;
  readonly encoding?: string;
  readonly length?: string;
}

async function read(body: string | Uint8Array, { type, encoding, length }: Sent = {}): Promise<IntakeBody> {
  const format = entriesFormat(type);
  const headers = { contentEncoding: encoding, contentLength: length };
  const decompressed = await readBodyBytes(streamOf(Buffer.from(body)), headers, options());
  return format(decompressed, new TimeSlices());
}

/** In chunks, as a connection has them. */
function streamOf(body: Buffer): Readable {
  const chunkLength = Math.max(1, Math.min(65_536, Math.floor(body.length / 3)));
  const chunks = Array.from({ length: Math.ceil(body.length / chunkLength) }, (_, at) =>
    body.subarray(at * chunkLength, (at + 1) * chunkLength),
  );
  return Readable.from(chunks, { objectMode: false, highWaterMark: 65_536 });
}

function options(): BodyOptions {
  return {
    reservation: new BodyBudget().reserve(["organization", "project", "key"], "192.0.2.1"),
    maxBytes: intakeLimits.bodyBytes,
    tooLarge,
  };
}

async function values(body: string | Uint8Array, sent?: Sent): Promise<unknown[]> {
  return (await read(body, sent)).entries.map(({ value }) => value);
}

async function refusal(body: string | Uint8Array, sent?: Sent): Promise<string> {
  const error = await read(body, sent).catch((error: unknown) => error);
  if (!(error instanceof ApiError)) throw new Error(`not refused: ${error}`);
  return `${error.status} ${error.message}`;
}

const json = "application/json";
const ndjson = "application/x-ndjson";
const a = { message: "a" };
const b = { message: "b" };

describe("shapes", () => {
  test.each<[string, string, unknown[]]>([
    ["an object", '{"message":"a"}', [a]],
    ["an array", '[{"message":"a"},{"message":"b"}]', [a, b]],
    ["a batch", '{"logs":[{"message":"a"},"line"]}', [a, "line"]],
    ["an entry with an attribute called logs", '{"message":"a","logs":[1]}', [{ message: "a", logs: [1] }]],
    ["lines", '{"message":"a"}\n{"message":"b"}\n', [a, b]],
    ["lines with other ends and empty ones", '{"message":"a"}\r\n\r\n  \n{"message":"b"}', [a, b]],
    ["an object over several lines", '{\n  "message": "a"\n}\n', [a]],
    ["a byte order mark", '\ufeff{"message":"a"}', [a]],
    ["nothing in a batch", '{"logs":[]}', []],
  ])("%s", async (_, body, expected) => {
    for (const type of [json, ndjson, undefined, "text/plain", "application/octet-stream", "application/vnd.x+json"]) {
      expect(await values(body, type === undefined ? {} : { type })).toEqual(expected);
    }
  });

  test("what curl says when it is not told otherwise", async () => {
    expect(await values('{"message":"a"}', { type: "application/x-www-form-urlencoded" })).toEqual([a]);
    expect(await refusal("message=a", { type: "application/x-www-form-urlencoded" })).toMatch(
      /^415 .*application\/json/,
    );
  });

  test("documents that wrap entries: CloudTrail, CloudWatch", async () => {
    const records = [
      { eventTime: "2026-11-30T09:00:00Z", eventName: "GetObject" },
      { eventTime: "2026-11-30T09:00:01Z", eventName: "PutObject" },
    ];
    expect(await values(JSON.stringify({ Records: records }))).toEqual(records);
    expect(await values(`${JSON.stringify({ Records: records })}\n{"message":"b"}`, { type: ndjson })).toEqual([
      ...records,
      b,
    ]);
    const event = { id: "1", timestamp: 1_796_031_366_807, message: "x" };
    expect(
      await values(
        JSON.stringify({ messageType: "DATA_MESSAGE", owner: "1", logGroup: "g", logStream: "s", logEvents: [event] }),
      ),
    ).toEqual([{ owner: "1", logGroup: "g", logStream: "s", ...event }]);
    expect(await values(JSON.stringify({ events: [event], nextForwardToken: "f/1" }))).toEqual([event]);
    for (const [more, level] of [
      [{ message: "[ERROR] boom" }, "error"],
      [{ message: '{"level":"warn","msg":"careful"}' }, "warn"],
      [{ message: "[ERROR] boom", severity: "debug" }, undefined],
      [{ message: "[ERROR] boom", level: { id: 1 } }, undefined],
      [{ message: "nothing" }, undefined],
    ] as const) {
      const line = { ...event, ...more };
      const expected = level === undefined ? line : { ...line, level };
      expect(await values(JSON.stringify({ events: [line] }))).toEqual([expected]);
      const document = { logGroup: "g", logEvents: [line] };
      expect(await values(JSON.stringify(document))).toEqual([{ logGroup: "g", ...expected }]);
    }
    for (const other of [
      { Records: [1] },
      { Records: [] },
      { events: [{ a: 1 }] },
      { ...records[0], message: "x", events: [event] },
    ]) {
      expect(await values(JSON.stringify(other))).toEqual([other]);
    }
    const many = { Records: Array.from({ length: 10_001 }, () => records[0]) };
    expect(await refusal(JSON.stringify(many))).toMatch(/^413 /);
  });

  test("a Heroku drain: each message has its length, in bytes", async () => {
    const type = "application/logplex-1";
    const frame = (text: string) => `${Buffer.byteLength(text)} ${text}`;
    const first = "<190>1 2026-11-30T06:45:29.123456+00:00 host app web.3 - ERROR b\u00f6om\n";
    const second = "<158>1 2026-11-30T06:45:30+00:00 host heroku router - at=info path=/\n";
    expect(await values(frame(first) + frame(second) + frame("odd"), { type })).toEqual([
      {
        message: "ERROR b\u00f6om",
        level: "error",
        timestamp: "2026-11-30T06:45:29.123456+00:00",
        service: "app",
        attributes: { host: "host", "heroku.dyno": "web.3" },
      },
      {
        message: "at=info path=/",
        level: "info",
        timestamp: "2026-11-30T06:45:30+00:00",
        service: "heroku",
        attributes: { host: "host", "heroku.dyno": "router" },
      },
      "odd",
    ]);
    expect(await refusal("99 <190>1 cut off", { type })).toMatch(/^400 .*longer than what is left/);
    expect(await refusal("<190>1 x", { type })).toMatch(/^400 .*does not begin with its length/);
    expect(await refusal("1 x".repeat(10_001), { type })).toMatch(/^413 /);
  });

  test("plain text: a line is an entry", async () => {
    const body = 'first\n\n[main] second\r\n{"message":"b"}\n{"cut off\n';
    expect(await values(body, { type: "text/plain" })).toEqual(["first", "[main] second", b, '{"cut off']);
    expect(await values("2026-11-30 09:00:00 ERROR boom\n[warn] low", { type: "text/plain" })).toEqual([
      { message: "2026-11-30 09:00:00 ERROR boom", level: "error" },
      { message: "[warn] low", level: "warn" },
    ]);
    expect(await values('{"message":"a"}\nstack trace\n{"message":"b"}', { type: "text/plain" })).toEqual([
      a,
      "stack trace",
      b,
    ]);
  });

  test("a line that is no JSON is refused alone, by its place", async () => {
    for (const type of [ndjson, json]) {
      const { entries, rejected } = await read('{"message":"a"}\n\nnot json\n{"message":"b"}\n', { type });
      expect(entries).toEqual([
        { index: 0, value: a },
        { index: 2, value: b },
      ]);
      expect(rejected).toEqual([{ index: 1, field: "", message: expect.stringMatching(/^is not JSON: /) }]);
    }
    const { entries, rejected } = await read("x\ny\n", { type: ndjson });
    expect(entries).toEqual([]);
    expect(rejected).toHaveLength(2);
  });
});

test("an OTLP request among entries is refused alone, not stored as one of them", async () => {
  const request = '{"resourceLogs":[]}';
  for (const [body, type] of [
    [`[{"message":"a"},${request},{"message":"b"}]`, json],
    [`{"message":"a"}\n${request}\n{"message":"b"}`, ndjson],
    [`{"message":"a"}\n${request}\n{"message":"b"}`, "text/plain"],
  ] as const) {
    const { entries, rejected } = await read(body, { type });
    expect(entries.map(({ index }) => index)).toEqual([0, 2]);
    expect(rejected).toMatchObject([{ index: 1, field: "resourceLogs" }]);
  }
});

describe("encodings", () => {
  const body = Buffer.from('[{"message":"a"},{"message":"b"}]');

  test.each([
    ["gzip", gzipSync(body)],
    ["GZIP", gzipSync(body)],
    ["x-gzip", Buffer.concat([gzipSync(body.subarray(0, 9)), gzipSync(body.subarray(9))])],
    ["deflate", deflateSync(body)],
    ["deflate", deflateRawSync(body)],
    ["identity", body],
  ])("%s", async (encoding, bytes) => {
    expect(await values(bytes, { encoding })).toEqual([a, b]);
  });

  test("unknown ones are named in the refusal", async () => {
    expect(await refusal(body, { encoding: "br" })).toMatch(/^415 .*gzip, deflate/);
    expect(await refusal(body, { encoding: "gzip, gzip" })).toMatch(/^415 /);
  });

  test("a cut, a broken and an empty one", async () => {
    const zipped = gzipSync(body);
    expect(await refusal(zipped.subarray(0, -9), { encoding: "gzip" })).toMatch(/^400 .*cut off/);
    expect(await refusal(body, { encoding: "gzip" })).toMatch(/^400 .*Content-Encoding/);
    expect(await refusal("", { encoding: "gzip" })).toMatch(/^400 The body is empty/);
  });

  test("bytes that are no UTF-8 become U+FFFD", async () => {
    const bytes = Buffer.concat([Buffer.from('{"message":"a'), Buffer.from([0xff, 0xc3]), Buffer.from('"}')]);
    expect(await values(bytes)).toEqual([{ message: "a\ufffd\ufffd" }]);
  });

  test("other character sets and types are refused", async () => {
    expect(await values('{"message":"a"}', { type: 'application/json; charset="UTF-8"' })).toEqual([a]);
    expect(await values('{"message":"a"}', { type: "application/json;charset=us-ascii" })).toEqual([a]);
    expect(await refusal('{"message":"a"}', { type: "application/json; charset=utf-16" })).toMatch(/^415 .*UTF-8/);
    for (const type of ["multipart/form-data; boundary=x", "text/html", "application/xml", "__proto__"]) {
      expect(await refusal('{"message":"a"}', { type })).toMatch(/^415 .*application\/json/);
    }
  });
});

describe("limits", () => {
  const mebibyte = 1024 * 1024;

  test("10 MiB, told or not", async () => {
    const large = `{"message":"${"x".repeat(5 * mebibyte)}","more":"${"x".repeat(5 * mebibyte)}"}`;
    expect(await refusal(large)).toMatch(/^413 .*10 MiB/);
    expect(await refusal("", { length: String(11 * mebibyte) })).toMatch(/^413 .*10 MiB/);
    expect(await values(large.replace("x".repeat(30), ""))).toHaveLength(1);
  });

  test("a bomb is not inflated beyond the limit", async () => {
    const bomb = gzipSync(Buffer.alloc(128 * mebibyte), { level: 9 });
    const before = process.memoryUsage().rss;
    expect(await refusal(bomb, { encoding: "gzip" })).toMatch(/^413 .*10 MiB after decompression/);
    expect(process.memoryUsage().rss - before).toBeLessThan(100 * mebibyte);
  });

  test("a body that does not end is left at the limit, and its connection open", async () => {
    const chunk = Buffer.alloc(mebibyte, "x");
    let sent = 0;
    const endless = new Readable({
      read() {
        sent += 1;
        this.push(chunk);
      },
    });
    const headers = { contentEncoding: undefined, contentLength: undefined };
    await expect(readBodyBytes(endless, headers, options())).rejects.toMatchObject({ code: "PAYLOAD_TOO_LARGE" });
    expect(sent).toBeLessThan(20);
    expect(endless.destroyed).toBe(false);
  });

  test("10,000 entries", async () => {
    const lines = (count: number) => "{}\n".repeat(count);
    expect(await values(lines(10_000), { type: ndjson })).toHaveLength(10_000);
    expect(await refusal(lines(10_001), { type: ndjson })).toMatch(/^413 .*10000 entries/);
    expect(await refusal("x\n".repeat(10_001), { type: "text/plain" })).toMatch(/^413 /);
    expect(await refusal(`[${"1,".repeat(10_000)}1]`)).toMatch(/^413 /);
  });

  test("deep nesting reaches the entry's own verdict", async () => {
    for (const depth of [5_000, 8_000]) {
      const [value] = await values(`${"[".repeat(depth)}${"]".repeat(depth)}`);
      expect(normaliseEntry(value, 0, 0)).toEqual({
        rejected: { field: "", message: "must be an object or a string." },
      });
    }
  });
});

test("what would take the memory of the service to read is refused before it is read", async () => {
  const before = process.memoryUsage().rss;
  for (const body of [
    "[".repeat(9_000_000),
    '{"a":'.repeat(1_500_000),
    `["\\"]","${"[".repeat(20_000)}",${"[".repeat(2_000_000)}`,
  ]) {
    expect(await refusal(body)).toMatch(/^400 The body is not JSON: it is nested more than 10000 levels deep/);
  }
  expect(process.memoryUsage().rss - before).toBeLessThan(200 * 1024 * 1024);
  const brackets = "[{".repeat(1_000_000);
  expect(await values(JSON.stringify([{ message: `${brackets}"\\` }]))).toEqual([{ message: `${brackets}"\\` }]);
});

test.each([
  ["", /^400 The body is empty/],
  [" \n\t ", /^400 The body is empty/],
  ["42", /^400 The body must be/],
  ['"text"', /^400 The body must be/],
  ["null", /^400 The body must be/],
  ['{"logs":null}', /^400 logs: must be an array/],
  ['{"logs":{"message":"a"}}', /^400 logs: must be an array/],
  ['{"resourceLogs":{}}', /^400 resourceLogs: must be an array/],
  ['{"resourceLogs":[null]}', /^400 resourceLogs\[0\]: must be an object/],
  ['{"message":', /^400 The body is not JSON: /],
  ["hello", /^400 The body is not JSON: /],
  ['{"message":"a"} {"message":"b"}', /^400 The body is not JSON: /],
])("%j is refused", async (body, expected) => {
  expect(await refusal(body, { type: json })).toMatch(expected);
});

test("a connection that ends early is a refusal too", async () => {
  const broken = new Readable({
    read() {
      this.destroy(new Error("aborted"));
    },
  });
  const headers = { contentEncoding: undefined, contentLength: undefined };
  await expect(readBodyBytes(broken, headers, options())).rejects.toMatchObject({ code: "VALIDATION_ERROR" });
});

test("any bytes under any headers end in entries or in a refusal", async () => {
  const bytes = fc.oneof(
    fc.uint8Array({ maxLength: 200 }),
    fc.json().map((text) => Buffer.from(text)),
    fc.array(fc.oneof(fc.json(), fc.string()), { maxLength: 5 }).map((lines) => Buffer.from(lines.join("\n"))),
  );
  const packed = fc
    .tuple(bytes, fc.constantFrom("gzip", "deflate", undefined), fc.boolean())
    .map(([body, encoding, zip]) => ({
      body: zip ? (encoding === "deflate" ? deflateSync(body) : gzipSync(body)) : body,
      encoding,
    }));
  const types = fc.constantFrom(
    json,
    ndjson,
    "text/plain",
    "",
    "application/x-www-form-urlencoded",
    "image/png",
    ";;=",
  );
  await fc.assert(
    fc.asyncProperty(packed, types, async ({ body, encoding }, type) => {
      try {
        const { entries, rejected } = await read(body, { type, ...(encoding && { encoding }) });
        const places = [...entries, ...rejected].map(({ index }) => index).sort((x, y) => x - y);
        expect(places).toEqual(places.map((_, index) => index));
      } catch (error) {
        expect(error).toBeInstanceOf(ApiError);
        expect([400, 413, 415]).toContain((error as ApiError).status);
      }
    }),
    { numRuns: 2000 },
  );
});
