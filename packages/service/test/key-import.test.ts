import { createHash, randomBytes } from "node:crypto";
import { setTimeout } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { bearer, queryDatabase, send, startTestService, type TestService } from "./support/index.ts";
import { newKeyring } from "./support/keyring.ts";

let service: TestService;
let other: TestService;
let headers: Record<string, string>;
beforeAll(async () => {
  service = await startTestService();
  other = await startTestService({ databaseUrl: service.databaseUrl, ...service.keyrings });
  headers = bearer(service.secretKey);
});
afterAll(async () => {
  await other.close();
  await service.close();
});

const newKey = (prefix: string) => `${prefix}${randomBytes(16).toString("hex")}`;
const sha256 = (key: string, encoding: "hex" | "base64" | "base64url" = "hex") =>
  createHash("sha256").update(key).digest(encoding);

function importKeys(...keys: object[]) {
  return send(service, "POST /v1/keys/import", {
    headers,
    body: { keys: keys.map((key) => ({ kind: "secret", name: "theirs", ...key })) },
  });
}

const storedAs = async (id: string) => {
  const { rows } = await queryDatabase(service.databaseUrl, "select * from key_secrets where key_id = $1", [id]);
  return rows;
};

test.each(["hex", "base64", "base64url"] as const)(
  "a key known by its SHA-256 in %s works on every replica at once, and moves under the pepper with its first use",
  async (encoding) => {
    const key = newKey("acme_");
    expect((await send(other, "GET /v1/me", { headers: bearer(key) })).status).toBe(401);
    const answer = await importKeys({ prefix: "acme_", sha256: sha256(key, encoding), lastFour: key.slice(-4) });
    expect(answer.status).toBe(201);
    const { id, masked } = answer.body.imported[0];
    expect(masked).toBe(`acme_…${key.slice(-4)}`);
    expect((await storedAs(id))[0].pepper_version).toBe(0);
    for (const replica of [other, service]) {
      expect(await send(replica, "GET /v1/me", { headers: bearer(key) })).toMatchObject({
        status: 200,
        body: { key: { id } },
      });
    }
    await expect.poll(async () => (await storedAs(id))[0].pepper_version).toBe(1);
    expect((await storedAs(id))[0].digest.equals(createHash("sha256").update(key).digest())).toBe(false);
    expect((await send(other, "GET /v1/me", { headers: bearer(key) })).status).toBe(200);
  },
);

test("an imported key as a name is found among many names that begin alike", async () => {
  const key = newKey("acme_");
  await importKeys({ prefix: "acme_", sha256: sha256(key) });
  const names = Array.from({ length: 60 }, (_, at) => `acme_service_number_${at}`);
  names[40] = key;
  const answer = await importKeys(...names.map((name) => ({ name, prefix: "acme_", sha256: sha256(newKey("acme_")) })));
  expect(answer).toMatchObject({ status: 400, body: { message: expect.stringContaining("must not hold a key") } });
  expect(JSON.stringify(answer.body)).not.toContain(key);
});

test("an imported public key can send logs and nothing else; its kind is told when it is used for the wrong thing", async () => {
  const key = newKey("widget-");
  await importKeys({ kind: "public", prefix: "widget-", sha256: sha256(key) });
  const sent = await send(service, "POST /v1/logs", { headers: { "x-sazabi-key": key }, body: { message: "x" } });
  expect(sent.status).toBe(202);
  expect(await send(service, "GET /v1/projects", { headers: bearer(key) })).toMatchObject({
    status: 403,
    body: { reason: "wrong_key_type" },
  });
});

test("an imported key is revoked and rotated like any other; its new secret is one of ours", async () => {
  const [revoked, rotated] = [newKey("acme_"), newKey("acme_")];
  const { imported } = (
    await importKeys({ prefix: "acme_", sha256: sha256(revoked) }, { prefix: "acme_", sha256: sha256(rotated) })
  ).body;
  await send(service, `DELETE /v1/secret-keys/${imported[0].id}`, { headers });
  expect(await send(other, "GET /v1/me", { headers: bearer(revoked) })).toMatchObject({
    status: 401,
    body: { reason: "revoked_api_key" },
  });
  const answer = await send(service, `POST /v1/secret-keys/${imported[1].id}/rotate`, {
    headers,
    body: { graceSeconds: 60 },
  });
  const { value, masked, rotation } = answer.body.secretKey;
  expect(masked).toBe(`sk_live_…${value.slice(-4)}`);
  expect(rotation.previousMasked).toBe("acme_…????");
  for (const key of [rotated, value])
    expect((await send(other, "GET /v1/me", { headers: bearer(key) })).status).toBe(200);
});

test("texts that begin like an imported key and are none are 401, and those that do not are not looked up", async () => {
  await importKeys({ prefix: "acme_", sha256: sha256(newKey("acme_")) });
  expect(await send(service, "GET /v1/me", { headers: bearer(newKey("acme_")) })).toMatchObject({
    status: 401,
    body: { reason: "invalid_api_key" },
  });
  expect(await send(service, "GET /v1/me", { headers: bearer(newKey("other_")) })).toMatchObject({
    status: 401,
    body: { reason: "malformed_api_key" },
  });
});

test.each([
  ["a prefix of our own", { prefix: "sk_live_", sha256: "0".repeat(64) }, "keys.0.prefix"],
  ["the beginning of one", { prefix: "sk_", sha256: "0".repeat(64) }, "keys.0.prefix"],
  ["a prefix that is too short", { prefix: "a", sha256: "0".repeat(64) }, "keys.0.prefix"],
  ["a digest that is none", { prefix: "acme_", sha256: "abc" }, "keys.0.sha256"],
  ["the key itself in place of its digest", { prefix: "acme_", sha256: `acme_${"x".repeat(32)}` }, "keys.0.sha256"],
])("%s is refused", async (_, key, path) => {
  const answer = await importKeys(key);
  expect(answer).toMatchObject({ status: 400, body: { code: "VALIDATION_ERROR" } });
  expect(answer.body.issues[0].path).toBe(path);
  expect(answer.text).not.toContain("xxxxxxxx");
});

test("a key that is known already spoils the request, and nothing of it is imported", async () => {
  const [first, second] = [newKey("acme_"), newKey("acme_")];
  await importKeys({ prefix: "acme_", sha256: sha256(first) });
  const answer = await importKeys(
    { prefix: "acme_", sha256: sha256(second) },
    { prefix: "acme_", sha256: sha256(first) },
  );
  expect(answer).toMatchObject({ status: 400, body: { issues: [{ path: "keys.1.sha256" }] } });
  expect((await send(service, "GET /v1/me", { headers: bearer(second) })).status).toBe(401);
});

test("importing the digest of a key that is in use does not take it away from its owner", async () => {
  const key = newKey("acme_");
  const { imported } = (await importKeys({ prefix: "acme_", sha256: sha256(key) })).body;
  await send(service, "GET /v1/me", { headers: bearer(key) });
  await expect.poll(async () => (await storedAs(imported[0].id))[0].pepper_version).toBe(1);
  expect(await importKeys({ prefix: "acme_", name: "thief", sha256: sha256(key) })).toMatchObject({
    status: 400,
    body: { issues: [{ path: "keys.0.sha256" }] },
  });
  expect((await send(service, "GET /v1/me", { headers: bearer(key) })).body.key.id).toBe(imported[0].id);
});

test("an import that is repeated makes no key twice: by its Idempotency-Key the same answer, else refused", async () => {
  const key = newKey("acme_");
  const body = { keys: [{ kind: "secret", name: "theirs", prefix: "acme_", sha256: sha256(key) }] };
  const repeat = () =>
    send(service, "POST /v1/keys/import", { headers: { ...headers, "idempotency-key": "import-once" }, body });
  const first = await repeat();
  expect(first.status).toBe(201);
  await send(service, "GET /v1/me", { headers: bearer(key) });
  await expect.poll(async () => (await storedAs(first.body.imported[0].id))[0].pepper_version).toBe(1);
  expect(await repeat()).toMatchObject({ status: 201, body: first.body });
});

test("a key that moved under a retired pepper is still known", async () => {
  const before = await startTestService();
  const key = newKey("acme_");
  const body = { keys: [{ kind: "secret", name: "theirs", prefix: "acme_", sha256: sha256(key) }] };
  const request = { headers: bearer(before.secretKey), body };
  expect((await send(before, "POST /v1/keys/import", request)).status).toBe(201);
  await before.close({ keepDatabase: true });
  const next = newKeyring(2);
  const keyPepper = {
    current: next.current,
    entries: [...next.entries, ...(before.keyrings.keyPepper?.entries ?? [])],
  };
  const after = await startTestService({ ...before.keyrings, databaseUrl: before.databaseUrl, keyPepper });
  try {
    expect((await send(after, "GET /v1/me", { headers: bearer(key) })).status).toBe(200);
    expect(await send(after, "POST /v1/keys/import", request)).toMatchObject({ status: 400 });
  } finally {
    await after.close();
    await before.drop();
  }
});

test("of two imports of the same key at once one is refused, naming it", async () => {
  for (let round = 0; round < 5; round++) {
    const keys = Array.from({ length: 200 }, () => ({ prefix: "acme_", sha256: sha256(newKey("acme_")) }));
    const answers = await Promise.all([importKeys(...keys), importKeys(...keys.toReversed())]);
    expect(answers.map(({ status }) => status).sort()).toEqual([201, 400]);
    expect(answers.find(({ status }) => status === 400)?.body.issues[0].path).toBe("keys.0.sha256");
  }
});

test("the same key twice in a request is refused", async () => {
  const twice = { prefix: "acme_", sha256: sha256(newKey("acme_")) };
  expect(await importKeys(twice, twice)).toMatchObject({ status: 400, body: { issues: [{ path: "keys.1.sha256" }] } });
});

test("an imported public key may be fenced to web pages; a secret one may not", async () => {
  const key = newKey("widget-");
  const allowedOrigins = ["https://app.example.com"];
  const fenced = { prefix: "widget-", sha256: sha256(key), allowedOrigins };
  expect(await importKeys(fenced)).toMatchObject({
    status: 400,
    body: { issues: [{ path: "keys.0.allowedOrigins" }] },
  });
  expect((await importKeys({ ...fenced, kind: "public" })).status).toBe(201);
  const log = (origin: string) =>
    send(service, "POST /v1/logs", { headers: { "x-sazabi-key": key, origin }, body: { message: "x" } });
  expect((await log("https://app.example.com")).status).toBe(202);
  expect(await log("https://evil.example")).toMatchObject({ status: 403, body: { reason: "origin_not_allowed" } });
});

test("500 keys are imported in their order, and announced once", async () => {
  const announced = async () =>
    (await queryDatabase(service.databaseUrl, "select seq::int from key_change_head")).rows[0].seq;
  const before = await announced();
  const keys = Array.from({ length: 500 }, (_, index) => ({
    name: `import ${index}`,
    prefix: "acme_",
    sha256: sha256(newKey("acme_")),
  }));
  const answer = await importKeys(...keys);
  expect(answer.body.imported.map(({ name }: { name: string }) => name)).toEqual(keys.map(({ name }) => name));
  expect((await announced()) - before).toBe(1);
});

test("an imported key in a name, a reason or a URL of its organization is refused, and kept nowhere", async () => {
  const key = newKey("zeta-");
  const answer = await importKeys({ prefix: "zeta-", sha256: sha256(key), lastFour: key.slice(-4) });
  const { id } = answer.body.imported[0];
  const refused: [string, object?][] = [
    ["POST /v1/secret-keys", { name: `ci ${key}` }],
    ["POST /v1/secret-keys", { name: `"${key}"` }],
    [`PATCH /v1/secret-keys/${id}`, { name: `key=${key},` }],
    ["POST /v1/projects", { name: key }],
    ["POST /v1/queries", { name: "theirs", query: `message:"${key}"` }],
    ["POST /v1/queries", { name: key, query: "a" }],
    ["POST /v1/queries", { name: "described", description: `as ${key} asked`, query: "a" }],
    [`DELETE /v1/secret-keys/${id}?reason=${encodeURIComponent(`leaked: ${key}`)}`],
    ["POST /v1/keys/revoke-all", { kind: "public", reason: `leaked (${key})` }],
    [`GET /v1/secret-keys?cursor=${key}`],
    [`GET /v1/secret-keys/${key}`],
    [`GET /v1/audit?action=${encodeURIComponent(` ${key}`)}`],
  ];
  for (const [route, body] of refused) {
    const { status, body: said } = await send(service, route, { headers, ...(body && { body }) });
    expect({ route: route.replace(key, "KEY"), status }).toEqual({ route: route.replace(key, "KEY"), status: 400 });
    expect(JSON.stringify(said)).toMatch(/hold(s)? a key/);
    expect(JSON.stringify(said)).not.toContain(key);
  }
  const tables = await queryDatabase(
    service.databaseUrl,
    "select (select count(*) from keys where name like $1)::int + (select count(*) from audit_events where details::text || target::text like $1)::int as held",
    [`%${key}%`],
  );
  expect(tables.rows).toEqual([{ held: 0 }]);
  // It still works; nothing was ended by what was refused.
  expect((await send(service, "GET /v1/me", { headers: bearer(key) })).status).toBe(200);
});

describe("an imported key in a URL that no handler checks", () => {
  const key = newKey("url-");
  beforeAll(async () => {
    await importKeys({ prefix: "url-", sha256: sha256(key) });
    // A process reads the prefixes again as soon as it learns of the import, which is after the answer.
    while ((await send(service, `GET /v1/nowhere/${key}`)).status !== 400) await setTimeout(20);
  });

  const own = () => headers;
  const none = () => ({});
  const encoded = encodeURIComponent(key).replaceAll("-", "%2d");
  test.each<[string, string, () => Record<string, string>]>([
    ["an unknown path", `GET /v1/nowhere/${key}`, own],
    ["an unknown path without a key", `GET /v1/nowhere/${key}`, none],
    ["an unversioned one", `GET /${key}`, none],
    ["the parameters of an unknown path", `GET /v1/nowhere?key=${key}`, own],
    ["parameters, encoded", `GET /v1/nowhere?key=${encoded}`, own],
    ["parameters, encoded twice", `GET /v1/nowhere?key=${encoded.replaceAll("%", "%25")}`, own],
    ["a path that takes another method", `PUT /v1/me?key=${key}`, own],
    ["a known path without a key", `GET /v1/me?key=${key}`, none],
    ["the health check", `GET /healthz?key=${key}`, none],
    ["the intake without a key", `POST /v1/logs?key=${key}`, none],
    ["a known path, encoded", `GET /v1/me?key=${encoded}`, own],
    ["a known path, encoded twice", `GET /v1/me?key=${encoded.replaceAll("%", "%25")}`, own],
  ])("is refused in %s", async (_, route, credentials) => {
    const lines = vi.spyOn(process.stdout, "write").mockReturnValue(true);
    const { status, text } = await send(service, route, { headers: credentials() });
    const logged = lines.mock.calls.join("\n");
    lines.mockRestore();
    expect({ status, text }).toEqual({ status: 400, text: expect.stringContaining("The URL holds a key") });
    expect(`${text} ${logged}`).not.toContain(key.slice(4));
  });

  test("what only begins like one is not refused", async () => {
    expect((await send(service, "GET /v1/nowhere/url-rewriting", { headers })).status).toBe(404);
    expect((await send(service, "GET /v1/me?key=url-rewriting-2026-plan", { headers })).status).toBe(200);
  });
});

test("an imported key as the id of a request is not kept", async () => {
  const key = newKey("reqid-");
  await importKeys({ prefix: "reqid-", sha256: sha256(key) });
  const made = await send(service, "POST /v1/secret-keys", {
    headers: { ...headers, "x-request-id": key },
    body: { name: "by a mistaken client" },
  });
  // Where the prefix is known, the service takes an id of its own; before that, the database finds the key.
  expect([201, 400]).toContain(made.status);
  if (made.status === 400) expect(made.body.message).toContain("x-request-id: must not hold");
  const { body } = await send(service, "GET /v1/audit?limit=5", { headers });
  expect(JSON.stringify(body)).not.toContain(key);
});

test("a name that turns out to be an imported key keeps nothing from being revoked, deleted, or changed otherwise", async () => {
  const text = newKey("late-");
  const made = await send(service, "POST /v1/secret-keys", { headers, body: { name: text } });
  const saved = await send(service, "POST /v1/queries", { headers, body: { name: text, query: `message:"${text}"` } });
  expect([made.status, saved.status]).toEqual([201, 201]);
  const imported = await importKeys({ prefix: "late-", sha256: sha256(text) });
  const { id, value } = made.body.secretKey;
  const narrowed = await send(service, `PATCH /v1/secret-keys/${id}`, { headers, body: { scopes: ["read:logs"] } });
  expect(narrowed.status).toBe(200);
  const deleted = await send(service, `DELETE /v1/queries/${saved.body.query.id}`, { headers });
  expect(deleted.status).toBe(204);
  expect((await send(service, "POST /v1/keys/self/revoke", { headers: bearer(value), body: {} })).status).toBe(204);
  const { status } = await send(service, `DELETE /v1/secret-keys/${imported.body.imported[0].id}`, { headers });
  expect(status).toBe(204);
});

test("an organization has 50 prefixes of imported keys at most; those of revoked keys do not count", async () => {
  const other = await startTestService();
  const ask = (route: string, body?: object) =>
    send(other, route, { headers: bearer(other.secretKey), ...(body && { body }) });
  const keys = Array.from({ length: 51 }, (_, index) => ({
    kind: "secret",
    name: `import ${index}`,
    prefix: `p${index}-`,
    sha256: sha256(newKey(`p${index}-`)),
  }));
  const refused = await ask("POST /v1/keys/import", { keys });
  expect(refused).toMatchObject({ status: 409, body: { message: expect.stringMatching(/at most 50 prefixes/) } });
  expect((await ask("GET /v1/secret-keys")).body.secretKeys).toHaveLength(1);
  const answer = await ask("POST /v1/keys/import", { keys: keys.slice(0, 50) });
  expect(answer.status).toBe(201);
  expect((await ask("POST /v1/keys/import", { keys: keys.slice(50) })).status).toBe(409);
  await ask(`DELETE /v1/secret-keys/${answer.body.imported[0].id}`);
  expect((await ask("POST /v1/keys/import", { keys: keys.slice(50) })).status).toBe(201);
  await other.close();
});

test("a name that only begins like an imported key is a name", async () => {
  const key = newKey("prod-");
  await importKeys({ prefix: "prod-", sha256: sha256(key) });
  for (const name of ["prod-2026-11-30-shipper-01", `${key}0`]) {
    expect((await send(service, "POST /v1/secret-keys", { headers, body: { name } })).status).toBe(201);
  }
});

test("an imported key in a user agent is masked where uses are shown", async () => {
  const key = newKey("beta_");
  const answer = await importKeys({ prefix: "beta_", sha256: sha256(key) });
  const { id } = answer.body.imported[0];
  const agents = "select last_used_agent as agent from key_secret_uses where key_id = $1";
  await send(service, "GET /v1/me", { headers: bearer(key) });
  await send(service, "GET /v1/me", { headers: { ...bearer(key), "user-agent": `tool/1 ${key}` } });
  await expect
    .poll(async () => (await queryDatabase(service.databaseUrl, agents, [id])).rows[0]?.agent)
    .toBe(`tool/1 ${key.slice(0, 4)}…`);
});

describe("POST /v1/keys/identify", () => {
  const identify = (key: string, as = headers) => send(other, "POST /v1/keys/identify", { headers: as, body: { key } });
  const create = async (kind: "secret" | "public", body: object = {}) => {
    const { body: answer } = await send(service, `POST /v1/${kind}-keys`, { headers, body: { name: "ours", ...body } });
    return answer[`${kind}Key`];
  };

  test("finds keys of both kinds, and imported ones of which the last four characters are not known", async () => {
    const text = newKey("acme_");
    const { imported } = (await importKeys({ prefix: "acme_", sha256: sha256(text) })).body;
    expect(await identify(text)).toMatchObject({
      status: 200,
      body: { keyId: imported[0].id, kind: "secret", projectId: null, secret: "current" },
    });
    const { id, value, projectId } = await create("public", { allowedOrigins: ["https://app.example.com"] });
    expect((await identify(value)).body).toEqual({ keyId: id, kind: "public", projectId, secret: "current" });
  });

  test("finds keys that cannot be used: revoked, expired, or from another address only", async () => {
    const [revoked, expired, fenced] = [await create("secret"), await create("secret"), await create("secret")];
    await send(service, `DELETE /v1/secret-keys/${revoked.id}`, { headers });
    const past = "update keys set expires_at = now() - interval '1 minute' where id = $1";
    await queryDatabase(service.databaseUrl, past, [expired.id]);
    const allowedAddresses = ["203.0.113.9"];
    await send(service, `PATCH /v1/secret-keys/${fenced.id}`, { headers, body: { allowedAddresses } });
    for (const { id, value } of [revoked, expired, fenced]) expect((await identify(value)).body.keyId).toBe(id);
  });

  test("tells the secrets of a rotated key apart", async () => {
    const { id, value } = await create("secret");
    const rotate = `POST /v1/secret-keys/${id}/rotate`;
    const { body } = await send(service, rotate, { headers, body: { graceSeconds: 600 } });
    expect((await identify(value)).body).toMatchObject({ keyId: id, secret: "previous" });
    expect((await identify(body.secretKey.value)).body).toMatchObject({ keyId: id, secret: "current" });
    await send(service, `${rotate}/finish`, { headers });
    expect((await identify(value)).body).toMatchObject({ keyId: id, secret: "replaced" });
  });

  test("does not know keys that nobody has, of another organization, or outside of the caller's project", async () => {
    const text = newKey("acme_");
    await importKeys({ prefix: "acme_", sha256: sha256(text) });
    expect(await identify(`${text}0`)).toMatchObject({ status: 404, body: { code: "NOT_FOUND" } });
    const narrowed = await create("secret", { projectId: service.projectId });
    expect((await identify(text, bearer(narrowed.value))).status).toBe(404);
    expect((await identify(narrowed.value, bearer(narrowed.value))).status).toBe(200);
    const { id, value } = await create("secret");
    await queryDatabase(
      service.databaseUrl,
      `with other as (insert into organizations (name, slug) values ('Other', 'other') returning id)
       update keys set organization_id = (select id from other) where id = $1`,
      [id],
    );
    expect((await identify(value)).status).toBe(404);
  });

  test("needs the scope read:keys, and counts no use of the key that is looked for", async () => {
    const { value: blind } = await create("secret", { scopes: ["read:logs"] });
    const { id, value } = await create("secret");
    expect((await identify(value, bearer(blind))).status).toBe(403);
    expect((await identify(value)).status).toBe(200);
    const { rows } = await queryDatabase(service.databaseUrl, "select 1 from key_secret_uses where key_id = $1", [id]);
    expect(rows).toEqual([]);
  });
});
