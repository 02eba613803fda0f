import { deflateRawSync, deflateSync, gzipSync } from "node:zlib";
import { bytesField, varintField } from "../../src/logs/ingest/formats/protobuf.ts";

export interface FuzzedRequest {
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
}

type Random = () => number;

/** Mulberry32: the same numbers for the same seed, on every machine. */
function randomOf(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/**
 * A request to the intake that begins as a sound one of some format and is then spoilt, in its values, its bytes, its
 * compression or its headers; a few are left sound. The same for the same seed and key.
 */
export function malformedRequest(seed: number, publicKey: string): FuzzedRequest {
  const random = randomOf(seed);
  const format = pick(random, formats);
  let headers: Record<string, string> = { "content-type": format.type, ...credential(random, publicKey) };
  let body = format.write(random, publicKey);
  if (chance(random, 0.35)) body = spoilBytes(random, body);
  const encoding = pick(random, encodings);
  if (encoding.name) headers["content-encoding"] = encoding.name;
  body = encoding.pack(body);
  if (encoding.name && chance(random, 0.1)) body = spoilBytes(random, body);
  if (chance(random, 0.15)) headers = { ...headers, ...pick(random, strangeHeaders)(random) };
  const path = chance(random, 0.1) ? pick(random, formats).path : format.path;
  return { path, headers, body };
}

interface SentFormat {
  readonly path: string;
  readonly type: string;
  readonly write: (random: Random, publicKey: string) => Buffer;
}

const json = (value: unknown) => Buffer.from(JSON.stringify(value) ?? "undefined");
const lines = (values: readonly unknown[]) => Buffer.from(values.map((value) => JSON.stringify(value)).join("\n"));

const formats: readonly SentFormat[] = [
  { path: "/v1/logs", type: "application/json", write: (random) => json(spoilt(random, entry(random))) },
  { path: "/logs", type: "application/json", write: (random) => json(spoilt(random, many(random, entry))) },
  {
    path: "/v1/logs",
    type: "application/json",
    write: (random) => json(spoilt(random, { logs: many(random, entry) })),
  },
  {
    path: "/v1/logs",
    type: "application/x-ndjson",
    write: (random) => lines(many(random, (r) => spoilt(r, entry(r)))),
  },
  { path: "/v1/logs", type: "text/plain", write: (random) => Buffer.from(many(random, text).join("\n")) },
  { path: "/v1/logs", type: "application/json", write: otlpJson },
  { path: "/adapters/otlp", type: "application/json", write: otlpJson },
  { path: "/v1/logs", type: "application/x-protobuf", write: otlpProtobuf },
  { path: "/adapters/otlp/v1/logs", type: "application/x-protobuf", write: otlpProtobuf },
  { path: "/loki/api/v1/push", type: "application/json", write: (random) => json(spoilt(random, lokiPush(random))) },
  { path: "/_bulk", type: "application/x-ndjson", write: bulk },
  { path: "/logs-fuzz/_bulk", type: "application/vnd.elasticsearch+x-ndjson", write: bulk },
];

function otlpJson(random: Random, publicKey: string): Buffer {
  const attribute = (r: Random) => ({ key: text(r), value: anyValue(r, 0) });
  const record = (r: Random) => ({
    timeUnixNano: `${Date.now()}000000`,
    severityNumber: Math.floor(r() * 30),
    severityText: text(r),
    body: anyValue(r, 0),
    attributes: many(r, attribute),
    traceId: "4bf92f3577b34da6a3ce929d0e0e4736",
    flags: 1,
  });
  const keyAttribute = chance(random, 0.3) ? [{ key: "sazabi.public_key", value: { stringValue: publicKey } }] : [];
  const resourceLogs = (r: Random) => ({
    resource: { attributes: [...keyAttribute, ...many(r, attribute)] },
    scopeLogs: many(r, (inner) => ({ scope: { name: text(inner) }, logRecords: many(inner, record) })),
  });
  return json(spoilt(random, { resourceLogs: many(random, resourceLogs) }));
}

function anyValue(random: Random, depth: number): unknown {
  const kinds = [
    () => ({ stringValue: text(random) }),
    () => ({ intValue: String(Math.floor(random() * 2 ** 53)) }),
    () => ({ boolValue: true }),
    () => ({ doubleValue: random() * 1e300 }),
    () => ({ bytesValue: "AQID" }),
    () => (depth > 3 ? {} : { arrayValue: { values: many(random, (r) => anyValue(r, depth + 1)) } }),
    () => (depth > 3 ? {} : { kvlistValue: { values: [{ key: text(random), value: anyValue(random, depth + 1) }] } }),
  ];
  return pick(random, kinds)();
}

function otlpProtobuf(random: Random, publicKey: string): Buffer {
  const value = (r: Random, depth = 0): Buffer =>
    chance(r, 0.3) && depth < 120
      ? bytesField(5, bytesField(1, chance(r, 0.02) ? nested(150) : value(r, depth + 1)))
      : chance(r, 0.2)
        ? varintField(3, Math.floor(r() * 2 ** 53))
        : bytesField(1, text(r));
  const pair = (r: Random, field: number) =>
    bytesField(field, Buffer.concat([bytesField(1, text(r)), bytesField(2, value(r))]));
  const record = (r: Random) =>
    Buffer.concat([varintField(2, Math.floor(r() * 30)), bytesField(5, value(r)), pair(r, 6), unknownField(r)]);
  const key = Buffer.concat([bytesField(1, "sazabi.public_key"), bytesField(2, bytesField(1, publicKey))]);
  const resource = (r: Random) =>
    bytesField(1, Buffer.concat([...(chance(r, 0.3) ? [bytesField(1, key)] : []), pair(r, 1)]));
  const scopeLogs = (r: Random) => bytesField(2, Buffer.concat(many(r, (inner) => bytesField(2, record(inner)))));
  return Buffer.concat(many(random, (r) => bytesField(1, Buffer.concat([resource(r), ...many(r, scopeLogs)]))));
}

function nested(depth: number): Buffer {
  let value = bytesField(1, "x");
  for (let at = 0; at < depth; at++) value = bytesField(5, bytesField(1, value));
  return value;
}

function unknownField(random: Random): Buffer {
  if (chance(random, 0.8)) return Buffer.alloc(0);
  return pick(random, [
    varintField(90, 7),
    bytesField(91, "x"),
    Buffer.from([0x7b, 0x08, 0x01, 0x7c]),
    Buffer.from([0x7b]),
  ]);
}

function lokiPush(random: Random): unknown {
  const value = (r: Random) => [`${Date.now()}000000`, text(r), ...(chance(r, 0.3) ? [{ user: text(r) }] : [])];
  return { streams: many(random, (r) => ({ stream: { app: text(r), level: "warn" }, values: many(r, value) })) };
}

function bulk(random: Random): Buffer {
  return lines(
    many(random, (r) => {
      const action = pick(r, ["create", "create", "index", "index", "delete", "update"]);
      const target = spoilt(r, { [action]: chance(r, 0.5) ? { _index: "logs", _id: text(r) } : {} }, 0.05);
      return action === "delete" ? [target] : [target, spoilt(r, entry(r))];
    }).flat(),
  );
}

function entry(random: Random): unknown {
  return {
    message: text(random),
    level: pick(random, ["info", "error", 50, "odd"]),
    timestamp: pick(random, [new Date().toISOString(), Date.now(), "yesterday", -1]),
    service: text(random),
    attributes: { [text(random)]: text(random), http: { status: 500 } },
  };
}

/** What breaks programs. */
const texts = [
  "",
  " ",
  "\u0000",
  "\ud800",
  "\udfff\ud800",
  "__proto__",
  "constructor",
  "sazabi.public_key",
  "\\N",
  "\\.",
  "\t",
  "\n",
  '"',
  "{",
  "'; drop table logs; --",
  "😀",
  "\u202e",
  "a.b.c",
  "message",
  "x".repeat(300),
  "é".repeat(5000),
];

function text(random: Random): string {
  return chance(random, 0.4) ? pick(random, texts) : `fuzz ${Math.floor(random() * 1e6)}`;
}

const values: readonly (() => unknown)[] = [
  () => null,
  () => true,
  () => 0,
  () => -0.5,
  () => 1e308,
  () => 2 ** 64,
  () => "",
  () => [],
  () => ({}),
  () => [[[[]]]],
  () => JSON.parse('{"__proto__":{"polluted":1},"constructor":{"prototype":{}}}'),
  () => deep(30),
  () => deep(300),
  () => Array.from({ length: 300 }, (_, at) => at),
  () => Object.fromEntries(Array.from({ length: 400 }, (_, at) => [`k${at}`, at])),
];

function deep(depth: number): unknown {
  let value: unknown = "x";
  for (let at = 0; at < depth; at++) value = at % 2 ? [value] : { a: value };
  return value;
}

/** With `rate` for each value in it, another in its place, or none. */
function spoilt(random: Random, value: unknown, rate = 0.04): unknown {
  if (chance(random, rate)) return chance(random, 0.3) ? text(random) : pick(random, values)();
  if (Array.isArray(value)) return value.map((one) => spoilt(random, one, rate));
  if (typeof value !== "object" || value === null) return value;
  const members = Object.entries(value).filter(() => !chance(random, rate / 2));
  return Object.fromEntries(
    members.map(([key, inner]) => [chance(random, rate / 2) ? text(random) : key, spoilt(random, inner, rate)]),
  );
}

function spoilBytes(random: Random, bytes: Buffer): Buffer {
  const at = Math.floor(random() * bytes.length);
  const to = Math.min(bytes.length, at + Math.floor(random() * 20));
  const spoilers: readonly (() => Buffer)[] = [
    () => bytes.subarray(0, at),
    () => Buffer.concat([bytes.subarray(0, at), bytes.subarray(to)]),
    () => Buffer.concat([bytes.subarray(0, to), bytes.subarray(at)]),
    () => Buffer.concat([bytes.subarray(0, at), Buffer.from([Math.floor(random() * 256)]), bytes.subarray(at)]),
    () => Buffer.concat([bytes, Buffer.from("\n\u0000{")]),
    () => {
      const flipped = Buffer.from(bytes);
      for (let count = 0; count < 3 && flipped.length > 0; count++) {
        const place = Math.floor(random() * flipped.length);
        flipped[place] = (flipped[place] as number) ^ (1 << Math.floor(random() * 8));
      }
      return flipped;
    },
    () => Buffer.from(Array.from({ length: Math.floor(random() * 200) }, () => Math.floor(random() * 256))),
    () => Buffer.alloc(0),
  ];
  return pick(random, spoilers)();
}

const plain = (bytes: Buffer) => bytes;

const encodings: readonly { readonly name: string; readonly pack: (bytes: Buffer) => Buffer }[] = [
  ...Array.from({ length: 8 }, () => ({ name: "", pack: plain })),
  { name: "gzip", pack: (bytes) => gzipSync(bytes) },
  { name: "gzip", pack: (bytes) => gzipSync(bytes) },
  { name: "deflate", pack: (bytes) => deflateSync(bytes) },
  { name: "deflate", pack: (bytes) => deflateRawSync(bytes) },
  { name: "gzip", pack: plain },
  { name: "identity", pack: plain },
];

const strangeHeaders: readonly ((random: Random) => Record<string, string>)[] = [
  (random) => ({ "content-type": pick(random, formats).type }),
  (random) => ({
    "content-type": pick(random, [
      "",
      ";",
      "application/json; charset=utf-16",
      "text/html",
      "a/b+json",
      "__proto__",
      "multipart/form-data",
    ]),
  }),
  (random) => ({ "content-encoding": pick(random, ["br", "gzip, gzip", "GZIP", "compress", ""]) }),
  (random) => ({ "idempotency-key": pick(random, ["x".repeat(201), "a b", "é", "sk_live_aaaaaaaaaaaaaaaa"]) }),
  (random) => ({ "idempotency-key": `fuzz-${random()}` }),
  () => ({ origin: "https://shop.example", "x-scope-orgid": "7", "x-request-id": "\u00ff" }),
];

function credential(random: Random, key: string): Record<string, string> {
  const base64 = (text: string) => Buffer.from(text).toString("base64");
  return pick<Record<string, string>>(random, [
    ...Array.from({ length: 12 }, () => ({ "x-sazabi-key": key })),
    ...Array.from({ length: 6 }, () => ({ authorization: `Bearer ${key}` })),
    { authorization: `Basic ${base64(`fuzz:${key}`)}` },
    { authorization: `ApiKey ${base64(`fuzz:${key}`)}` },
    { authorization: `ApiKey ${key}`, "x-api-key": key },
    { authorization: "Bearer" },
    { authorization: `Basic ${key}`, "x-sazabi-key": key },
    {},
    {},
  ]);
}

function many<T>(random: Random, make: (random: Random) => T): T[] {
  return Array.from({ length: Math.floor(random() * 4) }, () => make(random));
}

function pick<T>(random: Random, from: readonly T[]): T {
  return from[Math.floor(random() * from.length)] as T;
}

function chance(random: Random, of: number): boolean {
  return random() < of;
}
