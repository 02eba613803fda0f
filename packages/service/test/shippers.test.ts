import { randomBytes } from "node:crypto";
import { request } from "node:http";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { bearer, send, startTestService, type TestService } from "./support/index.ts";

let service: TestService;
beforeAll(async () => {
  service = await startTestService();
});
afterAll(() => service.close());

const unique = () => `m${randomBytes(6).toString("hex")}`;
const withKey = () => ({ "x-sazabi-key": service.publicKey });
const base64 = (text: string) => Buffer.from(text).toString("base64");

async function found(query: string) {
  const answer = await send(service, "POST /v1/logs/query", {
    headers: bearer(service.secretKey),
    body: { search: { query }, pagination: { limit: 1000 } },
  });
  return answer.body.data;
}

describe("Loki", () => {
  function push(body: unknown, headers: Record<string, string> = withKey()) {
    return send(service, "POST /loki/api/v1/push", { headers, body });
  }
  const nanos = () => `${Date.now() - 60_000}000000`;
  const stream = (values: readonly unknown[], labels: object = {}) => ({ streams: [{ stream: labels, values }] });

  test("labels and metadata become attributes, the nanoseconds the time", async () => {
    const message = unique();
    const time = `${Math.floor(Date.now() / 1000) - 60}123456789`;
    const labels = { app: "shop", env: "prod", level: "warn", pod: "shop-1" };
    const answer = await push(stream([[time, message, { trace_id: "ABCDEF", user: "7" }]], labels));
    expect(answer).toMatchObject({ status: 204, text: "" });
    expect(await found(message)).toMatchObject([
      {
        message,
        timestamp: new Date(Number(time.slice(0, 13))).toISOString().replace("Z", "456Z"),
        level: "warn",
        service: "shop",
        environment: "prod",
        trace_id: "abcdef",
        attributes: { app: "shop", pod: "shop-1", user: "7" },
      },
    ]);
  });

  test("a line that is a log of its own is read as one; what it says comes before what the labels say", async () => {
    const message = unique();
    const line = JSON.stringify({ level: 50, time: 1, msg: message, req: { id: 3 }, pod: "mine" });
    await push(stream([[nanos(), line]], { level: "info", pod: "shop-1" }));
    expect(await found(message)).toMatchObject([
      { message, level: "error", attributes: { time: 1, "req.id": 3, pod: "mine", "stream.pod": "shop-1" } },
    ]);
    const plain = `{"${unique()}":1}`;
    await push(stream([[nanos(), plain]]));
    expect(await found(`"${plain.slice(2, 10)}"`)).toMatchObject([{ message: plain }]);
  });

  test("a plain line has the level that it names, unless the labels or the metadata name one", async () => {
    const message = unique();
    await push(
      stream([
        [nanos(), `[error] ${message}`],
        [nanos(), `${message} level=debug`, { level: "warn" }],
        [nanos(), `ERROR ${message}`, { severity: 6 }],
        [nanos(), message, { level: "" }],
        [nanos(), `level=fatal ${message}`, { level: "" }],
      ]),
    );
    await push(stream([[nanos(), `ERROR of labels ${message}`]], { level: "debug" }));
    const levels = (await found(message)).map((log: { level: string; message: string }) => [
      log.message.replace(message, "m"),
      log.level,
    ]);
    expect(Object.fromEntries(levels)).toEqual({
      "[error] m": "error",
      "m level=debug": "warn",
      "ERROR m": "info",
      m: "info",
      "level=fatal m": "fatal",
      "ERROR of labels m": "debug",
    });
  });

  test("a value that is wrong costs its neighbours nothing, and the answer says which", async () => {
    const message = unique();
    const answer = await push(
      stream([[nanos(), message], [nanos()], 7, [{}, "x"], [nanos(), "x", 5], [nanos(), message]]),
    );
    expect(answer).toMatchObject({ status: 200, body: { data: { accepted: 2, rejectedCount: 4 } } });
    expect(answer.body.data.rejected.map(({ index }: { index: number }) => index)).toEqual([1, 2, 3, 4]);
    expect(await found(message)).toHaveLength(2);
  });

  test.each([
    ["no JSON", "{", 400],
    ["no streams", { logs: [] }, 400],
    ["streams that are no list", { streams: {} }, 400],
    ["a stream that is no object", { streams: [1] }, 400],
    ["labels that are text", { streams: [{ stream: '{app="x"}', values: [] }] }, 400],
    ["values that are no list", { streams: [{ stream: {}, values: "x" }] }, 400],
    ["nothing", { streams: [] }, 400],
    ["only what is wrong", { streams: [{ stream: {}, values: [1] }] }, 400],
    ["10,001 values", { streams: [{ stream: {}, values: Array.from({ length: 10_001 }, () => ["1", "x"]) }] }, 413],
    [
      "labels that would be copied into gigabytes",
      { streams: [{ stream: { l: "x".repeat(1e6) }, values: Array.from({ length: 100 }, () => ["1", "x"]) }] },
      413,
    ],
  ])("%s is refused", async (_, body, status) => {
    expect((await push(body, { ...withKey(), "content-type": "application/json" })).status).toBe(status);
  });

  test("protobuf with snappy is refused with the way to send JSON", async () => {
    const answer = await push(randomBytes(20), { ...withKey(), "content-type": "application/x-protobuf" });
    expect(answer).toMatchObject({ status: 415, body: { code: "UNSUPPORTED_MEDIA_TYPE" } });
    expect(answer.body.message).toMatch(/Content-Type: application\/json/);
  });

  test("the key is the password of Basic, a bearer token, or in a header of its own; the tenant is ignored", async () => {
    const message = unique();
    const key = service.publicKey;
    for (const headers of [
      { authorization: `Basic ${base64(`anyone:${key}`)}` },
      { authorization: `basic ${base64(`:${key}`)}` },
      { authorization: `Bearer ${key}`, "x-scope-orgid": "tenant-7" },
      { "x-api-key": key, authorization: `Basic ${base64(`anyone:${key}`)}` },
    ]) {
      expect((await push(stream([[nanos(), message]]), headers as Record<string, string>)).status).toBe(204);
    }
    expect(await found(message)).toHaveLength(4);
    for (const [authorization, status] of [
      [`Basic ${base64("anyone:wrong")}`, 401],
      [`Basic ${base64(key)}`, 401],
      ["Basic !!", 401],
      ["Basic", 401],
      [`Basic ${base64(`anyone:${service.secretKey}`)}`, 403],
    ] as const) {
      expect([authorization, (await push(stream([]), { authorization })).status]).toEqual([authorization, status]);
    }
    const two = { authorization: `Basic ${base64("anyone:pk_live_other")}`, "x-sazabi-key": key };
    expect((await push(stream([]), two)).status).toBe(400);
  });

  test("a secret key is not taken as a password anywhere", async () => {
    const authorization = `Basic ${base64(`anyone:${service.secretKey}`)}`;
    expect((await send(service, "GET /v1/me", { headers: { authorization } })).status).toBe(401);
  });

  test("a retried push with an Idempotency-Key is stored once", async () => {
    const message = unique();
    const headers = { ...withKey(), "idempotency-key": unique() };
    const body = stream([[nanos(), message]]);
    for (let turn = 0; turn < 2; turn++) expect((await push(body, headers)).status).toBe(204);
    expect(await found(message)).toHaveLength(1);
  });
});

test("a Heroku drain sends with the key as the password of its address", async () => {
  const message = unique();
  const frame = `<190>1 ${new Date().toISOString()} host shop web.1 - ERROR ${message}`;
  const authorization = `Basic ${base64(`heroku:${service.publicKey}`)}`;
  const headers = { authorization, "content-type": "application/logplex-1", "logplex-msg-count": "1" };
  const answer = await send(service, "POST /v1/logs", { headers, body: `${frame.length} ${frame}` });
  expect(answer.status).toBe(202);
  expect(await found(message)).toMatchObject([
    { level: "error", service: "shop", attributes: { "heroku.dyno": "web.1" } },
  ]);
});

describe("Elasticsearch", () => {
  const ndjson = { "content-type": "application/x-ndjson" };

  function bulk(lines: readonly unknown[], path = "/_bulk", headers: Record<string, string> = withKey()) {
    const body = `${lines.map((line) => (typeof line === "string" ? line : JSON.stringify(line))).join("\n")}\n`;
    return send(service, `POST ${path}`, { headers: { ...ndjson, ...headers }, body });
  }

  test.each(["/_bulk", "/logs-shop/_bulk", "/adapters/elasticsearch/_bulk", "/adapters/elasticsearch/logs-shop/_bulk"])(
    "POST %s stores what is created and indexed",
    async (path) => {
      const message = unique();
      const document = {
        "@timestamp": new Date().toISOString(),
        message,
        log: { level: "error" },
        service: { name: "shop" },
      };
      const answer = await bulk([{ create: {} }, document, { index: { _index: "own", _id: "7" } }, document], path);
      const index = path.includes("logs-shop") ? "logs-shop" : "";
      expect(answer).toMatchObject({
        status: 200,
        body: {
          errors: false,
          items: [
            { create: { _index: index, status: 201, result: "created" } },
            { index: { _index: "own", _id: "7", status: 201 } },
          ],
        },
      });
      expect(answer.headers.get("x-elastic-product")).toBe("Elasticsearch");
      const entries = await found(message);
      expect(entries).toHaveLength(2);
      expect(entries[1]).toMatchObject({ level: "error", service: "shop" });
      expect(entries[0].attributes).toMatchObject({ _index: "own", _id: "7" });
    },
  );

  test("an action line may have further members, as winston-elasticsearch writes them", async () => {
    const message = unique();
    const lines = [
      '{"index":{"_index":"logs"},"attempts":0}',
      JSON.stringify({ message, severity: "error" }),
      '{"create":{},"x":null,"y":{"a":[1]}}',
      JSON.stringify({ message }),
    ];
    expect(await bulk(lines)).toMatchObject({ status: 200, body: { errors: false } });
    expect(await found(message)).toHaveLength(2);
  });

  test.each(['{"attempts":0,"index":{}}', '{"index":null}', '{"index":[]}', '{"index":"logs"}', "{}", "[]", "7"])(
    "%s is no action line",
    async (line) => {
      expect((await bulk([line, { message: unique() }])).status).toBe(400);
    },
  );

  test("PUT does what POST does", async () => {
    const message = unique();
    const body = `{"create":{}}\n${JSON.stringify({ message })}\n`;
    for (const path of ["/_bulk", "/shop/_bulk", "/adapters/elasticsearch/_bulk", "/adapters/elasticsearch/x/_bulk"]) {
      const answer = await send(service, `PUT ${path}`, { headers: { ...ndjson, ...withKey() }, body });
      expect(answer.status).toBe(200);
    }
    expect(await found(message)).toHaveLength(4);
  });

  test("each operation has its own verdict: nothing is updated or deleted, and a bad document is one", async () => {
    const message = unique();
    const answer = await bulk([
      { create: {} },
      { message },
      { delete: { _index: "a", _id: "1" } },
      { update: { _id: "1" } },
      { doc: { message } },
      { index: {} },
      "{broken",
      { index: {} },
      "7",
      { index: {} },
      {},
      { index: {} },
      { message },
    ]);
    expect(answer.status).toBe(200);
    expect(answer.body.errors).toBe(true);
    const statuses = answer.body.items
      .map((item: object) => Object.entries(item)[0])
      .map(([action, { status }]: [string, { status: number }]) => [action, status]);
    expect(statuses).toEqual([
      ["create", 201],
      ["delete", 400],
      ["update", 400],
      ["index", 400],
      ["index", 400],
      ["index", 400],
      ["index", 201],
    ]);
    expect(answer.body.items[1].delete.error.reason).toMatch(/Send create or index/);
    expect(await found(message)).toHaveLength(2);
  });

  test("none good is told in the items, as Elasticsearch does", async () => {
    const answer = await bulk([{ delete: { _id: "1" } }]);
    expect(answer).toMatchObject({ status: 200, body: { errors: true, items: [{ delete: { status: 400 } }] } });
  });

  test.each([
    ["nothing", [""], 400],
    ["a line that is no action", [{ message: "x" }], 400],
    ["two actions in one line", [{ create: {}, index: {} }, {}], 400],
    ["an action that is no object", [{ create: 7 }, {}], 400],
    ["an unknown action", [{ destroy: {} }, {}], 400],
    ["no document", [{ create: {} }, { message: "x" }, { create: {} }], 400],
    ["10,001 operations", Array.from({ length: 10_001 }, () => ({ delete: {} })), 413],
  ])("%s is refused, and nothing of it stored", async (_, lines, status) => {
    expect((await bulk(lines as unknown[])).status).toBe(status);
  });

  test("the key is an ApiKey, alone or as base64 of id:key, the password of Basic, or in a header of its own", async () => {
    const message = unique();
    const key = service.publicKey;
    for (const authorization of [
      `ApiKey ${key}`,
      `ApiKey ${base64(`id:${key}`)}`,
      `Basic ${base64(`elastic:${key}`)}`,
      `Bearer ${key}`,
    ]) {
      expect((await bulk([{ create: {} }, { message }], "/_bulk", { authorization })).status).toBe(200);
    }
    expect(await found(message)).toHaveLength(4);
    for (const authorization of [`ApiKey ${base64("id:wrong")}`, "ApiKey wrong"]) {
      expect((await bulk([{ create: {} }, { message }], "/_bulk", { authorization })).status).toBe(401);
    }
  });

  test("compressed, with the types its clients send", async () => {
    const message = unique();
    const body = gzipSync(`{"create":{}}\n{"message":"${message}"}`);
    const type = "application/vnd.elasticsearch+x-ndjson; compatible-with=8";
    const headers = { ...withKey(), "content-type": type, "content-encoding": "gzip" };
    expect((await send(service, "POST /_bulk", { headers, body })).status).toBe(200);
    expect(await found(message)).toHaveLength(1);
    expect(
      (await send(service, "POST /_bulk", { headers: { ...withKey(), "content-type": "text/csv" }, body })).status,
    ).toBe(415);
  });

  test("a retried bulk with an Idempotency-Key is stored once and answered alike, however many were refused", async () => {
    const message = unique();
    const headers = { ...withKey(), "idempotency-key": unique() };
    const lines = [{ create: {} }, { message }, ...Array.from({ length: 150 }, () => ({ delete: { _id: "1" } }))];
    const first = await bulk(lines, "/_bulk", headers);
    expect((await bulk(lines, "/_bulk", headers)).body).toEqual(first.body);
    expect(first.body.items.filter((item: { delete?: object }) => item.delete)).toHaveLength(150);
    expect(await found(message)).toHaveLength(1);
  });

  test("who asks which version this is learns it; a browser is not told", async () => {
    for (const request of ["GET /", "GET /adapters/elasticsearch"]) {
      const answer = await send(service, request);
      expect(answer).toMatchObject({ status: 200, body: { version: { number: expect.stringMatching(/^8\./) } } });
      expect(answer.headers.get("x-elastic-product")).toBe("Elasticsearch");
    }
    expect(await send(service, "HEAD /")).toMatchObject({ status: 200, text: "" });
    expect((await send(service, "GET /", { headers: { accept: "text/html,*/*" } })).body).not.toHaveProperty("version");
  });
});

test.each(["/loki/api/v1/push", "/_bulk", "/logs-shop/_bulk", "/adapters/elasticsearch/_bulk"])(
  "any page may ask whether it may send to %s",
  async (path) => {
    const answer = await send(service, `OPTIONS ${path}`, { headers: { origin: "https://shop.example" } });
    expect(answer.status).toBe(204);
    expect(answer.headers.get("access-control-allow-headers")).toContain("authorization");
  },
);

test("a key may be the name of the host, as the published senders have it", async () => {
  const made = await send(service, "POST /v1/public-keys", {
    headers: bearer(service.secretKey),
    body: { name: "by host", style: "sazabi" },
  });
  const digits = made.body.publicKey.value.replace("sazabi_public_", "");
  const message = unique();
  const post = (host: string, headers: Record<string, string> = {}) =>
    new Promise<number | undefined>((resolve, reject) => {
      const sent = { host, "content-type": "application/json", ...headers };
      request(new URL("/v1/logs", service.url), { method: "POST", headers: sent }, (answer) => {
        answer.resume();
        resolve(answer.statusCode);
      })
        .on("error", reject)
        .end(JSON.stringify({ message }));
    });
  expect(await post(`${digits}.eu-central-1.intake.logs.example`)).toBe(202);
  expect(await post(`otlp-${digits}.eu-central-1.intake.logs.example:4600`)).toBe(202);
  expect(await post(`${digits}.eu-central-1.intake.logs.example`, withKey())).toBe(400);
  expect(await post(`${"0".repeat(32)}.eu-central-1.intake.logs.example`)).toBe(401);
  expect(await post(`${digits}.logs.example`)).toBe(401);
  expect(await found(message)).toHaveLength(2);
});

test("integers beyond 2^53 keep their digits, in every format, and each is found alone", async () => {
  const message = unique();
  const [one, other] = ["9007199254740992", "9007199254740993"];
  const filler = `"filler":"${"x".repeat(20_000)}"`;
  const document = (id: string, more = "") => `{"message":"${message}","order":{"id":${id}},"ids":[${id},7]${more}}`;
  const time = `${Date.now() - 60_000}000000`;
  const bodies: [path: string, type: string, body: (id: string) => string][] = [
    ["/v1/logs", "application/json", (id) => document(id)],
    ["/v1/logs", "application/json", (id) => `{"logs":[${document(id)}]}`],
    ["/v1/logs", "application/json", (id) => `[${document(id, `,${filler}`)}]`],
    ["/v1/logs", "application/x-ndjson", (id) => `${document(id, `,${filler}`)}\n`],
    ["/v1/logs", "text/plain", (id) => `${document(id)}\n`],
    ["/_bulk", "application/x-ndjson", (id) => `{"create":{}}\n${document(id)}\n`],
    [
      "/loki/api/v1/push",
      "application/json",
      (id) => `{"streams":[{"values":[["${time}",${JSON.stringify(document(id))}]]}]}`,
    ],
    [
      "/v1/logs",
      "application/json",
      (id) =>
        `{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":{"stringValue":"${message}"},"attributes":[{"key":"order.id","value":{"intValue":${id}}},{"key":"ids","value":{"arrayValue":{"values":[{"intValue":${id}}]}}}]}]}]}]}`,
    ],
  ];
  for (const [path, type, body] of bodies) {
    for (const id of [one, other]) {
      const headers = { ...withKey(), "content-type": type };
      const answer = await fetch(`${service.url}${path}`, { method: "POST", headers, body: body(id) });
      expect([path, type, answer.ok]).toEqual([path, type, true]);
    }
  }
  for (const id of [one, other]) {
    for (const query of [`order.id:${id}`, `ids:${id}`, `@order.id:"${id}"`]) {
      const logs = await found(`${message} ${query}`);
      expect(logs).toHaveLength(bodies.length);
      for (const { attributes } of logs) expect(attributes["order.id"]).toBe(id);
    }
  }
  expect(await found(`${message} order.id:>=9007199254740991`)).toHaveLength(2 * bodies.length);
  for (const query of [`order.id:>${one}`, `order.id:>=${other}`, `order.id:<${other}`, `order.id:<=${one}`]) {
    expect(await found(`${message} ${query}`)).toHaveLength(bodies.length);
  }
});
