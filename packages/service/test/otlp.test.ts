import { randomBytes } from "node:crypto";
import { gzipSync } from "node:zlib";
import { ROOT_CONTEXT, trace } from "@opentelemetry/api";
import { OTLPLogExporter as JsonExporter } from "@opentelemetry/exporter-logs-otlp-http";
import { OTLPLogExporter as ProtobufExporter } from "@opentelemetry/exporter-logs-otlp-proto";
import { resourceFromAttributes } from "@opentelemetry/resources";
import { LoggerProvider, type LogRecordExporter, SimpleLogRecordProcessor } from "@opentelemetry/sdk-logs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { bytesField, ProtobufReader, varintField } from "../src/logs/ingest/formats/protobuf.ts";
import { freshDatabase } from "./support/database.ts";
import { bearer, queryDatabase, send, startTestService, type TestService } from "./support/index.ts";
import { openCuttableProxy } from "./support/proxy.ts";

let service: TestService;
beforeAll(async () => {
  service = await startTestService();
});
afterAll(() => service.close());

const unique = () => `m${randomBytes(6).toString("hex")}`;
const withKey = () => ({ "x-sazabi-key": service.publicKey });
const protobuf = { "content-type": "application/x-protobuf" };

async function found(query: string) {
  const answer = await send(service, "POST /v1/logs/query", {
    headers: bearer(service.secretKey),
    body: { search: { query }, pagination: { limit: 1000 } },
  });
  return answer.body.data;
}

function post(path: string, body: unknown, headers: Record<string, string> = withKey()) {
  return send(service, `POST ${path}`, { headers, body });
}

type Attributes = readonly { readonly key: string; readonly value: unknown }[];

function attributes(members: Record<string, unknown>): Attributes {
  return Object.entries(members).map(([key, value]) => ({ key, value }));
}

function request(records: readonly unknown[], resource: Record<string, unknown> = {}): object {
  return {
    resourceLogs: [
      {
        resource: { attributes: attributes(resource) },
        scopeLogs: [{ scope: { name: "sazabi-cli-forward", version: "1.0.0" }, logRecords: records }],
      },
    ],
  };
}

const text = (stringValue: string) => ({ stringValue });

describe.each([
  ["JSON", (url: string, headers: Record<string, string>) => new JsonExporter({ url, headers })],
  ["protobuf", (url: string, headers: Record<string, string>) => new ProtobufExporter({ url, headers })],
  [
    "protobuf, gzip",
    (url: string, headers: Record<string, string>) =>
      new ProtobufExporter({ url, headers, compression: "gzip" as never }),
  ],
] as const)("the OpenTelemetry SDK, %s", (_, makeExporter) => {
  /** Resolves with what the exporter was told. */
  async function emit(exporter: LogRecordExporter, record: object, resource: Record<string, string> = {}) {
    const told: string[] = [];
    const telling = {
      export(records: Parameters<LogRecordExporter["export"]>[0], done: Parameters<LogRecordExporter["export"]>[1]) {
        exporter.export(records, (result) => {
          told.push(result.error ? result.error.message : "stored");
          done(result);
        });
      },
      forceFlush: () => exporter.forceFlush(),
      shutdown: () => exporter.shutdown(),
    } satisfies LogRecordExporter;
    const provider = new LoggerProvider({
      resource: resourceFromAttributes({
        "service.name": "checkout",
        "deployment.environment.name": "prod",
        ...resource,
      }),
      processors: [new SimpleLogRecordProcessor({ exporter: telling } as never)],
    });
    provider.getLogger("payments", "1.2.3").emit(record);
    await provider.forceFlush();
    await provider.shutdown();
    return told;
  }

  const spanContext = {
    traceId: "4BF92F3577B34DA6A3CE929D0E0E4736".toLowerCase(),
    spanId: "00f067aa0ba902b7",
    traceFlags: 1,
  };

  test("what was emitted is stored as it was", async () => {
    const message = unique();
    const timestamp = new Date(Date.now() - 60_000);
    const record = {
      timestamp,
      body: message,
      severityNumber: 18,
      severityText: "ERROR2",
      eventName: "payment.failed",
      context: trace.setSpanContext(ROOT_CONTEXT, spanContext),
      attributes: {
        text: "émoji 😀",
        count: 42,
        negative: -7,
        ratio: 0.5,
        ok: true,
        list: ["a", 1, null],
        nested: { deep: { er: "x" } },
        bytes: new Uint8Array([1, 2, 255]),
      },
    };
    expect(await emit(makeExporter(`${service.url}/v1/logs`, withKey()), record, { "host.name": "web-1" })).toEqual([
      "stored",
    ]);
    const [entry] = await found(message);
    expect(entry).toMatchObject({
      message,
      timestamp: timestamp.toISOString(),
      level: "error",
      service: "checkout",
      environment: "prod",
      trace_id: spanContext.traceId,
      span_id: spanContext.spanId,
      attributes: {
        text: "émoji 😀",
        count: 42,
        negative: -7,
        ratio: 0.5,
        ok: true,
        list: '["a",1,null]',
        "nested.deep.er": "x",
        bytes: "AQL/",
        "event.name": "payment.failed",
        "level.original": "ERROR2",
        severity_number: 18,
        trace_flags: 1,
        "host.name": "web-1",
        "otel.scope.name": "payments",
        "otel.scope.version": "1.2.3",
      },
    });
  });

  test("a body of any kind becomes the message, and one that is a log of its own is read as one", async () => {
    const mark = unique();
    for (const body of [7, true, ["a", mark], { [mark]: 1 }, { msg: mark, code: 7 }]) {
      await emit(makeExporter(`${service.url}/adapters/otlp`, withKey()), { body, attributes: { mark } });
    }
    const entries = await found(`mark:${mark}`);
    expect(entries.map(({ message }: { message: string }) => message).sort()).toEqual(
      ["7", "true", JSON.stringify(["a", mark]), JSON.stringify({ [mark]: 1 }), mark].sort(),
    );
    expect(entries.find(({ message }: { message: string }) => message === mark).attributes).toMatchObject({ code: 7 });
  });

  test("the key may be a resource attribute, which is not stored", async () => {
    const message = unique();
    const resource = { "sazabi.public_key": service.publicKey };
    expect(await emit(makeExporter(`${service.url}/adapters/otlp/v1/logs`, {}), { body: message }, resource)).toEqual([
      "stored",
    ]);
    const [entry] = await found(message);
    expect(JSON.stringify(entry)).not.toContain(service.publicKey);
    expect(entry.attributes).not.toHaveProperty(["sazabi.public_key"]);
  });

  test("a wrong key is reported and not tried again", async () => {
    const [told] = await emit(makeExporter(`${service.url}/v1/logs`, { "x-sazabi-key": "pk_live_wrong" }), {
      body: "x",
    });
    expect(told).not.toBe("stored");
  });
});

describe("answers", () => {
  test("a success is an ExportLogsServiceResponse in the encoding of the request", async () => {
    const json = await post("/v1/logs", request([{ body: text(unique()) }]));
    expect(json).toMatchObject({ status: 200, body: { partialSuccess: {} } });
    expect(json.headers.get("content-type")).toBe("application/json");
    const binary = await post("/v1/logs", new Uint8Array(), { ...withKey(), ...protobuf });
    expect(binary).toMatchObject({ status: 200, text: "" });
    expect(binary.headers.get("content-type")).toBe("application/x-protobuf");
  });

  test("records that cannot be stored are counted, and cost their neighbours nothing", async () => {
    const message = unique();
    const records = [{ body: text(message) }, { attributes: 7 }, {}, { body: text(message) }];
    const answer = await post("/v1/logs", request(records.map((record) => record)));
    expect(answer).toMatchObject({ status: 200, body: { partialSuccess: { rejectedLogRecords: "1" } } });
    expect(answer.body.partialSuccess.errorMessage).toMatch(/1 of 4 .*record 1: attributes must be an array/);
    expect(await found(message)).toHaveLength(2);
  });

  test("the same in protobuf", async () => {
    const message = unique();
    const deep = (depth: number): Buffer => {
      let value = bytesField(1, "x");
      for (let at = 0; at < depth; at++) value = bytesField(5, bytesField(1, value));
      return value;
    };
    const record = (value: Buffer) => bytesField(2, bytesField(5, value));
    const scopeLogs = Buffer.concat([
      record(bytesField(1, message)),
      record(deep(150)),
      record(bytesField(1, message)),
    ]);
    const answer = await rawProtobuf(bytesField(1, bytesField(2, scopeLogs)));
    expect(answer.status).toBe(200);
    const partial = new ProtobufReader(answer.bytes);
    partial.tag();
    const inner = partial.message();
    inner.tag();
    expect(inner.int64()).toBe(1);
    inner.tag();
    expect(inner.string()).toMatch(/1 of 3 .*record 1: it is nested more than 100 levels deep/);
    expect(await found(message)).toHaveLength(2);
  });

  test("none good: 400, as everywhere", async () => {
    expect(await post("/v1/logs", request([{ attributes: 7 }]))).toMatchObject({
      status: 400,
      body: { code: "VALIDATION_ERROR", issues: [{ path: "logs[0].attributes" }] },
    });
  });

  test("an error in protobuf is a google.rpc.Status, in JSON our one shape", async () => {
    const refusals: [string, Buffer, Record<string, string>, number, number][] = [
      ["no protobuf", Buffer.from("{}"), withKey(), 400, 3],
      ["no key", Buffer.alloc(0), {}, 401, 16],
      ["a secret key", Buffer.alloc(0), bearer(service.secretKey), 403, 7],
      ["another encoding", Buffer.alloc(0), { ...withKey(), "content-encoding": "br" }, 415, 3],
      ["too large", Buffer.alloc(11 * 1024 * 1024), withKey(), 413, 3],
    ];
    for (const [what, body, headers, status, code] of refusals) {
      const answer = await rawProtobuf(body, headers);
      expect([what, answer.status]).toEqual([what, status]);
      const reader = new ProtobufReader(answer.bytes);
      expect([what, reader.tag(), reader.uint32(), reader.tag()]).toEqual([what, 8, code, 18]);
      expect(reader.string()).toMatch(/\w+ .*\./);
    }
    expect(await post("/adapters/otlp", "{", { ...withKey(), "content-type": "application/json" })).toMatchObject({
      status: 400,
      body: { code: "VALIDATION_ERROR" },
    });
  });

  test.each(["/v1/traces", "/v1/metrics", "/adapters/otlp/v1/traces", "/adapters/otlp/v1/metrics"])(
    "POST %s says how to stop sending there",
    async (path) => {
      const answer = await post(path, {}, {});
      expect(answer).toMatchObject({ status: 404, body: { code: "NOT_FOUND" } });
      expect(answer.body.message).toMatch(
        /Sazabi takes logs, not (traces|metrics)\. Set OTEL_(TRACES|METRICS)_EXPORTER=none/,
      );
      const binary = await rawProtobuf(Buffer.alloc(10), {}, path);
      expect(binary.headers.get("content-type")).toBe("application/x-protobuf");
    },
  );

  test("a retried request with an Idempotency-Key is stored once and answered alike", async () => {
    const message = unique();
    const body = request([{ body: text(message) }, { attributes: 7 }]);
    const headers = { ...withKey(), "idempotency-key": unique() };
    const first = await post("/v1/logs", body, headers);
    const second = await post("/v1/logs", body, headers);
    expect(second.body).toEqual(first.body);
    expect(await found(message)).toHaveLength(1);
    expect(await post("/v1/logs", request([{ body: text("other") }]), headers)).toMatchObject({ status: 409 });
  });

  test("too many requests: 429 with Retry-After, in the encoding of the request", async () => {
    const made = await send(service, "POST /v1/public-keys", {
      headers: bearer(service.secretKey),
      body: { name: "slow", requestsPerMinute: 1 },
    });
    const headers = { "x-sazabi-key": made.body.publicKey.value };
    expect((await rawProtobuf(Buffer.alloc(0), headers)).status).toBe(200);
    const refused = await rawProtobuf(Buffer.alloc(0), headers);
    expect(refused.status).toBe(429);
    expect(Number(refused.headers.get("retry-after"))).toBeGreaterThan(0);
    const reader = new ProtobufReader(refused.bytes);
    expect([reader.tag(), reader.uint32()]).toEqual([8, 8]);
  });

  test("a database that is away: 503 with Retry-After; the sender repeats it, and then it is stored", async () => {
    const database = await freshDatabase();
    const proxy = await openCuttableProxy(database.url);
    const other = await startTestService({ databaseUrl: proxy.url });
    try {
      const message = unique();
      const body = Buffer.from(bytesField(1, bytesField(2, bytesField(2, bytesField(5, bytesField(1, message))))));
      const ask = () => rawProtobuf(body, { "x-sazabi-key": other.publicKey }, "/v1/logs", other.url);
      expect((await ask()).status).toBe(200);
      proxy.cut();
      const refused = await ask();
      expect(refused.status).toBe(503);
      expect(refused.headers.get("retry-after")).toBe("1");
      proxy.restore();
      await expect.poll(async () => (await ask()).status, { timeout: 20_000 }).toBe(200);
    } finally {
      proxy.restore();
      await other.close();
      await proxy.close();
      await database.drop();
    }
  });

  test("any page may ask whether it may send", async () => {
    for (const path of ["/adapters/otlp", "/adapters/otlp/v1/logs", "/v1/traces"]) {
      const answer = await send(service, `OPTIONS ${path}`, { headers: { origin: "https://shop.example" } });
      expect(answer.status).toBe(204);
      expect(answer.headers.get("access-control-allow-origin")).toBe("*");
    }
    const sent = await post("/adapters/otlp", request([{ body: text("x") }]), {
      ...withKey(),
      origin: "https://shop.example",
    });
    expect(sent.headers.get("access-control-allow-origin")).toBe("*");
  });
});

describe("keys", () => {
  const keyed = (key: string, message: string) => ({
    resource: { attributes: attributes({ "sazabi.public_key": text(key) }) },
    scopeLogs: [{ logRecords: [{ body: text(message) }] }],
  });

  test("the request of the published command line: no header at all", async () => {
    const message = unique();
    const body = request(
      [
        {
          timeUnixNano: `${Date.now()}123456`,
          observedTimeUnixNano: `${Date.now()}123456`,
          severityNumber: 17,
          severityText: "ERROR",
          body: text(message),
          attributes: attributes({ file: text("app.log") }),
        },
      ],
      { "service.name": text("sazabi-cli"), "sazabi.public_key": text(service.publicKey) },
    );
    for (const path of ["/v1/logs", "/adapters/otlp"]) expect((await post(path, body, {})).status).toBe(200);
    const entries = await found(message);
    expect(entries).toHaveLength(2);
    expect(entries[0]).toMatchObject({ level: "error", service: "sazabi-cli", attributes: { file: "app.log" } });
  });

  test("a header and an attribute that agree", async () => {
    const answer = await post("/v1/logs", { resourceLogs: [keyed(service.publicKey, unique())] });
    expect(answer.status).toBe(200);
  });

  test.each([
    [
      "a header and an attribute that differ",
      () => ({ resourceLogs: [keyed("pk_live_other", "x")] }),
      withKey,
      400,
      "conflicting_credentials",
    ],
    [
      "two keys in one request",
      () => ({ resourceLogs: [keyed(service.publicKey, "x"), keyed("pk_live_other", "x")] }),
      () => ({}),
      400,
      "conflicting_credentials",
    ],
    [
      "a resource without a key among others",
      () => ({ resourceLogs: [keyed(service.publicKey, "x"), { scopeLogs: [{ logRecords: [{ body: text("x") }] }] }] }),
      () => ({}),
      400,
      "missing_api_key",
    ],
    ["no key anywhere", () => request([{ body: text("x") }]), () => ({}), 401, "missing_api_key"],
    [
      "a text that is no key",
      () => ({ resourceLogs: [keyed("pk_live_wrong", "x")] }),
      () => ({}),
      401,
      "malformed_api_key",
    ],
    ["a secret key", () => ({ resourceLogs: [keyed(service.secretKey, "x")] }), () => ({}), 403, "wrong_key_type"],
  ])("%s: refused, nothing stored, nothing told of the keys", async (_, body, headers, status, reason) => {
    const count = async () => (await queryDatabase(service.databaseUrl, "select count(*) from logs")).rows[0].count;
    const before = await count();
    const answer = await post("/v1/logs", body(), headers());
    expect(answer).toMatchObject({ status, body: { reason } });
    for (const key of [service.publicKey, service.secretKey, "pk_live_other"]) expect(answer.text).not.toContain(key);
    expect(await count()).toBe(before);
  });

  test("an attribute of that name is stored nowhere, whatever it was sent as", async () => {
    const message = unique();
    const key = text(service.publicKey);
    const inside = { kvlistValue: { values: attributes({ public_key: key }) } };
    await post(
      "/v1/logs",
      request([{ body: text(message), attributes: attributes({ "sazabi.public_key": key, sazabi: inside }) }], {
        "sazabi.public_key": key,
        sazabi: inside,
      }),
    );
    await post("/v1/logs", [
      { message, "sazabi.public_key": service.publicKey, sazabi: { public_key: service.publicKey } },
    ]);
    const entries = await found(message);
    expect(entries).toHaveLength(2);
    expect(JSON.stringify(entries)).not.toContain(service.publicKey);
  });
});

describe("what JSON can say", () => {
  async function stored(record: object, resource: Record<string, unknown> = {}) {
    const message = unique();
    const answer = await post("/v1/logs", request([{ body: text(message), ...record }], resource));
    expect(answer.body).toEqual({ partialSuccess: {} });
    return (await found(message))[0];
  }

  test("times are integers: no digit is lost", async () => {
    const seconds = Math.floor(Date.now() / 1000) - 60;
    const micros = async (record: object) => {
      const entry = await stored(record);
      const { rows } = await queryDatabase(
        service.databaseUrl,
        "select (extract(epoch from ts) * 1000000)::bigint::text as micros from logs where id = $1",
        [entry.id],
      );
      return rows[0].micros;
    };
    expect(await micros({ timeUnixNano: `${seconds}123456999` })).toBe(`${seconds}123456`);
    expect(await micros({ timeUnixNano: "0", observedTimeUnixNano: `${seconds}999999999` })).toBe(`${seconds}999999`);
    expect(await micros({ timeUnixNano: 0, observedTimeUnixNano: `${seconds}000000001` })).toBe(`${seconds}000000`);
    // A JSON number has 256 ns steps here.
    expect(await micros({ timeUnixNano: JSON.parse(`${seconds}123456512`) })).toBe(`${seconds}123456`);
    const arrived = Number(await micros({})) / 1000;
    expect(Math.abs(arrived - Date.now())).toBeLessThan(60_000);
  });

  test.each([
    [{ severityNumber: 1 }, "trace", {}],
    [{ severityNumber: 8 }, "debug", { severity_number: 8 }],
    [{ severityNumber: 9, severityText: "INFO" }, "info", {}],
    [{ severityNumber: 13, severityText: "Warning" }, "warn", { "level.original": "Warning" }],
    [{ severityNumber: "17" }, "error", {}],
    [{ severityNumber: "SEVERITY_NUMBER_FATAL" }, "fatal", {}],
    [{ severityNumber: 0, severityText: "CRITICAL" }, "fatal", { "level.original": "CRITICAL" }],
    [{ severityNumber: 99, severityText: "odd" }, "info", { severity_number: 99, "level.original": "odd" }],
    [{}, "info", {}],
  ])("%j is %s", async (record, level, kept) => {
    const entry = await stored(record);
    expect(entry.level).toBe(level);
    const { "level.original": original, severity_number: number } = entry.attributes;
    expect({ ...(original && { "level.original": original }), ...(number && { severity_number: number }) }).toEqual(
      kept,
    );
  });

  test("every kind of value", async () => {
    const { attributes: kept } = await stored({
      attributes: attributes({
        text: text("a"),
        flag: { boolValue: false },
        small: { intValue: "-42" },
        plain: { intValue: 7 },
        large: { intValue: "9007199254740993" },
        least: { intValue: "-9223372036854775808" },
        ratio: { doubleValue: 1.5 },
        nan: { doubleValue: "NaN" },
        bytes: { bytesValue: "AQID" },
        list: { arrayValue: { values: [text("a"), { intValue: "9007199254740993" }, {}, { arrayValue: {} }] } },
        map: {
          kvlistValue: {
            values: attributes({ a: text("x"), b: { kvlistValue: { values: attributes({ c: { intValue: "1" } }) } } }),
          },
        },
        empty: {},
        none: null,
        __proto__x: text("p"),
      }),
    });
    expect(kept).toMatchObject({
      text: "a",
      flag: false,
      small: -42,
      plain: 7,
      large: "9007199254740993",
      least: "-9223372036854775808",
      ratio: 1.5,
      nan: "NaN",
      bytes: "AQID",
      list: '["a","9007199254740993",null,[]]',
      "map.a": "x",
      "map.b.c": 1,
      empty: null,
      none: null,
    });
  });

  test("names that the resource, the scope and the record share: the record's stays, the others are kept apart", async () => {
    const entry = await stored(
      { attributes: attributes({ region: text("record") }) },
      { region: text("resource"), "service.name": text("api") },
    );
    expect(entry).toMatchObject({ service: "api", attributes: { region: "record", "resource.region": "resource" } });
  });

  test("ids of zeros say that there is none", async () => {
    const entry = await stored({ traceId: "0".repeat(32), spanId: "" });
    expect(entry).toMatchObject({ trace_id: null, span_id: null });
  });

  test("members that are not known are ignored", async () => {
    const entry = await stored({ futureMember: { a: 1 }, flags: 257 });
    expect(entry.attributes).not.toHaveProperty("futureMember");
    expect(entry.attributes).toMatchObject({ trace_flags: 257 });
  });

  test("a shared resource cannot make a small body large", async () => {
    const records = Array.from({ length: 10_000 }, () => ({ body: text("x") }));
    const body = gzipSync(JSON.stringify(request(records, { large: text("x".repeat(5_000_000)) })));
    const headers = { ...withKey(), "content-type": "application/json", "content-encoding": "gzip" };
    expect(await post("/v1/logs", body, headers)).toMatchObject({ status: 413, body: { code: "PAYLOAD_TOO_LARGE" } });
  });

  test("a large resource under many scopes without records is read once, and there is an end to scopes", async () => {
    const large = Array.from({ length: 10_000 }, (_, at) => ({ key: `k${at}`, value: text("x") }));
    const body = (scopes: number) =>
      `{"resourceLogs":[{"resource":{"attributes":${JSON.stringify(large)}},"scopeLogs":[${"{},".repeat(scopes)}{}]}]}`;
    const headers = { ...withKey(), "content-type": "application/json" };
    expect(await post("/adapters/otlp", body(19_000), headers)).toMatchObject({
      status: 200,
      body: { partialSuccess: {} },
    });
    expect((await post("/adapters/otlp", body(20_000), headers)).body.message).toMatch(
      /more than 20000 resources and scopes/,
    );
  });

  test("10,000 records of a resource with 40 attributes, and not one more", async () => {
    const records = (count: number) => Array.from({ length: count }, () => ({ body: text("many") }));
    const resource = Object.fromEntries(
      Array.from({ length: 40 }, (_, at) => [`k8s.label.number.${at}`, text("x".repeat(20))]),
    );
    expect(await post("/adapters/otlp", request(records(10_000), resource))).toMatchObject({
      status: 200,
      body: { partialSuccess: {} },
    });
    expect((await post("/adapters/otlp", request(records(10_001)))).status).toBe(413);
  });
});

describe("what protobuf can say", () => {
  test("fields that are not known, groups and known fields of another type are passed over", async () => {
    const message = unique();
    const group = Buffer.concat([Buffer.from([0x7b]), varintField(1, 300), bytesField(2, "x"), Buffer.from([0x7c])]);
    const record = Buffer.concat([
      group,
      varintField(1, 5), // A time is no varint.
      bytesField(99, "later"),
      Buffer.from([0x9d, 0x06, 1, 2, 3, 4]), // Field 99 as a fixed32.
      bytesField(5, Buffer.concat([varintField(50, 1), bytesField(1, message)])),
    ]);
    const answer = await rawProtobuf(bytesField(1, bytesField(2, bytesField(2, record))));
    expect(answer.status).toBe(200);
    expect(await found(message)).toHaveLength(1);
  });

  test("a resource may stand behind its records", async () => {
    const message = unique();
    const resource = bytesField(
      1,
      bytesField(1, Buffer.concat([bytesField(1, "service.name"), bytesField(2, bytesField(1, "late"))])),
    );
    const scopeLogs = bytesField(2, bytesField(2, bytesField(5, bytesField(1, message))));
    expect((await rawProtobuf(bytesField(1, Buffer.concat([scopeLogs, resource])))).status).toBe(200);
    expect((await found(message))[0].service).toBe("late");
  });

  test.each([
    ["cut off", (bytes: Buffer) => bytes.subarray(0, -1)],
    ["a length beyond the end", (bytes: Buffer) => Buffer.concat([Buffer.from([0x0a, 0xff, 0xff, 0xff, 0x7f]), bytes])],
    ["field 0", (bytes: Buffer) => Buffer.concat([Buffer.from([0x02, 0x00]), bytes])],
    ["wire type 7", (bytes: Buffer) => Buffer.concat([bytes, Buffer.from([0x0f])])],
    ["an endless varint", (bytes: Buffer) => Buffer.concat([bytes, Buffer.from([0x10, ...Array(11).fill(0xff)])])],
    ["a group that does not end", (bytes: Buffer) => Buffer.concat([bytes, Buffer.from([0x1b])])],
    ["an end of no group", (bytes: Buffer) => Buffer.concat([bytes, Buffer.from([0x1c])])],
    ["groups without end", (bytes: Buffer) => Buffer.concat([bytes, Buffer.alloc(100_000, 0x1b)])],
  ])("%s: 400, and nothing is stored", async (_, spoil) => {
    const message = unique();
    const sound = bytesField(1, bytesField(2, bytesField(2, bytesField(5, bytesField(1, message)))));
    expect((await rawProtobuf(spoil(sound))).status).toBe(400);
    expect(await found(message)).toEqual([]);
  });
});

async function rawProtobuf(
  body: Buffer,
  headers: Record<string, string> = withKey(),
  path = "/v1/logs",
  url = service.url,
) {
  const response = await fetch(new URL(path, url), {
    method: "POST",
    headers: { ...protobuf, ...headers },
    body: new Uint8Array(body),
  });
  return { status: response.status, headers: response.headers, bytes: Buffer.from(await response.arrayBuffer()) };
}
