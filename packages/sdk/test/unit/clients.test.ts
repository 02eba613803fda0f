import { promisify } from "node:util";
import { gzip } from "node:zlib";
import { afterEach, describe, expect, test } from "vitest";
import { Sazabi, SazabiAdmin, SazabiApiError } from "../../src/index.ts";
import { someKey } from "../support/keys.ts";
import { refusal, startLoopback } from "../support/loopback.ts";

const closers: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0)) await close();
});

async function service(answers: Parameters<typeof startLoopback>[0]) {
  const server = await startLoopback(answers);
  closers.push(server.close);
  return server;
}

const id = "0b0e7a3e-58f2-4b43-9a57-1f6f6a7f2f10";
const secretKey = someKey("secret");
const publicKey = someKey("public");

describe("a client takes only the kind of key it is for", () => {
  test.each([
    ["a public key", someKey("public"), /takes a secret key/],
    ["a mistyped key", `${secretKey.slice(0, -1)}${secretKey.endsWith("0") ? "1" : "0"}`, /checksum/],
    ["a key that was cut off", secretKey.slice(0, 30), /its length is wrong/],
    ["something else", "hunter2", /begins with none/],
    ["a text with spaces", "hunter2 and more of it", /begins with none/],
    ["a key in quotes", `"${secretKey}"`, /in quotes/],
    ["nothing", "", /missing/],
  ])("SazabiAdmin refuses %s", (_, key, words) => {
    expect(() => new SazabiAdmin({ secretKey: key })).toThrow(TypeError);
    expect(() => new SazabiAdmin({ secretKey: key })).toThrow(words);
  });

  test("the refusal does not repeat the key", () => {
    try {
      new Sazabi({ publicKey: secretKey });
    } catch (error) {
      expect((error as Error).message).not.toContain(secretKey.slice(8, -4));
      return;
    }
    throw new Error("It was not refused.");
  });

  test("what may be an imported key is taken: only the service knows", () => {
    new SazabiAdmin({ secretKey: "acme_0123456789abcdef" });
    new Sazabi({ publicKey: "acmepub_0123456789abcdef" });
  });

  test("both styles of key are taken", () => {
    new SazabiAdmin({ secretKey: someKey("secret", "sazabi") });
    new Sazabi({ publicKey: someKey("public", "sazabi") });
  });
});

describe("SazabiAdmin", () => {
  test("sends the key as a bearer token and says who it is", async () => {
    const { url, asked } = await service({ "GET /v1/projects": () => ({ body: { projects: [] } }) });
    await new SazabiAdmin({ secretKey, baseUrl: url }).projects.list();
    expect(asked[0]?.headers).toMatchObject({ authorization: `Bearer ${secretKey}`, "x-sazabi-client-source": "sdk" });
    expect(asked[0]?.headers["content-type"]).toBeUndefined();
  });

  test("asks for a key's end by DELETE, with force only when told", async () => {
    const { url, asked } = await service({ [`DELETE /v1/secret-keys/${id}`]: () => ({ status: 204 }) });
    const admin = new SazabiAdmin({ secretKey, baseUrl: url });
    await admin.secretKeys.revoke(id);
    await admin.secretKeys.revoke(id, { force: true });
    expect(asked.map(({ query }) => query)).toEqual([{}, { force: "true" }]);
  });

  test("names the project of a public key in the query, or in the body when it changes the key", async () => {
    const { url, asked } = await service({
      [`GET /v1/public-keys/${id}`]: () => ({ body: { publicKey: { id } } }),
      [`PATCH /v1/public-keys/${id}`]: () => ({ body: { publicKey: { id } } }),
      [`POST /v1/public-keys/${id}/deactivate`]: () => ({ body: { publicKey: { id } } }),
    });
    const { publicKeys } = new SazabiAdmin({ secretKey, baseUrl: url });
    await publicKeys.get(id, { projectId: "p-1" });
    await publicKeys.update(id, { projectId: "p-1", name: "new" });
    await publicKeys.deactivate(id, { projectId: "p-1" });
    expect(asked.map(({ query, json }) => ({ query, json }))).toEqual([
      { query: { projectId: "p-1" }, json: undefined },
      { query: {}, json: { projectId: "p-1", name: "new" } },
      { query: { projectId: "p-1" }, json: undefined },
    ]);
  });

  test("sends an idempotency key with a creation only when given one", async () => {
    const { url, asked } = await service({ "POST /v1/secret-keys": () => ({ body: { secretKey: { id } } }) });
    const { secretKeys } = new SazabiAdmin({ secretKey, baseUrl: url });
    await secretKeys.create({ name: "ci" });
    await secretKeys.create({ name: "ci" }, { idempotencyKey: "k" });
    expect(asked.map(({ headers }) => headers["idempotency-key"])).toEqual([undefined, "k"]);
  });

  test("rotates a key of either kind, and finishes or cancels that", async () => {
    const answer = (name: string) => () => ({ status: 201, body: { [name]: { id, value: "v" } } });
    const { url, asked } = await service({
      [`POST /v1/secret-keys/${id}/rotate`]: answer("secretKey"),
      [`POST /v1/secret-keys/${id}/rotate/finish`]: answer("secretKey"),
      [`POST /v1/public-keys/${id}/rotate`]: answer("publicKey"),
      [`POST /v1/public-keys/${id}/rotate/cancel`]: answer("publicKey"),
    });
    const { secretKeys, publicKeys } = new SazabiAdmin({ secretKey, baseUrl: url });
    expect((await secretKeys.rotate(id, { graceSeconds: 60 }, { idempotencyKey: "k" })).value).toBe("v");
    await secretKeys.finishRotation(id);
    await secretKeys.finishRotation(id, { graceSeconds: 90 });
    await publicKeys.rotate(id);
    await publicKeys.cancelRotation(id);
    expect(asked.map(({ json, headers }) => [json, headers["idempotency-key"]])).toEqual([
      [{ graceSeconds: 60 }, "k"],
      [undefined, undefined],
      [undefined, undefined],
      [{}, undefined],
      [undefined, undefined],
    ]);
    const finishing = asked.filter(({ path }) => path.endsWith("/finish")).map(({ query }) => query);
    expect(finishing).toEqual([{}, { graceSeconds: "90" }]);
  });

  test("passes on what to change, what to look for, and why", async () => {
    const usage = { keyId: id, from: "f", to: "t", interval: "1h", points: [] };
    const revoked = { revokedCount: 0, revoked: [] };
    const identified = { keyId: id, kind: "public", projectId: "p-1", secret: "current" };
    const { url, asked } = await service({
      [`PATCH /v1/secret-keys/${id}`]: () => ({ body: { secretKey: { id } } }),
      "GET /v1/secret-keys": () => ({ body: { secretKeys: [], nextCursor: null } }),
      "GET /v1/public-keys": () => ({ body: { publicKeys: [], nextCursor: null } }),
      [`DELETE /v1/secret-keys/${id}`]: () => ({ status: 204 }),
      [`GET /v1/keys/${id}/usage`]: () => ({ body: usage }),
      "POST /v1/keys/revoke-all": () => ({ body: revoked }),
      "POST /v1/keys/identify": () => ({ body: identified }),
    });
    const { secretKeys, publicKeys, keys } = new SazabiAdmin({ secretKey, baseUrl: url });
    await secretKeys.update(id, { scopes: ["read:logs"], requestsPerMinute: null });
    await secretKeys.list({ unusedForDays: 90 });
    await publicKeys.list({ unusedForDays: 7, projectId: "p-1" });
    await secretKeys.revoke(id, { reason: "found in a log" });
    expect(await keys.usage(id, { interval: "1h" })).toEqual(usage);
    expect(await keys.revokeAll({ kind: "secret", except: ["caller"] })).toEqual(revoked);
    expect(await keys.identify("acme_7f3c9a1be2d84f60a5c1")).toEqual(identified);
    expect(asked.map(({ query, json }) => json ?? query)).toEqual([
      { scopes: ["read:logs"], requestsPerMinute: null },
      { unusedForDays: "90" },
      { unusedForDays: "7", projectId: "p-1" },
      { reason: "found in a log" },
      { interval: "1h" },
      { kind: "secret", except: ["caller"] },
      { key: "acme_7f3c9a1be2d84f60a5c1" },
    ]);
  });

  test("says so when the answer is not one of this API", async () => {
    const { url } = await service({ "GET /v1/projects": () => ({ body: { hello: "world" } }) });
    const listing = new SazabiAdmin({ secretKey, baseUrl: url }).projects.list();
    await expect(listing).rejects.toMatchObject({ code: "UNEXPECTED_ANSWER" });
  });

  test("an id cannot lead to another route", async () => {
    const { url, asked } = await service({});
    const { secretKeys } = new SazabiAdmin({ secretKey, baseUrl: url });
    await expect(secretKeys.get("..")).rejects.toBeInstanceOf(TypeError);
    await expect(secretKeys.get("../projects")).rejects.toMatchObject({ code: "NOT_FOUND" });
    expect(asked.map((request) => request.path)).toEqual(["/v1/secret-keys/..%2Fprojects"]);
  });
});

describe("logs.queryAll", () => {
  const meta = { count: 1, took: 1, from: "2026-11-21T00:00:00.000Z", to: "2026-11-23T00:00:00.000Z", warnings: [] };

  test("reads page after page, each over the span of the first", async () => {
    const { url, asked } = await service({
      "POST /v1/logs/query": ({ json }) => {
        const { cursor } = (json as { pagination: { cursor?: string } }).pagination;
        return { body: { data: [{ id: cursor ?? "first" }], nextCursor: cursor ? null : "second", meta } };
      },
    });
    const { logs } = new SazabiAdmin({ secretKey, baseUrl: url });
    const ids: string[] = [];
    for await (const { id } of logs.queryAll({ search: { query: "a" } })) ids.push(id);
    expect(ids).toEqual(["first", "second"]);
    expect(asked.map(({ json }) => json)).toEqual([
      { search: { query: "a" }, filters: [], pagination: { limit: 1000 } },
      {
        search: { query: "a" },
        filters: [{ field: "timestamp", op: "gte", value: meta.from }],
        pagination: { limit: 1000, cursor: "second" },
      },
    ]);
  });

  test("asks for no page that is not read", async () => {
    const { url, asked } = await service({
      "POST /v1/logs/query": () => ({ body: { data: [{ id: "1" }], nextCursor: "more", meta } }),
    });
    for await (const _ of new SazabiAdmin({ secretKey, baseUrl: url }).logs.queryAll({})) break;
    expect(asked).toHaveLength(1);
  });

  test("does not go round in circles when the service repeats a cursor", async () => {
    const { url } = await service({
      "POST /v1/logs/query": () => ({ body: { data: [], nextCursor: "same", meta } }),
    });
    const { logs } = new SazabiAdmin({ secretKey, baseUrl: url });
    const reading = (async () => {
      for await (const _ of logs.queryAll({}));
    })();
    await expect(reading).rejects.toBeInstanceOf(SazabiApiError);
  });
});

describe("Sazabi", () => {
  const accepted = { status: 202, body: { data: { accepted: 2 }, error: null } };

  test("sends entries with the public key in its header, and tells what became of them", async () => {
    const { url, asked } = await service({ "POST /v1/logs": () => accepted });
    const result = await new Sazabi({ publicKey, baseUrl: url }).logs.send([{ message: "a" }, { message: "b" }]);
    expect(result).toEqual({ accepted: 2 });
    expect(asked[0]).toMatchObject({
      json: [{ message: "a" }, { message: "b" }],
      headers: { "x-sazabi-key": publicKey },
    });
    expect(asked[0]?.headers.authorization).toBeUndefined();
  });

  test("sends lines as they are, packed when that is worth it", async () => {
    const { url, asked } = await service({ "POST /v1/logs": () => accepted });
    const { logs } = new Sazabi({ publicKey, baseUrl: url, compress: promisify(gzip) });
    const long = `{"message":"${"a".repeat(3000)}","id":12345678901234567890}`;
    await logs.sendLines('{"message":"a"}');
    await logs.sendLines(long);
    expect(asked.map(({ text, headers }) => [text, headers["content-type"], headers["content-encoding"]])).toEqual([
      ['{"message":"a"}', "application/x-ndjson", undefined],
      [long, "application/x-ndjson", "gzip"],
    ]);
  });

  test("does not send a batch twice when the service is busy, unless it has an idempotency key", async () => {
    const { url, asked } = await service({
      "POST /v1/logs": () => refusal(429, "RATE_LIMIT_EXCEEDED", "Slow down.", { retryAfterSeconds: 0 }),
    });
    const { logs } = new Sazabi({ publicKey, baseUrl: url, retryBudgetMs: 200 });
    await expect(logs.send({ message: "a" })).rejects.toMatchObject({ status: 429 });
    expect(asked).toHaveLength(1);
    await expect(logs.send({ message: "a" }, { idempotencyKey: "k" })).rejects.toMatchObject({ status: 429 });
    // One, then one and two more within the budget.
    expect(asked).toHaveLength(4);
  });
});

test("a client without options says what is missing", () => {
  const nothing = undefined as never;
  expect(() => new SazabiAdmin(nothing)).toThrow(new TypeError("`secretKey` is missing: pass a secret key."));
  expect(() => new Sazabi(nothing)).toThrow(new TypeError("`publicKey` is missing: pass a public key."));
});
