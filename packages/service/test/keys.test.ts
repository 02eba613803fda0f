import { createHash, randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { parseKey } from "@sazabi/sdk/protocol";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { bearer, queryDatabase, send, startTestService, type TestService } from "./support/index.ts";

let service: TestService;
let owner: { headers: Record<string, string> };
beforeAll(async () => {
  service = await startTestService();
  owner = { headers: bearer(service.secretKey) };
});
afterAll(() => service.close());

const nobody = "00000000-0000-4000-8000-000000000000";

async function create(body: object, headers = owner.headers) {
  return send(service, "POST /v1/secret-keys", { headers, body });
}

describe("secret keys", () => {
  test("a new key is shown once, with a valid checksum, and never again", async () => {
    const made = await create({ name: "CI/CD pipeline" });
    expect(made.status).toBe(201);
    const { value, id, masked } = made.body.secretKey;
    expect(parseKey(value)).toMatchObject({ kind: "secret", style: "live" });
    expect(masked).toBe(`sk_live_…${value.slice(-4)}`);
    for (const request of [`GET /v1/secret-keys/${id}`, "GET /v1/secret-keys?limit=100"]) {
      const answer = await send(service, request, owner);
      expect(answer.text).toContain(masked);
      expect(answer.text).not.toContain(value);
    }
  });

  test("both styles of prefix work", async () => {
    const made = await create({ name: "terraform-automation", style: "sazabi" });
    expect(made.body.secretKey.value).toMatch(/^sazabi_secret_[0-9a-f]{32}$/);
    const answer = await send(service, "GET /v1/me", { headers: bearer(made.body.secretKey.value) });
    expect(answer.body).toMatchObject({ credentialType: "secret", keyName: "terraform-automation" });
  });

  test("a list is paged by cursor, newest first, without a gap or a repetition", async () => {
    for (let index = 0; index < 5; index++) await create({ name: `page ${index}` });
    const all = (await send(service, "GET /v1/secret-keys?limit=100", owner)).body;
    expect(all.nextCursor).toBeNull();
    const seen: string[] = [];
    let cursor = "";
    do {
      const page = (await send(service, `GET /v1/secret-keys?limit=2${cursor}`, owner)).body;
      expect(page.secretKeys.length).toBeLessThanOrEqual(2);
      seen.push(...page.secretKeys.map(({ id }: { id: string }) => id));
      cursor = page.nextCursor ? `&cursor=${page.nextCursor}` : "";
    } while (cursor);
    expect(seen).toEqual(all.secretKeys.map(({ id }: { id: string }) => id));
  });

  test("name and expiry can be changed, null clears the expiry", async () => {
    const { id } = (await create({ name: "before", expiresIn: "1h" })).body.secretKey;
    const changed = await send(service, `PATCH /v1/secret-keys/${id}`, {
      ...owner,
      body: { name: "after", expiresAt: null },
    });
    expect(changed.body.secretKey).toMatchObject({ id, name: "after", expiresAt: null });
  });

  test("a duration runs from now, in a creation, a change and an import", async () => {
    const durations = { "90s": 90, "2h": 7200, "1d12h": 129_600, "45d": 3_888_000, "1w": 604_800 };
    const sha256 = createHash("sha256").update(randomUUID()).digest("hex");
    const imported = await send(service, "POST /v1/keys/import", {
      ...owner,
      body: { keys: [{ kind: "secret", name: "theirs", prefix: "acme_", sha256, expiresIn: "2h" }] },
    });
    const lastsMs = (key: { expiresAt: string }) => Date.parse(key.expiresAt) - Date.now();
    const { id: importedId } = imported.body.imported[0];
    const { body: found } = await send(service, `GET /v1/secret-keys/${importedId}`, owner);
    expect(Math.abs(lastsMs(found.secretKey) - 7_200_000)).toBeLessThan(30_000);
    for (const [expiresIn, seconds] of Object.entries(durations)) {
      const { secretKey } = (await create({ name: "lasting", expiresIn })).body;
      expect(Math.abs(lastsMs(secretKey) - seconds * 1000)).toBeLessThan(30_000);
      for (const kind of ["secret", "public"]) {
        const made = await send(service, `POST /v1/${kind}-keys`, { ...owner, body: { name: "lasting" } });
        const { id } = made.body[`${kind}Key`];
        const change = (body: object) => send(service, `PATCH /v1/${kind}-keys/${id}`, { ...owner, body });
        const { body } = await change({ expiresIn });
        expect(Math.abs(lastsMs(body[`${kind}Key`]) - seconds * 1000)).toBeLessThan(30_000);
        expect((await change({ expiresIn: "never" })).body[`${kind}Key`].expiresAt).toBeNull();
        const both = await change({ expiresIn, expiresAt: "2099-01-01T00:00:00Z" });
        expect(both).toMatchObject({ status: 400, body: { issues: [{ path: "expiresIn" }] } });
      }
    }
  });

  test.each([
    ["no name", {}, "name"],
    ["an empty name", { name: "   " }, "name"],
    ["a long name", { name: "x".repeat(101) }, "name"],
    ["a control character in the name", { name: "a\u0007b" }, "name"],
    ["an expiry in the past", { name: "x", expiresAt: "2020-01-01T00:00:00Z" }, "expiresAt"],
    ["an expiry that is no time", { name: "x", expiresAt: "tomorrow" }, "expiresAt"],
    ["a duration that is none", { name: "x", expiresIn: "soon" }, "expiresIn"],
    ["a duration of nothing", { name: "x", expiresIn: "0s" }, "expiresIn"],
    ["a duration with a sign", { name: "x", expiresIn: "-1h" }, "expiresIn"],
    ["a duration beyond the year 9999", { name: "x", expiresIn: "3000000d" }, "expiresIn"],
    ["a duration beyond every number", { name: "x", expiresIn: `${"9".repeat(400)}d` }, "expiresIn"],
    ["both expiries", { name: "x", expiresIn: "1h", expiresAt: "2099-01-01T00:00:00Z" }, "expiresIn"],
    ["a scope that is none", { name: "x", scopes: ["read:everything"] }, "scopes"],
    ["no scope at all", { name: "x", scopes: [] }, "scopes"],
    ["a style that is none", { name: "x", style: "test" }, "style"],
    ["a project that is no id", { name: "x", projectId: "default" }, "projectId"],
  ])("%s is refused, naming the member", async (_, body, path) => {
    const answer = await create(body);
    expect(answer).toMatchObject({ status: 400, body: { code: "VALIDATION_ERROR" } });
    expect(answer.body.issues[0].path).toMatch(new RegExp(`^${path}`));
  });

  test.each([
    ["not JSON", "{name", { "content-type": "application/json" }, 400],
    ["another type", "name=x", { "content-type": "application/x-www-form-urlencoded" }, 415],
    ["too large", JSON.stringify({ name: "x".repeat(300_000) }), { "content-type": "application/json" }, 413],
    ["a scalar", "5", { "content-type": "application/json" }, 400],
  ])("a body that is %s is refused", async (_, body, headers, status) => {
    expect(
      (await send(service, "POST /v1/secret-keys", { headers: { ...owner.headers, ...headers }, body })).status,
    ).toBe(status);
  });

  test("revoking is final, and may be repeated", async () => {
    const { id } = (await create({ name: "gone" })).body.secretKey;
    expect((await send(service, `DELETE /v1/secret-keys/${id}`, owner)).status).toBe(204);
    expect((await send(service, `DELETE /v1/secret-keys/${id}`, owner)).status).toBe(204);
    expect((await send(service, `PATCH /v1/secret-keys/${id}`, { ...owner, body: { name: "back" } })).status).toBe(404);
    const list = await send(service, "GET /v1/secret-keys?limit=100", owner);
    expect(list.text).not.toContain(id);
    expect((await send(service, `GET /v1/secret-keys/${id}`, owner)).body.secretKey.revokedAt).not.toBeNull();
  });

  test("the last secret key is revoked only with force", async () => {
    const alone = await startTestService();
    try {
      const headers = bearer(alone.secretKey);
      const { id } = (await send(alone, "GET /v1/me", { headers })).body.key;
      expect(await send(alone, `DELETE /v1/secret-keys/${id}`, { headers })).toMatchObject({
        status: 409,
        body: { code: "CONFLICT" },
      });
      expect((await send(alone, "GET /v1/me", { headers })).status).toBe(200);
      expect((await send(alone, `DELETE /v1/secret-keys/${id}?force=true`, { headers })).status).toBe(204);
      expect((await send(alone, "GET /v1/me", { headers })).status).toBe(401);
    } finally {
      await alone.close();
    }
  });

  test("the last key that can administer the organization is the last, whatever other keys there are", async () => {
    const alone = await startTestService();
    try {
      const headers = bearer(alone.secretKey);
      const { id } = (await send(alone, "GET /v1/me", { headers })).body.key;
      const make = (body: object) => send(alone, "POST /v1/secret-keys", { headers, body: { name: "other", ...body } });
      const reader = (await make({ scopes: ["read:logs"] })).body.secretKey;
      await make({ projectId: alone.projectId });
      const end = (key: string) => send(alone, `DELETE /v1/secret-keys/${key}`, { headers });
      expect(await end(id)).toMatchObject({ status: 409, body: { code: "CONFLICT" } });
      expect((await end(reader.id)).status).toBe(204);
      await make({ scopes: ["write:keys"] });
      expect((await end(id)).status).toBe(204);
    } finally {
      await alone.close();
    }
  });

  test("two keys that revoke each other at once leave one alive", async () => {
    const pair = await startTestService();
    try {
      const first = bearer(pair.secretKey);
      const firstId = (await send(pair, "GET /v1/me", { headers: first })).body.key.id;
      const made = (await send(pair, "POST /v1/secret-keys", { headers: first, body: { name: "second" } })).body
        .secretKey;
      const answers = await Promise.all([
        send(pair, `DELETE /v1/secret-keys/${made.id}`, { headers: first }),
        send(pair, `DELETE /v1/secret-keys/${firstId}`, { headers: bearer(made.value) }),
      ]);
      expect(answers.map(({ status }) => status).sort()).not.toEqual([204, 204]);
      const { rows } = await queryDatabase(
        pair.databaseUrl,
        "select count(*)::int as live from keys where kind = 'secret' and revoked_at is null",
      );
      expect(rows[0].live).toBe(1);
    } finally {
      await pair.close();
    }
  });

  test("a key cannot grant what it has not", async () => {
    const narrow = (await create({ name: "narrow", scopes: ["write:keys", "read:logs"] })).body.secretKey;
    const headers = bearer(narrow.value);
    expect(await create({ name: "wider", scopes: ["read:logs", "read:keys"] }, headers)).toMatchObject({
      status: 403,
      body: { reason: "missing_scope" },
    });
    expect(await create({ name: "everything" }, headers)).toMatchObject({ status: 403 });
    expect(await create({ name: "same", scopes: ["read:logs"] }, headers)).toMatchObject({ status: 201 });
    expect(await send(service, "GET /v1/secret-keys", { headers })).toMatchObject({
      status: 403,
      body: { reason: "missing_scope", message: expect.stringContaining("read:keys") },
    });
  });

  test("a key that is narrowed to a project sees and makes nothing beyond it", async () => {
    const other = (await send(service, "POST /v1/projects", { ...owner, body: { name: "staging" } })).body.project;
    const made = (await create({ name: "staging only", projectId: other.id })).body.secretKey;
    const headers = bearer(made.value);
    expect((await send(service, "GET /v1/projects", { headers })).body.projects).toHaveLength(1);
    expect((await send(service, `GET /v1/projects/${service.projectId}`, { headers })).status).toBe(404);
    expect((await send(service, "GET /v1/secret-keys?limit=100", { headers })).body.secretKeys).toHaveLength(1);
    // A project that it cannot see is answered like one that nobody has.
    const imported = { kind: "public", name: "elsewhere", prefix: "elsewhere_", sha256: "ab".repeat(32) };
    for (const body of [{ projectId: service.projectId }, { projectId: randomUUID() }]) {
      expect(await create({ name: "elsewhere", ...body }, headers)).toMatchObject({
        status: 404,
        body: { message: "No such project." },
      });
      const keys = [{ ...imported, ...body }];
      expect(await send(service, "POST /v1/keys/import", { headers, body: { keys } })).toMatchObject({
        status: 404,
        body: { message: "No such project." },
      });
    }
    expect((await create({ name: "here" }, headers)).body.secretKey).toMatchObject({ projectId: other.id });
    expect(await send(service, "POST /v1/projects", { headers, body: { name: "third" } })).toMatchObject({
      status: 403,
    });
  });
});

describe("public keys", () => {
  test("a public key is made for the only project, works, and is dead once deactivated", async () => {
    const single = await startTestService();
    try {
      const headers = bearer(single.secretKey);
      const made = await send(single, "POST /v1/public-keys", { headers, body: { name: "Production logs" } });
      expect(made.status).toBe(201);
      const { id, value, projectId } = made.body.publicKey;
      expect(projectId).toBe(single.projectId);
      expect(parseKey(value)).toMatchObject({ kind: "public" });
      const log = { headers: { "x-sazabi-key": value }, body: { message: "hello" } };
      expect((await send(single, "POST /v1/logs", log)).status).toBe(202);
      const ended = await send(single, `POST /v1/public-keys/${id}/deactivate`, { headers });
      expect(ended.body.publicKey.deactivatedAt).not.toBeNull();
      expect(await send(single, "POST /v1/logs", log)).toMatchObject({
        status: 401,
        body: { reason: "revoked_api_key" },
      });
      const list = await send(single, "GET /v1/public-keys", { headers });
      expect(list.body.publicKeys.map((key: { id: string }) => key.id)).toContain(id);
    } finally {
      await single.close();
    }
  });

  test("the sazabi style has exactly 32 hex digits", async () => {
    const body = { name: "browser", style: "sazabi", projectId: service.projectId };
    const made = await send(service, "POST /v1/public-keys", { ...owner, body });
    expect(made.body.publicKey.value).toMatch(/^sazabi_public_[0-9a-f]{32}$/);
  });

  test("with several projects the request has to say which", async () => {
    await send(service, "POST /v1/projects", { ...owner, body: { name: "several" } });
    expect(await send(service, "POST /v1/public-keys", { ...owner, body: { name: "which" } })).toMatchObject({
      status: 400,
      body: { missingContext: ["projectId"] },
    });
  });

  test("the log-forwarding key is the same on every call, also when two ask at once, and is sealed at rest", async () => {
    const body = { projectId: service.projectId };
    const ensure = () => send(service, "POST /v1/public-keys/log-forwarding/ensure", { ...owner, body });
    const [first, second] = await Promise.all([ensure(), ensure()]);
    const third = await ensure();
    expect(first.body.publicKey.value).toBe(third.body.publicKey.value);
    expect(second.body.publicKey.value).toBe(third.body.publicKey.value);
    expect(first.body.publicKey.name).toBe("sazabi-cli-forward");
    const { rows } = await queryDatabase(
      service.databaseUrl,
      "select count(*)::int as open from keys where position($1::bytea in sealed_value) > 0",
      [Buffer.from(first.body.publicKey.value.slice(8))],
    );
    expect(rows[0].open).toBe(0);
  });

  test("once deactivated, the log-forwarding key is made anew", async () => {
    const body = { projectId: service.projectId };
    const ensure = () => send(service, "POST /v1/public-keys/log-forwarding/ensure", { ...owner, body });
    const old = (await ensure()).body.publicKey;
    await send(service, `POST /v1/public-keys/${old.id}/deactivate`, owner);
    const fresh = (await ensure()).body.publicKey;
    expect(fresh.id).not.toBe(old.id);
    expect(fresh.value).not.toBe(old.value);
  });

  test("the log-forwarding key is not rotated, since its kept value would be the old one", async () => {
    const body = { projectId: service.projectId };
    const ensure = () => send(service, "POST /v1/public-keys/log-forwarding/ensure", { ...owner, body });
    const { id, value } = (await ensure()).body.publicKey;
    const rotated = await send(service, `POST /v1/public-keys/${id}/rotate`, { ...owner, body: { graceSeconds: 0 } });
    expect(rotated).toMatchObject({ status: 409, body: { message: expect.stringContaining("log-forwarding/ensure") } });
    expect((await ensure()).body.publicKey.value).toBe(value);
    const log = { headers: { "x-sazabi-key": value }, body: { message: "x" } };
    expect((await send(service, "POST /v1/logs", log)).status).toBe(202);
  });

  test("once expired, the log-forwarding key is made anew, also when two ask at once", async () => {
    const body = { projectId: service.projectId };
    const ensure = () => send(service, "POST /v1/public-keys/log-forwarding/ensure", { ...owner, body });
    const old = (await ensure()).body.publicKey;
    const expiresAt = new Date(Date.now() + 500).toISOString();
    await send(service, `PATCH /v1/public-keys/${old.id}`, { ...owner, body: { expiresAt } });
    await sleep(600);
    const [first, second] = await Promise.all([ensure(), ensure()]);
    expect([first.status, second.status]).toEqual([200, 200]);
    expect(first.body.publicKey.id).not.toBe(old.id);
    expect(second.body.publicKey.value).toBe(first.body.publicKey.value);
    const { events } = (await send(service, `GET /v1/audit?targetId=${old.id}`, owner)).body;
    const ends = events.filter(({ action }: { action: string }) => action === "public_key.revoked");
    expect(ends).toMatchObject([{ details: { reason: "expired" } }]);
  });
});

test("another organization's things are answered with the same bytes as things that do not exist", async () => {
  const { rows } = await queryDatabase(
    service.databaseUrl,
    `with o as (insert into organizations (name, slug) values ('other', 'other') returning id),
          p as (insert into projects (organization_id, name, region) select id, 'theirs', 'us-west-2' from o returning *),
          s as (insert into keys (organization_id, kind, style, name, scopes) select id, 'secret', 'live', 'theirs', '{*}' from o returning id),
          k as (insert into keys (organization_id, project_id, kind, style, name, scopes) select organization_id, id, 'public', 'live', 'theirs', '{}' from p returning id)
     select p.id as project, s.id as secret, k.id as public, o.id as organization from o, p, s, k`,
  );
  const { project, secret, public: publicKey, organization } = rows[0];
  const requests: readonly [string, (id: string) => string, unknown?][] = [
    [secret, (id) => `GET /v1/secret-keys/${id}`],
    [secret, (id) => `PATCH /v1/secret-keys/${id}`, { name: "mine" }],
    [secret, (id) => `DELETE /v1/secret-keys/${id}`],
    [publicKey, (id) => `GET /v1/public-keys/${id}`],
    [publicKey, (id) => `PATCH /v1/public-keys/${id}`, { name: "mine" }],
    [publicKey, (id) => `POST /v1/public-keys/${id}/deactivate`],
    [project, (id) => `GET /v1/projects/${id}`],
    [project, (id) => `PATCH /v1/projects/${id}`, { name: "mine" }],
    [project, (id) => `GET /v1/public-keys?projectId=${id}`],
    [organization, (id) => `GET /v1/organizations/${id}`],
    [organization, (id) => `GET /v1/projects?organizationId=${id}`],
  ];
  for (const [id, request, body] of requests) {
    const headers = { ...owner.headers, "x-request-id": "same-request" };
    const theirs = await send(service, request(id), { headers, body });
    const missing = await send(service, request(nobody), { headers, body });
    expect([request(id), theirs.status]).toEqual([request(id), 404]);
    expect(theirs.text).toBe(missing.text);
  }
});

test.each(["not-an-id", "1; drop table keys", "%00", "../organizations"])("the id %s names nothing", async (id) => {
  const answer = await send(service, `GET /v1/secret-keys/${encodeURIComponent(id)}`, owner);
  expect(answer).toMatchObject({ status: 404, body: { code: "NOT_FOUND" } });
});

test("whoever holds a secret key can see what it is and make it worthless, without any scope", async () => {
  const made = (await create({ name: "found", scopes: ["read:logs"] })).body.secretKey;
  const headers = bearer(made.value);
  expect((await send(service, "GET /v1/keys/self", { headers })).body).toMatchObject({
    kind: "secret",
    key: { id: made.id, lastUsedAddress: null },
  });
  expect((await send(service, "POST /v1/keys/self/revoke?reason=found", { headers })).status).toBe(204);
  expect(await send(service, "GET /v1/keys/self", { headers })).toMatchObject({
    status: 401,
    body: { reason: "revoked_api_key" },
  });
  const { events } = (await send(service, `GET /v1/audit?targetId=${made.id}`, owner)).body;
  expect(events[0]).toMatchObject({
    action: "secret_key.revoked",
    actor: { id: made.id },
    details: { reason: "found" },
  });
});

test("whoever sees a public key in a web page can neither end it nor learn who uses it", async () => {
  const body = { name: "browser", projectId: service.projectId };
  const made = (await send(service, "POST /v1/public-keys", { ...owner, body })).body.publicKey;
  const headers = bearer(made.value);
  expect((await send(service, "GET /v1/keys/self", { headers })).body).toEqual({
    kind: "public",
    key: { masked: made.masked, projectId: service.projectId, expiresAt: null },
  });
  expect(await send(service, "POST /v1/keys/self/revoke", { headers })).toMatchObject({
    status: 403,
    body: { reason: "wrong_key_type", message: expect.stringContaining("/deactivate") },
  });
  const log = { headers: { "x-sazabi-key": made.value }, body: { message: "still taken" } };
  expect((await send(service, "POST /v1/logs", log)).status).toBe(202);
});

test("a key that is ended many times at once is on record as ended once", async () => {
  const secret = (await create({ name: "secret" })).body.secretKey;
  const own = (await create({ name: "own" })).body.secretKey;
  const body = { name: "public", projectId: service.projectId };
  const open = (await send(service, "POST /v1/public-keys", { ...owner, body })).body.publicKey;
  const requests = [
    [secret.id, `DELETE /v1/secret-keys/${secret.id}`, owner.headers],
    [own.id, "POST /v1/keys/self/revoke", bearer(own.value)],
    [open.id, `POST /v1/public-keys/${open.id}/deactivate`, owner.headers],
  ] as const;
  for (const [id, request, headers] of requests) {
    await Promise.all(Array.from({ length: 8 }, () => send(service, request, { headers })));
    const { events } = (await send(service, `GET /v1/audit?targetId=${id}`, owner)).body;
    const ends = events.filter(({ action }: { action: string }) => action.endsWith(".revoked"));
    expect([request, ends.length]).toEqual([request, 1]);
  }
});

test.each([
  ["POST /v1/secret-keys", { name: "typo", scope: ["read:logs"] }, "scope"],
  ["POST /v1/secret-keys", { name: "typo", sk_live_0123456789abcdef: 1 }, "sk_live_"],
  ["POST /v1/public-keys", { name: "typo", scopes: ["read:logs"] }, "scopes"],
  ["PATCH /v1/secret-keys/:id", { name: "typo", expires: "1h" }, "expires"],
  ["PATCH /v1/public-keys/:id", { name: "typo", origins: [] }, "origins"],
  ["POST /v1/secret-keys/:id/rotate", { grace: 0 }, "grace"],
  ["POST /v1/public-keys/:id/rotate", { grace: 0 }, "grace"],
  ["POST /v1/keys/revoke-all", { projectID: nobody }, "projectID"],
  ["POST /v1/keys/import", { keys: [{ kind: "public", name: "x", scopes: ["*"] }] }, "keys.0.scopes"],
])("%s refuses %j: a member it does not know is named, not ignored", async (request, body, path) => {
  const kind = request.includes("public") ? "public" : "secret";
  const made = await send(service, `POST /v1/${kind}-keys`, {
    ...owner,
    body: { name: "target", projectId: service.projectId },
  });
  const answer = await send(service, request.replace(":id", made.body[`${kind}Key`].id), { ...owner, body });
  expect(answer).toMatchObject({ status: 400, body: { code: "VALIDATION_ERROR" } });
  const named = answer.body.issues.map((issue: { path: string }) => issue.path);
  expect(named).toContainEqual(expect.stringMatching(new RegExp(`^${path}`)));
  expect(answer.text).not.toContain("0123456789abcdef");
});

test.each([
  ["DELETE /v1/secret-keys/:id?reason=a%00b", undefined],
  ["DELETE /v1/secret-keys/:id?reason=a%1bb", undefined],
  ["POST /v1/keys/self/revoke?reason=a%00b", undefined],
  ["POST /v1/keys/revoke-all", { reason: "a\u0000b", except: ["caller"], unusedForDays: 3650 }],
  ["POST /v1/keys/revoke-all", { reason: "a\ud800b", except: ["caller"], unusedForDays: 3650 }],
  ["GET /v1/audit?action=%00", undefined],
  ["GET /v1/audit?action=a%0ab", undefined],
])("%s %j: a control character or half a character is refused", async (request, body) => {
  const { id } = (await create({ name: "kept" })).body.secretKey;
  const answer = await send(service, request.replace(":id", id), { ...owner, body });
  expect(answer).toMatchObject({ status: 400, body: { code: "VALIDATION_ERROR" } });
});

test("the cursor of somebody else's list, or of another kind of key, is no place in mine", async () => {
  const foreign = await queryDatabase(
    service.databaseUrl,
    `with o as (insert into organizations (name, slug) values ('cursor', 'cursor') returning id),
          p as (insert into projects (organization_id, name, region) select id, 'theirs', 'us-west-2' from o returning id),
          t as (insert into threads (project_id, created_at) select id, now() + interval '1 hour' from p returning id),
          k as (insert into keys (organization_id, kind, style, name, scopes, created_at)
                select id, 'secret', 'live', 'theirs', '{*}', now() + interval '1 hour' from o returning id)
     select k.id as key, t.id as thread from k, t`,
  );
  await queryDatabase(service.databaseUrl, "insert into threads (project_id) values ($1)", [service.projectId]);
  const { key, thread } = foreign.rows[0];
  const keys = (cursor: string) => send(service, `GET /v1/secret-keys?cursor=${cursor}`, owner);
  const withoutId = ({ body }: { body: object }) => ({ ...body, requestId: undefined });
  expect(withoutId(await keys(key))).toEqual(withoutId(await keys(nobody)));
  const threads = (cursor: string) => send(service, `GET /v1/threads?cursor=${cursor}`, owner);
  expect(withoutId(await threads(thread))).toEqual(withoutId(await threads(nobody)));
  expect((await threads(thread)).status).toBe(400);
  await queryDatabase(service.databaseUrl, "delete from threads");
});

test("a project that is made again with the same Idempotency-Key is the same project", async () => {
  const headers = { ...owner.headers, "idempotency-key": "project-once" };
  const make = (name: string) => send(service, "POST /v1/projects", { headers, body: { name } });
  const [first, second] = [await make("made once"), await make("made once")];
  expect([first.status, second.status]).toEqual([201, 201]);
  expect(second.body).toEqual(first.body);
  expect((await make("another")).status).toBe(409);
});

test("the unversioned paths of spec/2 are the same routes, in the envelope", async () => {
  const bare = await send(service, "GET /v1/threads", owner);
  expect(bare.body).toEqual({ threads: [], nextCursor: null });
  const wrapped = await send(service, "GET /threads", { headers: { "x-sazabi-secret-key": service.secretKey } });
  expect(wrapped.body).toEqual({ data: { threads: [], nextCursor: null }, error: null });
});

test("a path that is nothing is a 404 in the shape of every error", async () => {
  expect(await send(service, "GET /v1/nothing", owner)).toMatchObject({
    status: 404,
    body: { code: "NOT_FOUND", data: null, operationId: "unknown" },
  });
});
