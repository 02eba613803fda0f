import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { bearer, send, startTestService, type TestService } from "./support/index.ts";

/*
 * Values that users of similar products reported as lost or misread: each is sent over HTTP, and found as it should be.
 */

let service: TestService;
beforeAll(async () => {
  service = await startTestService();
});
afterAll(() => service.close());

const unique = () => `m${randomBytes(6).toString("hex")}`;

function intake(body: string | Uint8Array, headers: Record<string, string> = {}) {
  return send(service, "POST /v1/logs", {
    headers: { "x-sazabi-key": service.publicKey, "content-type": "application/json", ...headers },
    body,
  });
}

async function found(query: string) {
  const body = { search: { query }, pagination: { limit: 1000 }, sort: { field: "timestamp", direction: "asc" } };
  return (await send(service, "POST /v1/logs/query", { headers: bearer(service.secretKey), body })).body.data;
}

/** The one entry that is stored of `members`, which is the inside of a JSON object. */
async function storedOf(members: string) {
  const tag = unique();
  expect((await intake(`{"tag":"${tag}",${members}}`)).status).toBe(202);
  const entries = await found(`tag:${tag}`);
  expect(entries).toHaveLength(1);
  const { tag: _, ...attributes } = entries[0].attributes;
  return { ...entries[0], attributes };
}

describe("a time", () => {
  // Five minutes ago, at a whole second: the same moment in every spelling.
  const at = Math.floor(Date.now() / 1000) * 1000 - 300_000;
  const iso = new Date(at).toISOString().slice(0, 19);
  const shifted = (hours: number) => new Date(at + hours * 3_600_000).toISOString().slice(0, 19);
  const [, month] = new Date(at).toUTCString().match(/^\w+, \d+ (\w+)/) as RegExpMatchArray;
  const [day, year, clock] = [iso.slice(8, 10), iso.slice(0, 4), iso.slice(11)];
  const zero = `${iso}.000Z`;

  test.each([
    [`"${iso}Z"`, zero],
    [`"${iso}.123456789Z"`, `${iso}.123456Z`],
    [`"${shifted(2)}+02:00"`, zero],
    [`"${shifted(2)}.5+0200"`, `${iso}.500Z`],
    [`"${shifted(-8)}.123456-08"`, `${iso}.123456Z`],
    [`"${iso.replace("T", " ")},123"`, `${iso}.123Z`],
    [`"${iso.replace("T", " ")} UTC"`, zero],
    [`"${iso.replaceAll("-", "/").replace("T", " ")}"`, zero],
    [`"${day}/${month}/${year}:${clock} +0000"`, zero],
    [`"${new Date(at).toUTCString()}"`, zero],
    [`${at / 1000}`, zero],
    [`"${at / 1000}"`, zero],
    [`${at / 1000}.25`, `${iso}.250Z`],
    [`"${at / 1000}.25"`, `${iso}.250Z`],
    [`${at}`, zero],
    [`"${at}"`, zero],
    [`"${at}001"`, `${iso}.000001Z`],
    [`"${at}001999"`, `${iso}.000001Z`],
    [`${at}000000`, zero],
  ])("written as %s is read to the microsecond", async (written, timestamp) => {
    expect(await storedOf(`"message":"x","timestamp":${written}`)).toMatchObject({ timestamp, attributes: {} });
  });

  test.each([
    ["-5", -5],
    ["0", 0],
    ["1e400", "Infinity"],
    ['"10000-01-01T00:00:00Z"', "10000-01-01T00:00:00Z"],
    ['"2026-11-31T09:00:48Z"', "2026-11-31T09:00:48Z"],
    ['"2026-11-30 09:00:09 XYZ"', "2026-11-30 09:00:09 XYZ"],
  ])("that cannot be, %s, is the time of arrival, and kept", async (written, original) => {
    const before = Date.now();
    const entry = await storedOf(`"message":"x","timestamp":${written}`);
    expect(Date.parse(entry.timestamp)).toBeGreaterThanOrEqual(before - 5_000);
    expect(entry.attributes).toEqual({ "timestamp.original": original });
  });
});

describe("a member", () => {
  test.each<[string, string, object]>([
    ["a journal's empty message", '"MESSAGE":null,"PRIORITY":"3","_PID":"7"', { message: "", level: "error" }],
    ["a service that is a text", '"message":"x","service":"api"', { service: "api" }],
    ["a service that is an object", '"message":"x","service":{"name":"api","version":"2"}', { service: "api" }],
    ["a service that is a number", '"message":"x","service":7', { service: "7" }],
    ["a service that is a list", '"message":"x","service":["a","b"]', { attributes: { service: '["a","b"]' } }],
    ["bunyan's level", '"msg":"x","level":40,"v":0,"hostname":"h"', { message: "x", level: "warn" }],
    ["a level inside a URL", '"message":"GET /error?level=fatal 200"', { level: "info" }],
    [
      "a name that comes twice",
      '"message":"first","message":"last","a":1,"a":2',
      { message: "last", attributes: { a: 2 } },
    ],
    ["a flat name before a nested one", '"message":"x","a.b":1,"a":{"b":2}', { attributes: { "a.b": 1 } }],
    ["NULs before the text", '"message":"\\u0000\\u0000line"', { message: "\u2400\u2400line" }],
    ["half a surrogate pair", '"message":"a\\ud800b"', { message: "a\ufffdb" }],
    ["Cyrillic, CJK and emoji", '"message":"Ошибка 接続エラー 🚒"', { message: "Ошибка 接続エラー 🚒" }],
  ])("%s", async (_, members, expected) => {
    expect(await storedOf(members)).toMatchObject(expected);
  });

  test("of which the second spelling is kept beside the attributes", async () => {
    const { attributes } = await storedOf('"message":"x","a.b":1,"a":{"b":2}');
    expect(JSON.parse(attributes["sazabi.overflow"])).toEqual({ "a.b": 2 });
  });

  test("of the same name may have another type in each entry, and is found by each", async () => {
    const name = unique();
    const values = ['"7"', "7", "true", "null", '{"deep":"v"}', '["a","b"]', '"text"'];
    expect((await intake(`[${values.map((value) => `{"message":"typed","${name}":${value}}`)}]`)).status).toBe(202);
    const count = async (query: string) => (await found(query)).length;
    expect(await count(`${name}:*`)).toBe(5);
    expect(await count(`${name}:7`)).toBe(2);
    expect(await count(`${name}:"7"`)).toBe(2);
    expect(await count(`${name}:true`)).toBe(1);
    expect(await count(`${name}:null`)).toBe(1);
    expect(await count(`${name}.deep:v`)).toBe(1);
    expect(await count(`${name}:b`)).toBe(1);
    expect(await count(`${name}:TEXT*`)).toBe(1);
  });
});

describe("a body", () => {
  test("with a line of 300 kB is stored, the line cut and flagged, and the next one whole", async () => {
    const tag = unique();
    const lines = [`${tag} ${"x".repeat(300_000)}`, `${tag} next`].join("\n");
    expect((await intake(lines, { "content-type": "text/plain" })).body.data).toMatchObject({ accepted: 2 });
    const [long, next] = await found(tag);
    expect(long.attributes).toEqual({ "sazabi.truncated": true });
    expect(next.message).toBe(`${tag} next`);
  });

  test("with a line of 1.2 MB loses this line alone, and says which", async () => {
    const tag = unique();
    const lines = [`${tag} ${"x".repeat(1_200_000)}`, `${tag} next`].join("\n");
    const { body } = await intake(lines, { "content-type": "text/plain" });
    expect(body.data).toMatchObject({ accepted: 1, rejected: [{ index: 0 }] });
    expect(await found(tag)).toMatchObject([{ message: `${tag} next` }]);
  });

  test.each([
    ["a byte order mark before JSON", (m: string) => `\ufeff{"message":"${m}"}`, "application/json"],
    ["a byte order mark before a line", (m: string) => `\ufeff${m}`, "text/plain"],
    ["a byte order mark and CRLF", (m: string) => `\ufeff{"message":"${m}"}\r\n`, "application/x-ndjson"],
    ["CRLF after plain lines", (m: string) => `${m}\r\n`, "text/plain"],
  ])("with %s", async (_, write, type) => {
    const message = unique();
    expect((await intake(write(message), { "content-type": type })).body.data).toEqual({ accepted: 1 });
    expect((await found(message)).map((entry: { message: string }) => entry.message)).toEqual([message]);
  });

  test("of Vercel's drain: an array, with times in milliseconds", async () => {
    const message = unique();
    const timestamp = Date.now() - 60_000;
    const sent = { id: "1573817187330", message, timestamp, source: "lambda", level: "error", projectName: "shop" };
    expect((await intake(JSON.stringify([sent, { ...sent, id: "1573817187331" }]))).body.data).toEqual({ accepted: 2 });
    const time = new Date(timestamp).toISOString();
    const expected = { message, level: "error", timestamp: time };
    expect(await found(message)).toMatchObject([expected, expected]);
  });

  const line = '{"message":"typed"}';
  test.each<[string, number]>([
    ["application/json", 202],
    ["application/json; charset=utf-8", 202],
    ["application/json;charset=UTF-8", 202],
    ['application/json; charset="utf-8"', 202],
    ["APPLICATION/JSON", 202],
    ["application/json; charset=us-ascii", 202],
    ["application/vnd.api+json", 202],
    ["application/x-ndjson", 202],
    ["application/ndjson", 202],
    ["application/jsonl", 202],
    ["text/plain", 202],
    ["text/plain; charset=utf-8", 202],
    ["application/octet-stream", 202],
    ["application/x-www-form-urlencoded", 202],
    ["application/json; charset=utf-16", 415],
    ["text/plain; charset=iso-8859-1", 415],
    ["application/json-seq", 415],
    ["application/vnd.serilog.clef", 415],
    ["application/xml", 415],
    ["text/html", 415],
    ["text/csv", 415],
    ["multipart/form-data; boundary=x", 415],
    ["image/png", 415],
  ])("of the type %s is answered %i", async (type, status) => {
    expect((await intake(line, { "content-type": type })).status).toBe(status);
  });

  test.each([
    ["no line end at the end", (m: string) => `{"index":{}}\n{"message":"${m}"}`],
    ["CRLF", (m: string) => `{"index":{}}\r\n{"message":"${m}"}\r\n`],
    ["blank lines at the end", (m: string) => `{"index":{}}\n{"message":"${m}"}\n\n\n`],
    [
      "a type, as Elasticsearch 6 has it",
      (m: string) => `{"index":{"_index":"l","_type":"_doc"}}\n{"message":"${m}"}\n`,
    ],
  ])("of _bulk with %s", async (_, write) => {
    const message = unique();
    const answer = await send(service, "POST /_bulk", {
      headers: { "x-sazabi-key": service.publicKey, "content-type": "application/x-ndjson" },
      body: write(message),
    });
    expect(answer).toMatchObject({ status: 200, body: { errors: false } });
    expect(await found(message)).toHaveLength(1);
  });
});
