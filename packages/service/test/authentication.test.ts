import { setTimeout as sleep } from "node:timers/promises";
import { makeKey } from "@sazabi/sdk/protocol";
import { afterAll, beforeAll, expect, test } from "vitest";
import { bearer, queryDatabase, send, startTestService, type TestService } from "./support/index.ts";

let service: TestService;
beforeAll(async () => {
  service = await startTestService();
});
afterAll(() => service.close());

const list = "GET /v1/projects";
const unknownKey = makeKey("secret", "live", (below) => below - 1);

test.each([
  ["Authorization: Bearer", (key: string) => ({ authorization: `Bearer ${key}` })],
  ["Authorization: bearer, in any case", (key: string) => ({ authorization: `bearer ${key}` })],
  ["Authorization: ApiKey", (key: string) => ({ authorization: `ApiKey ${key}` })],
  ["x-sazabi-secret-key", (key: string) => ({ "x-sazabi-secret-key": key })],
])("a secret key is taken in %s", async (_, headers) => {
  expect((await send(service, list, { headers: headers(service.secretKey) })).status).toBe(200);
});

test.each([
  ["x-sazabi-key", (key: string) => ({ "x-sazabi-key": key })],
  ["x-api-key", (key: string) => ({ "x-api-key": key })],
  ["Authorization: Bearer", (key: string) => ({ authorization: `Bearer ${key}` })],
])("a public key is taken in %s", async (_, headers) => {
  const answer = await send(service, "POST /v1/logs", {
    headers: headers(service.publicKey),
    body: { message: "hello" },
  });
  expect(answer).toMatchObject({ status: 202, body: { data: { accepted: 1 }, error: null } });
});

test("the same credential in two headers is one credential, two different ones are refused", async () => {
  const twice = { ...bearer(service.secretKey), "x-sazabi-secret-key": service.secretKey };
  expect((await send(service, list, { headers: twice })).status).toBe(200);
  const two = { ...bearer(service.secretKey), "x-sazabi-key": service.publicKey };
  expect(await send(service, list, { headers: two })).toMatchObject({
    status: 400,
    body: { code: "VALIDATION_ERROR", reason: "conflicting_credentials" },
  });
});

test.each([
  ["no key", {}, "missing_api_key"],
  ["a text that is no key", bearer("hello"), "malformed_api_key"],
  ["a header that is no scheme", { authorization: "Basic dXNlcjpwYXNz" }, "malformed_api_key"],
  ["a key nobody made", bearer(unknownKey), "invalid_api_key"],
])("%s is answered 401 with its reason", async (_, headers, reason) => {
  const answer = await send(service, list, { headers: headers as Record<string, string> });
  expect(answer).toMatchObject({ status: 401, body: { code: "UNAUTHORIZED", reason } });
  expect(answer.headers.get("www-authenticate")).toContain("Bearer");
});

test("one wrong character is caught by the checksum, without the database", async () => {
  const key = service.secretKey;
  const mangled = key.slice(0, 20) + (key[20] === "a" ? "b" : "a") + key.slice(21);
  expect(await send(service, list, { headers: bearer(mangled) })).toMatchObject({
    status: 401,
    body: { reason: "malformed_api_key" },
  });
});

test("a key of the wrong kind is answered 403, naming the kind the route takes", async () => {
  expect(await send(service, list, { headers: { "x-sazabi-key": service.publicKey } })).toMatchObject({
    status: 403,
    body: { code: "FORBIDDEN", reason: "wrong_key_type", message: expect.stringContaining("takes a secret key") },
  });
  const sent = await send(service, "POST /v1/logs", { headers: bearer(service.secretKey), body: { message: "x" } });
  expect(sent).toMatchObject({
    status: 403,
    body: { reason: "wrong_key_type", message: expect.stringContaining("takes a public key") },
  });
});

test("a key in the URL is refused, even beside a good one", async () => {
  const answer = await send(service, `GET /v1/projects?key=${service.secretKey}`, {
    headers: bearer(service.secretKey),
  });
  expect(answer).toMatchObject({ status: 400, body: { code: "VALIDATION_ERROR" } });
  expect(answer.text).not.toContain(service.secretKey);
});

test("a revoked key stops working at once, and says that it was revoked", async () => {
  const made = await send(service, "POST /v1/secret-keys", {
    headers: bearer(service.secretKey),
    body: { name: "old" },
  });
  const { id, value } = made.body.secretKey;
  expect((await send(service, list, { headers: bearer(value) })).status).toBe(200);
  expect((await send(service, `DELETE /v1/secret-keys/${id}`, { headers: bearer(service.secretKey) })).status).toBe(
    204,
  );
  expect(await send(service, list, { headers: bearer(value) })).toMatchObject({
    status: 401,
    body: { reason: "revoked_api_key" },
  });
});

test("a key past its expiry says so", async () => {
  const made = await send(service, "POST /v1/secret-keys", {
    headers: bearer(service.secretKey),
    body: { name: "short", expiresIn: "15m" },
  });
  const { id, value, expiresAt } = made.body.secretKey;
  expect(Date.parse(expiresAt) - Date.now()).toBeGreaterThan(14 * 60_000);
  expect((await send(service, list, { headers: bearer(value) })).status).toBe(200);
  await send(service, `PATCH /v1/secret-keys/${id}`, {
    headers: bearer(service.secretKey),
    body: { expiresAt: new Date(Date.now() + 3000).toISOString() },
  });
  expect((await send(service, list, { headers: bearer(value) })).status).toBe(200);
  await sleep(3100);
  expect(await send(service, list, { headers: bearer(value) })).toMatchObject({
    status: 401,
    body: { reason: "expired_api_key" },
  });
});

test("keys of a disabled organization are dead", async () => {
  const other = await startTestService();
  try {
    await queryDatabase(other.databaseUrl, "update organizations set disabled_at = now()");
    expect(await send(other, list, { headers: bearer(other.secretKey) })).toMatchObject({ status: 401 });
  } finally {
    await other.close();
  }
});

test("an error has one shape that serves both readers, with the request id of its header", async () => {
  const answer = await send(service, "GET /projects", { headers: { "x-request-id": "my-request-1" } });
  expect(answer.headers.get("x-request-id")).toBe("my-request-1");
  expect(answer.body).toEqual({
    data: null,
    error: { code: "UNAUTHORIZED", message: expect.any(String) },
    code: "UNAUTHORIZED",
    message: expect.any(String),
    operationId: "projects.list",
    requestId: "my-request-1",
    reason: "missing_api_key",
  });
});

test("the rate limit is told on every authenticated answer, and its refusal is that of spec/2", async () => {
  const limited = await startTestService({ requestsPerMinute: 10 });
  try {
    const first = await send(limited, list, { headers: bearer(limited.secretKey) });
    expect(first.headers.get("x-ratelimit-limit")).toBe("10");
    expect(first.headers.get("x-ratelimit-remaining")).toBe("11");
    expect(Number(first.headers.get("x-ratelimit-reset"))).toBeGreaterThan(Date.now() / 1000 - 1);
    for (let sent = 1; sent < 12; sent++) await send(limited, list, { headers: bearer(limited.secretKey) });
    const refused = await send(limited, list, { headers: bearer(limited.secretKey) });
    expect(refused).toMatchObject({
      status: 429,
      body: {
        data: null,
        error: {
          code: "RATE_LIMIT_EXCEEDED",
          message: expect.stringMatching(/^Too many requests\. Please retry after \d+ seconds\.$/),
        },
      },
    });
    expect(Number(refused.headers.get("retry-after"))).toBe(refused.body.retryAfterSeconds);
    expect(refused.headers.get("x-ratelimit-remaining")).toBe("0");
  } finally {
    await limited.close();
  }
});

test("using a key is seen in its lastUsedAt", async () => {
  const made = await send(service, "POST /v1/secret-keys", {
    headers: bearer(service.secretKey),
    body: { name: "used" },
  });
  const { id, value, lastUsedAt } = made.body.secretKey;
  expect(lastUsedAt).toBeNull();
  await send(service, list, { headers: bearer(value) });
  await expect
    .poll(
      async () =>
        (await send(service, `GET /v1/secret-keys/${id}`, { headers: bearer(service.secretKey) })).body.secretKey
          .lastUsedAt,
      { timeout: 5000 },
    )
    .not.toBeNull();
});

test("no key is in the database, in any table", async () => {
  const { rows } = await queryDatabase(
    service.databaseUrl,
    `select table_name, (xpath('/row/c/text()', query_to_xml(format('select count(*) as c from sazabi.%I t where t::text like %L', table_name, $1::text), false, true, '')))[1]::text::int as hits
     from information_schema.tables where table_schema = 'sazabi'`,
    [`%${service.secretKey.slice(8)}%`],
  );
  expect(rows.length).toBeGreaterThan(5);
  expect(rows.filter(({ hits }) => hits > 0)).toEqual([]);
});
