import { gzipSync } from "node:zlib";
import { bytesField } from "../../src/logs/ingest/formats/protobuf.ts";

/** A body that is made to cost the service as much as it can. */
export interface HostileBody {
  readonly name: string;
  readonly path: string;
  /** Which key of the attacker's it comes with. */
  readonly key: "public" | "secret" | "none";
  readonly contentType: string;
  /** Compressed where it is large. */
  readonly make: () => Buffer;
}

const json = "application/json";
const protobuf = "application/x-protobuf";
const mebibyte = 1024 * 1024;
const list = <T>(length: number, make: (at: number) => T): T[] => Array.from({ length }, (_, at) => make(at));
const intake = { path: "/v1/logs", key: "public", contentType: json } as const;

/** Each holds the event loop, or takes memory, in a way of its own. */
export const hostileBodies: readonly HostileBody[] = [
  {
    ...intake,
    name: "bomb without a key",
    key: "none",
    make: () => Buffer.alloc(10 * mebibyte - 10, " "),
  },
  {
    ...intake,
    name: "a key that nobody has, in a mebibyte of OTLP",
    key: "none",
    make: () =>
      otlp(
        [{ key: "sazabi.public_key", value: "no key" }],
        list(6_000, () => ({ body: "x" })),
        1_000_000,
      ),
  },
  {
    ...intake,
    name: "one entry with a million members",
    make: () => Buffer.from(`{"message":"m",${list(1_000_000, (at) => `"${at}":1`).join(",")}}`),
  },
  {
    ...intake,
    name: "300,000 attributes of different names",
    make: () => entries(4_000, (at) => Object.fromEntries(list(75, (k) => [`a${at}_${k}`, 1]))),
  },
  {
    ...intake,
    name: "dotted names that meet",
    make: () => entries(3_000, (at) => ({ a: Object.fromEntries(list(100, (k) => [k, at])), ...dotted(at) })),
  },
  {
    ...intake,
    name: "NULs and halves of surrogate pairs",
    make: () => entries(40, () => ({ text: "\0\ud800".repeat(15_000) })),
  },
  {
    ...intake,
    name: "five million numbers",
    make: () => Buffer.from(`{"message":"m","a":[${"1,".repeat(5_000_000)}1]}`),
  },
  {
    ...intake,
    name: "lines of many empty objects",
    contentType: "application/x-ndjson",
    make: () => Buffer.from(`{"message":"m","a":[${"{},".repeat(1_600)}{}]}\n`.repeat(1_800)),
  },
  { ...intake, name: "escapes", make: () => Buffer.from(`{"message":"${"\\u0041".repeat(1_700_000)}"}`) },
  { ...intake, name: "brackets", make: () => Buffer.from("[".repeat(10_000_000)) },
  {
    ...intake,
    name: "OTLP with many attributes",
    make: () =>
      otlp(
        [],
        list(100, () => ({ body: "x", attributes: list(2_000, (at) => ({ key: `k${at}`, value: "v" })) })),
      ),
  },
  {
    ...intake,
    name: "protobuf of empty attributes",
    contentType: protobuf,
    make: () => protobufRecord(Buffer.alloc(9_000_000, Buffer.from([0x32, 0]))),
  },
  {
    ...intake,
    name: "protobuf of unknown fields",
    contentType: protobuf,
    make: () => bytesField(1, Buffer.alloc(9_000_000, Buffer.from([0x78, 0]))),
  },
  {
    ...intake,
    name: "Loki's line of many members",
    path: "/loki/api/v1/push",
    make: () => {
      const line = `{"message":"m",${list(400_000, (at) => `"${at}":1`).join(",")}}`;
      return Buffer.from(JSON.stringify({ streams: [{ stream: {}, values: [["1", line]] }] }));
    },
  },
  {
    ...intake,
    name: "bulk of large documents",
    path: "/_bulk",
    make: () => {
      const document = JSON.stringify({ message: "m", ...Object.fromEntries(list(9_000, (at) => [`k${at}`, at])) });
      return Buffer.from(`{"create":{}}\n${document}\n`.repeat(70));
    },
  },
  {
    ...intake,
    name: "10,000 usual entries",
    make: () => entries(10_000, (at) => ({ level: "info", path: `/a/b/${at}`, pad: "x".repeat(600) })),
  },
  {
    name: "a query with many unknown members",
    path: "/v1/logs/query",
    key: "secret",
    contentType: json,
    make: () => Buffer.from(`{${list(20_000, (at) => `"k${at}":1`).join(",")}}`),
  },
  {
    name: "a query with many filters",
    path: "/v1/logs/query",
    key: "secret",
    contentType: json,
    make: () => Buffer.from(`{"filters":[${list(30_000, () => "{}").join(",")}]}`),
  },
];

export interface AttackerKeys {
  readonly publicKey: string;
  readonly secretKey: string;
}

const keyHeaders = {
  public: ({ publicKey }: AttackerKeys) => ({ "x-sazabi-key": publicKey }),
  secret: ({ secretKey }: AttackerKeys) => ({ authorization: `Bearer ${secretKey}` }),
  none: () => ({}),
};

/** Sends it once, and says how it was answered; 0 when the connection was closed. */
export function senderOf(hostile: HostileBody): (url: string, keys: AttackerKeys) => Promise<number> {
  const made = hostile.make();
  const isLarge = made.length > 256 * 1024;
  const body = new Uint8Array(isLarge ? gzipSync(made, { level: 1 }) : made);
  return async (url, keys) => {
    const headers = {
      // A busy machine may reuse a connection at the moment in which it is closed.
      connection: "close",
      "content-type": hostile.contentType,
      ...(isLarge && { "content-encoding": "gzip" }),
      ...keyHeaders[hostile.key](keys),
    };
    try {
      const answer = await fetch(new URL(hostile.path, url), { method: "POST", headers, body });
      await answer.arrayBuffer();
      return answer.status;
    } catch {
      return 0;
    }
  };
}

function entries(count: number, members: (at: number) => object): Buffer {
  return Buffer.from(JSON.stringify(list(count, (at) => ({ message: "m", ...members(at) }))));
}

function dotted(at: number): object {
  return Object.fromEntries(list(100, (k) => [`a.${k}`, at + 1]));
}

interface Attribute {
  readonly key: string;
  readonly value: string;
}

function otlp(
  resource: readonly Attribute[],
  records: readonly { body: string; attributes?: readonly Attribute[] }[],
  bytes = Number.POSITIVE_INFINITY,
): Buffer {
  const attributesOf = (attributes: readonly Attribute[]) =>
    attributes.map(({ key, value }) => ({ key, value: { stringValue: value } }));
  const logRecords = records.map(({ body, attributes = [] }) => ({
    body: { stringValue: body },
    attributes: attributesOf(attributes),
  }));
  const request = { resourceLogs: [{ resource: { attributes: attributesOf(resource) }, scopeLogs: [{ logRecords }] }] };
  const text = JSON.stringify(request);
  if (text.length > bytes) throw new Error("The request is larger than it should be.");
  return Buffer.from(text);
}

function protobufRecord(record: Buffer): Buffer {
  return bytesField(1, bytesField(2, bytesField(2, record)));
}
