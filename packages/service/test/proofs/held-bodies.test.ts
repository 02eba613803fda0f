import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { scopes } from "@sazabi/sdk/protocol";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createApp } from "../../src/app.ts";
import type { AppContext } from "../../src/app-context.ts";
import { type Authentication, guards } from "../../src/http/guards.ts";
import { type HeldRequest, holdRequest } from "../support/held-request.ts";
import { bearer, queryDatabase, send, startTestService, type TestService } from "../support/index.ts";

/*
 * A request whose body is held open while the rights of its key are taken away: nothing is committed for it, and nothing
 * is read. The operations come from the routes of the service, so that a new one is among them or fails the first test.
 */

let service: TestService;
let admin: Record<string, string>;
beforeAll(async () => {
  service = await startTestService();
  admin = bearer(service.secretKey);
});
afterAll(() => service.close());

/** What the paths and bodies of the requests name. */
interface Things {
  readonly secretKeyId: string;
  readonly publicKeyId: string;
  readonly publicKey: string;
  readonly projectId: string;
  readonly queryId: string;
}

interface Operation {
  readonly kind: "secret" | "public";
  readonly path: (things: Things) => string;
  readonly type?: string;
  /** Of a function, what it returns. */
  readonly body: unknown;
}

const secret = (path: Operation["path"], body: unknown): Operation => ({ kind: "secret", path, body });
const intake = (path: string, body: unknown, type?: string): Operation => ({
  kind: "public",
  path: () => path,
  body,
  ...(type && { type }),
});
const fixed = (path: string) => () => path;

const otlp = { resourceLogs: [{ scopeLogs: [{ logRecords: [{ body: { stringValue: "held" } }] }] }] };
const bulk = `{"create":{}}\n{"message":"held"}\n`;
const ndjson = "application/x-ndjson";
const imported = { kind: "secret", name: "held", prefix: "held_", sha256: "ab".repeat(32) };

/** Every route that reads a body, by method and path, as under `/v1` as without. */
const operations: Readonly<Record<string, Operation>> = {
  "PATCH /projects/:id": secret(({ projectId }) => `/projects/${projectId}`, { name: "renamed" }),
  "POST /secret-keys": secret(fixed("/secret-keys"), { name: "held" }),
  "PATCH /secret-keys/:id": secret(({ secretKeyId }) => `/secret-keys/${secretKeyId}`, { name: "held", scopes: ["*"] }),
  "POST /secret-keys/:id/rotate": secret(({ secretKeyId }) => `/secret-keys/${secretKeyId}/rotate`, {}),
  "POST /public-keys": secret(fixed("/public-keys"), { name: "held" }),
  "PATCH /public-keys/:id": secret(({ publicKeyId }) => `/public-keys/${publicKeyId}`, { name: "held" }),
  "POST /public-keys/:id/rotate": secret(({ publicKeyId }) => `/public-keys/${publicKeyId}/rotate`, {}),
  "POST /public-keys/log-forwarding/ensure": secret(fixed("/public-keys/log-forwarding/ensure"), {}),
  "POST /keys/import": secret(fixed("/keys/import"), { keys: [imported] }),
  "POST /keys/identify": secret(fixed("/keys/identify"), ({ publicKey }: Things) => ({ key: publicKey })),
  "POST /keys/revoke-all": secret(fixed("/keys/revoke-all"), { except: ["caller"], unusedForDays: 3000 }),
  "POST /queries": secret(fixed("/queries"), { name: "held", query: "held" }),
  "PATCH /queries/:id": secret(({ queryId }) => `/queries/${queryId}`, { name: "renamed" }),
  "POST /queries/:id/execute": secret(({ queryId }) => `/queries/${queryId}/execute`, {}),
  "POST /logs/query": secret(fixed("/logs/query"), {}),
  "POST /logs/volume": secret(fixed("/logs/volume"), {}),
  "POST /logs/facets": secret(fixed("/logs/facets"), { field: "level" }),
  "POST /logs/patterns": secret(fixed("/logs/patterns"), {}),
  "POST /logs/schema": secret(fixed("/logs/schema"), {}),
  "POST /logs/native-query": secret(fixed("/logs/native-query"), { query: "select message from logs limit 1" }),
  "POST /logs": intake("/logs", { message: "held" }),
  "POST /adapters/otlp": intake("/adapters/otlp", otlp),
  "POST /adapters/otlp/v1/logs": intake("/adapters/otlp/v1/logs", otlp),
  "POST /loki/api/v1/push": intake("/loki/api/v1/push", {
    streams: [{ stream: { service: "held" }, values: [[`${Date.now()}000000`, "held"]] }],
  }),
  "POST /_bulk": intake("/_bulk", bulk, ndjson),
  "POST /:index/_bulk": intake("/held/_bulk", bulk, ndjson),
  "POST /adapters/elasticsearch/_bulk": intake("/adapters/elasticsearch/_bulk", bulk, ndjson),
  "POST /adapters/elasticsearch/:index/_bulk": intake("/adapters/elasticsearch/held/_bulk", bulk, ndjson),
  "PUT /_bulk": intake("/_bulk", bulk, ndjson),
  "PUT /:index/_bulk": intake("/held/_bulk", bulk, ndjson),
  "PUT /adapters/elasticsearch/_bulk": intake("/adapters/elasticsearch/_bulk", bulk, ndjson),
  "PUT /adapters/elasticsearch/:index/_bulk": intake("/adapters/elasticsearch/held/_bulk", bulk, ndjson),
  // The last one: with a second project, the others would have to name theirs.
  "POST /projects": secret(fixed("/projects"), { name: "held" }),
};

/** Routes that read no body: there is nothing to hold. Their transactions check the key like all others. */
const withoutBody = new Set([
  "DELETE /secret-keys/:id",
  "DELETE /queries/:id",
  "POST /secret-keys/:id/rotate/finish",
  "POST /secret-keys/:id/rotate/cancel",
  "POST /public-keys/:id/rotate/finish",
  "POST /public-keys/:id/rotate/cancel",
  "POST /public-keys/:id/deactivate",
  "POST /keys/self/revoke",
  "POST /adapters/otlp/v1/traces",
  "POST /adapters/otlp/v1/metrics",
  "POST /traces",
  "POST /metrics",
]);

/** Routes that take a body from anybody: they read and change nothing by the rights of a key. */
const keyless = new Set(["POST /keys/report", "POST /keys/report/github"]);

interface Served {
  readonly name: string;
  readonly method: string;
  /** `/v1` or nothing. */
  readonly version: string;
}

/** The routes of the service that may take a body. */
function served(): Served[] {
  const services = { guards: guards({} as Authentication) } as AppContext;
  const routes = createApp(services).routes.filter(({ method }) => !["GET", "OPTIONS", "ALL"].includes(method));
  const all = routes.map(({ method, path }) => {
    const version = path.startsWith("/v1/") ? "/v1" : "";
    return { method, version, name: `${method} ${path.slice(version.length).replace(/(?<=.)\/$/, "")}` };
  });
  return [...new Map(all.map((route) => [route.version + route.name, route])).values()];
}

test("every route is among those whose body is held, or is known to read none", () => {
  const names = new Set(served().map(({ name }) => name));
  expect([...names].filter((name) => !(name in operations) && !withoutBody.has(name) && !keyless.has(name))).toEqual(
    [],
  );
  expect(Object.keys(operations).filter((name) => !names.has(name))).toEqual([]);
});

test.each([...withoutBody])("%s answers before its body is there", async (name) => {
  const [method, path = ""] = name.split(" ");
  const version = served().find((route) => route.name === name)?.version;
  const held = await holdRequest(
    service.url,
    `${method} ${version}${path.replace(":id", "00000000-0000-4000-8000-000000000000")}`,
    { headers: { ...bearer("none"), "content-type": "application/json" }, body: Buffer.from("{}") },
  );
  expect(await held.answer).toMatchObject({ status: expect.any(Number) });
});

interface Key {
  readonly id: string;
  readonly value: string;
}

interface Keys {
  readonly secret: Key;
  readonly public: Key;
}

const both = (keys: Keys, act: (path: string, key: Key) => Promise<{ status: number }>) =>
  Promise.all([act("/v1/secret-keys", keys.secret), act("/v1/public-keys", keys.public)]);

const patchBoth = async (keys: Keys, body: object) => {
  const answers = await both(keys, (path, { id }) => send(service, `PATCH ${path}/${id}`, { headers: admin, body }));
  expect(answers.map(({ status }) => status)).toEqual([200, 200]);
};

const patchSecret = async ({ secret: { id } }: Keys, body: object) => {
  expect(await send(service, `PATCH /v1/secret-keys/${id}`, { headers: admin, body })).toMatchObject({ status: 200 });
};

const rotateBoth = async (keys: Keys, graceSeconds: number) => {
  const body = { graceSeconds };
  const answers = await both(keys, (path, { id }) =>
    send(service, `POST ${path}/${id}/rotate`, { headers: admin, body }),
  );
  expect(answers.map(({ status }) => status)).toEqual([201, 201]);
};

/** Every way to lose rights. `public: false` where it concerns secret keys only. */
const takings: Readonly<Record<string, { readonly public?: false; readonly take: (keys: Keys) => Promise<unknown> }>> =
  {
    "is revoked": {
      take: async (keys) => {
        await send(service, `DELETE /v1/secret-keys/${keys.secret.id}`, { headers: admin });
        await send(service, `POST /v1/public-keys/${keys.public.id}/deactivate`, { headers: admin });
      },
    },
    "revokes itself": {
      public: false,
      take: ({ secret: { value } }) => send(service, "POST /v1/keys/self/revoke", { headers: bearer(value) }),
    },
    "is revoked by revoke-all": {
      take: () => send(service, "POST /v1/keys/revoke-all", { headers: admin, body: { except: ["caller"] } }),
    },
    "is revoked by hand, in the database": {
      take: ({ secret, public: publicKey }) =>
        queryDatabase(service.databaseUrl, "update keys set revoked_at = now() where id = any($1)", [
          [secret.id, publicKey.id],
        ]),
    },
    "is narrowed to another scope": { public: false, take: (keys) => patchSecret(keys, { scopes: ["read:threads"] }) },
    "is narrowed from * to every single scope": { public: false, take: (keys) => patchSecret(keys, { scopes }) },
    "is limited to an address": { take: (keys) => patchBoth(keys, { allowedAddresses: ["203.0.113.9"] }) },
    "is given an earlier end, which is past when the body is there": {
      take: async (keys) => {
        await patchBoth(keys, { expiresAt: new Date(Date.now() + 700).toISOString() });
        await sleep(1000);
      },
    },
    "is rotated without a grace": { take: (keys) => rotateBoth(keys, 0) },
    "is rotated, and the grace ends": {
      take: async (keys) => {
        await rotateBoth(keys, 1);
        await sleep(1300);
      },
    },
  };

const create = async (path: string, noun: string, body: object) =>
  (await send(service, `POST ${path}`, { headers: admin, body })).body[noun];

/** Whatever the operations could change, but for how often keys were used. */
async function everything(): Promise<unknown> {
  const { rows } = await queryDatabase(
    service.databaseUrl,
    `select (select json_agg(k order by id) from (select id, name, scopes, revoked_at from keys) k) as keys,
            (select json_agg(s order by digest) from (select digest, generation, retires_at from key_secrets) s) as secrets,
            (select json_agg(p order by id) from projects p) as projects,
            (select json_agg(q order by id) from saved_queries q) as queries,
            (select count(*) from audit_events) as events,
            (select count(*) from logs) as logs`,
  );
  return rows[0];
}

const leakedKeys = async (): Promise<Keys> => ({
  secret: await create("/v1/secret-keys", "secretKey", { name: "leaked" }),
  public: await create("/v1/public-keys", "publicKey", { name: "leaked" }),
});

async function newThings(): Promise<Things> {
  const { id: publicKeyId, value: publicKey } = await create("/v1/public-keys", "publicKey", { name: "other" });
  return {
    secretKeyId: (await create("/v1/secret-keys", "secretKey", { name: "other", scopes: ["read:logs"] })).id,
    publicKeyId,
    publicKey,
    projectId: service.projectId,
    queryId: (await create("/v1/queries", "query", { name: `other ${randomUUID()}`, query: "x" })).id,
  };
}

function hold({ method, version }: Served, operation: Operation, keys: Keys, things: Things): Promise<HeldRequest> {
  const { kind, path, type = "application/json" } = operation;
  const body = typeof operation.body === "function" ? operation.body(things) : operation.body;
  const credential = kind === "secret" ? bearer(keys.secret.value) : { "x-sazabi-key": keys.public.value };
  return holdRequest(service.url, `${method} ${version}${path(things)}`, {
    headers: { ...credential, "content-type": type },
    body: Buffer.from(typeof body === "string" ? body : JSON.stringify(body)),
  });
}

describe.each(Object.entries(takings))("a key that %s while the bodies of its requests are held", (_, taking) => {
  test("commits nothing and reads nothing", async () => {
    const keys = await leakedKeys();
    const things = await newThings();
    // Both keys are in memory: the service admits the requests in the moment in which it begins with them.
    await send(service, "GET /v1/me", { headers: bearer(keys.secret.value) });
    const entry = { headers: { "x-sazabi-key": keys.public.value }, body: { message: "before" } };
    expect(await send(service, "POST /v1/logs", entry)).toMatchObject({ status: 202 });

    const held: { name: string; request: HeldRequest }[] = [];
    for (const route of served()) {
      const operation = operations[route.name];
      if (!operation || (operation.kind === "public" && taking.public === false)) continue;
      const request = await hold(route, operation, keys, things);
      held.push({ name: `${route.version} ${route.name}`, request });
    }
    expect(held.length).toBeGreaterThan(30);

    await taking.take(keys);
    const before = await everything();
    const answers = await Promise.all(
      held.map(async ({ name, request }) => ({ name, status: (await request.finish()).status })),
    );
    expect(answers.filter(({ status }) => status !== 401 && status !== 403)).toEqual([]);
    expect(await everything()).toEqual(before);
  });
});

test("a public key in the body is judged when the body is there", async () => {
  const key = await create("/v1/public-keys", "publicKey", { name: "in the body" });
  const resource = { attributes: [{ key: "sazabi.public_key", value: { stringValue: key.value } }] };
  const body = Buffer.from(JSON.stringify({ resourceLogs: [{ resource, ...otlp.resourceLogs[0] }] }));
  const hold = () =>
    holdRequest(service.url, "POST /v1/logs", { headers: { "content-type": "application/json" }, body });
  expect(await (await hold()).finish()).toMatchObject({ status: 200 });
  const held = await hold();
  await send(service, `POST /v1/public-keys/${key.id}/deactivate`, { headers: admin });
  expect(await held.finish()).toMatchObject({ status: 401 });
});

// The last test: it makes a second project.
test("a key that keeps its rights: every one of these requests is answered 2xx when its body is there", async () => {
  const routes = new Map(served().map((route) => [route.name, route]));
  const keys = await leakedKeys();
  const things = await newThings();
  for (const [name, operation] of Object.entries(operations)) {
    const held = await hold(routes.get(name) as Served, operation, keys, things);
    expect({ name, ...(await held.finish()) }).toMatchObject({ name, status: expect.toSatisfy(isSuccess) });
  }
});

const isSuccess = (status: number) => status >= 200 && status < 300;
