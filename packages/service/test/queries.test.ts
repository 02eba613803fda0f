import { SazabiAdmin } from "@sazabi/sdk";
import { afterAll, beforeAll, expect, test } from "vitest";
import { bearer, queryDatabase, send, startTestService, type TestService } from "./support/index.ts";

let service: TestService;
let admin: SazabiAdmin;
beforeAll(async () => {
  service = await startTestService();
  admin = new SazabiAdmin({ secretKey: service.secretKey, baseUrl: service.url });
});
afterAll(() => service.close());

const ask = (request: string, body?: unknown, key = service.secretKey, headers = {}) =>
  send(service, request, { headers: { ...bearer(key), ...headers }, ...(body !== undefined && { body }) });
const unique = () => `q ${Math.random().toString(36).slice(2)}`;
const missing = "00000000-0000-4000-8000-000000000000";

async function newProject() {
  const { id } = await admin.projects.create({ name: unique() });
  const { value: publicKey } = await admin.publicKeys.create({ name: "w", projectId: id });
  const { value: secretKey } = await admin.secretKeys.create({ name: "s", projectId: id });
  const write = (body: unknown) => send(service, "POST /v1/logs", { headers: { "x-sazabi-key": publicKey }, body });
  return { id, secretKey, write };
}

test("a saved query is created, read, changed and deleted, and each change is on record", async () => {
  const name = unique();
  const made = await admin.queries.create({
    name,
    query: "level:error",
    description: "what went wrong",
    projectId: service.projectId,
  });
  expect(made).toMatchObject({
    name,
    query: "level:error",
    description: "what went wrong",
    lookBackSeconds: 86_400,
    projectId: service.projectId,
  });
  expect(await admin.queries.get(made.id)).toEqual(made);
  const changed = await admin.queries.update(made.id, {
    query: "level:>=warn",
    description: null,
    lookBackSeconds: 60,
  });
  expect(changed).toMatchObject({ id: made.id, name, query: "level:>=warn", description: null, lookBackSeconds: 60 });
  expect(Date.parse(changed.updatedAt)).toBeGreaterThanOrEqual(Date.parse(made.updatedAt));
  await admin.queries.delete(made.id);
  await expect(admin.queries.get(made.id)).rejects.toMatchObject({ status: 404, code: "NOT_FOUND" });
  const { items: events } = await admin.audit.list({ targetId: made.id });
  expect(events.map(({ action, details }) => [action, details["query"]])).toEqual([
    ["query.deleted", "level:>=warn"],
    ["query.updated", "level:>=warn"],
    ["query.created", "level:error"],
  ]);
});

test("it finds what its query finds now, within its window, in pages", async () => {
  const project = await newProject();
  const at = (seconds: number) => new Date(Date.now() + seconds * 1000).toISOString();
  await project.write([
    { message: "old", level: "error", timestamp: at(-7200) },
    ...[1, 2, 3].map((n) => ({ message: `e${n}`, level: "error", timestamp: at(-100 + n) })),
    { message: "fast clock", level: "error", timestamp: at(3600) },
    { message: "fine", level: "info" },
  ]);
  const { id } = await admin.queries.create({
    projectId: project.id,
    name: "errors",
    query: "level:error",
    lookBackSeconds: 3600,
  });
  const messages = async (body = {}) => (await admin.queries.execute(id, body)).data.map(({ message }) => message);
  expect(await messages()).toEqual(["fast clock", "e3", "e2", "e1"]);
  expect(await messages({ sort: { direction: "asc" } })).toEqual(["e1", "e2", "e3", "fast clock"]);
  expect(await messages({ startDate: at(-8000), endDate: at(-7000) })).toEqual(["old"]);
  const first = await admin.queries.execute(id, { pagination: { limit: 2 } });
  const second = await admin.queries.execute(id, { pagination: { limit: 2, cursor: first.nextCursor as string } });
  expect([...first.data, ...second.data].map(({ message }) => message)).toEqual(["fast clock", "e3", "e2", "e1"]);
  expect(second.nextCursor).toBeNull();
});

test("a list is in pages, newest first, of one project or of all that the key can see", async () => {
  const [a, b] = [await newProject(), await newProject()];
  const made = [];
  for (const projectId of [a.id, b.id, a.id])
    made.push((await admin.queries.create({ projectId, name: unique(), query: "x" })).id);
  const ids = async (request: object) => (await admin.queries.list(request)).items.map(({ id }) => id);
  expect(await ids({ projectId: a.id })).toEqual([made[2], made[0]]);
  const page = await admin.queries.list({ limit: 2 });
  expect(page.items.map(({ id }) => id)).toEqual([made[2], made[1]]);
  expect((await ids({ limit: 1, cursor: page.nextCursor as string }))[0]).toBe(made[0]);
  expect(
    (await ask("GET /v1/queries", undefined, b.secretKey)).body.queries.map(({ id }: { id: string }) => id),
  ).toEqual([made[1]]);
});

test("a name is taken once in a project, also by two who take it at once", async () => {
  const { id: projectId } = await newProject();
  const make = (name: string) => ask("POST /v1/queries", { projectId, name, query: "x" });
  const answers = await Promise.all(Array.from({ length: 6 }, () => make("same")));
  expect(answers.map(({ status }) => status).sort()).toEqual([201, 409, 409, 409, 409, 409]);
  const other = (await make("other")).body.query.id;
  expect(await ask(`PATCH /v1/queries/${other}`, { name: "same" })).toMatchObject({
    status: 409,
    body: { code: "CONFLICT" },
  });
  expect((await ask(`PATCH /v1/queries/${other}`, { name: "other", query: "y" })).status).toBe(200);
  const elsewhere = await newProject();
  expect((await ask("POST /v1/queries", { projectId: elsewhere.id, name: "same", query: "x" })).status).toBe(201);
});

test("a project has a bounded number of them", async () => {
  const { id: projectId } = await newProject();
  await queryDatabase(
    service.databaseUrl,
    "insert into saved_queries (project_id, name, query, look_back_seconds) select $1, 'n' || n, 'x', 60 from generate_series(1, 1000) n",
    [projectId],
  );
  expect(await ask("POST /v1/queries", { projectId, name: "one more", query: "x" })).toMatchObject({ status: 409 });
});

test("an Idempotency-Key makes a retried creation return the first answer", async () => {
  const body = { projectId: service.projectId, name: unique(), query: "x" };
  const [one, two] = [
    await ask("POST /v1/queries", body, undefined, { "idempotency-key": body.name.replace(" ", "-") }),
    await ask("POST /v1/queries", body, undefined, { "idempotency-key": body.name.replace(" ", "-") }),
  ];
  expect([one.status, two.status]).toEqual([201, 201]);
  expect(two.body).toEqual(one.body);
});

test.each([
  ["no name", { query: "x" }],
  ["an empty name", { name: " ", query: "x" }],
  ["a name with a newline", { name: "a\nb", query: "x" }],
  ["no query", { name: "n" }],
  ["a query that is too long", { name: "n", query: "x".repeat(4097) }],
  ["a NUL in the query", { name: "n", query: "a\0b" }],
  ["no time to look back", { name: "n", query: "x", lookBackSeconds: 0 }],
  ["a misspelt member", { name: "n", query: "x", lookback: 5 }],
])("a creation with %s is refused", async (_, body) => {
  expect(await ask("POST /v1/queries", { projectId: service.projectId, ...body })).toMatchObject({
    status: 400,
    body: { code: "VALIDATION_ERROR", operationId: "queries.create" },
  });
});

test("a key in a name, a description or a query is refused, and not repeated", async () => {
  const key = service.secretKey;
  for (const member of [{ name: key }, { description: key }, { query: `message:${key}` }]) {
    const answer = await ask("POST /v1/queries", { projectId: service.projectId, name: "n", query: "x", ...member });
    expect(answer.status).toBe(400);
    expect(answer.text).not.toContain(key);
  }
});

test.each([
  ["a window that ends before it begins", { startDate: "2026-01-02T00:00:00Z", endDate: "2026-01-01T00:00:00Z" }],
  ["a time that is none", { startDate: "soon" }],
  ["a cursor of ours that is none", { pagination: { cursor: "x" } }],
  ["too many", { pagination: { limit: 1001 } }],
  ["a query of its own", { query: "x" }],
])("an execution with %s is refused", async (_, body) => {
  const { id } = await admin.queries.create({ projectId: service.projectId, name: unique(), query: "x" });
  expect(await ask(`POST /v1/queries/${id}/execute`, body)).toMatchObject({
    status: 400,
    body: { operationId: "queries.execute" },
  });
});

test("each scope allows its own: reading, writing and executing are three", async () => {
  const { id } = await admin.queries.create({ projectId: service.projectId, name: unique(), query: "x" });
  const requests: Record<string, [string, unknown?][]> = {
    "read:queries": [["GET /v1/queries"], [`GET /v1/queries/${id}`]],
    "execute:queries": [[`POST /v1/queries/${id}/execute`, {}]],
    "write:queries": [
      ["POST /v1/queries", { projectId: service.projectId, name: unique(), query: "x" }],
      [`PATCH /v1/queries/${id}`, {}],
      [`DELETE /v1/queries/${id}`],
    ],
  };
  for (const granted of Object.keys(requests) as ("read:queries" | "execute:queries" | "write:queries")[]) {
    const { value } = await admin.secretKeys.create({ name: granted, scopes: [granted] });
    for (const [scope, asked] of Object.entries(requests)) {
      for (const [request, body] of asked) {
        if (scope === granted) expect((await ask(request, body, value)).status).toBeLessThan(300);
        else expect(await ask(request, body, value)).toMatchObject({ status: 403, body: { reason: "missing_scope" } });
      }
    }
  }
});

test("another project's or organization's query does not appear to exist, byte for byte, and none of its entries is seen", async () => {
  const [mine, theirs] = [await newProject(), await newProject()];
  await theirs.write({ message: "their secret" });
  const { id } = await admin.queries.create({ projectId: theirs.id, name: "theirs", query: "" });
  const { rows } = await queryDatabase(
    service.databaseUrl,
    `with o as (insert into organizations (name, slug) values ('s', gen_random_uuid()::text) returning id),
     p as (insert into projects (organization_id, name, region) select id, 'p', 'us-west-2' from o returning id)
     insert into saved_queries (project_id, name, query, look_back_seconds) select id, 'foreign', 'x', 60 from p returning id`,
  );
  const plain = (text: string) => text.replace(/"requestId":"[^"]*"/, "");
  for (const [method, suffix, body] of [
    ["GET", ""],
    ["PATCH", "", { name: "mine" }],
    ["DELETE", ""],
    ["POST", "/execute", {}],
  ] as const) {
    const none = await ask(`${method} /v1/queries/${missing}${suffix}`, body, mine.secretKey);
    expect(none.status).toBe(404);
    for (const [foreign, key] of [
      [id, mine.secretKey],
      [rows[0].id, mine.secretKey],
      [rows[0].id, service.secretKey],
      ["x", mine.secretKey],
    ] as const) {
      const answer = await ask(`${method} /v1/queries/${foreign}${suffix}`, body, key);
      expect(plain(answer.text)).toBe(plain(none.text));
    }
  }
  expect((await ask(`POST /v1/queries/${id}/execute`, {})).body.data).toHaveLength(1);
  expect((await ask("GET /v1/queries", undefined, mine.secretKey)).text).not.toContain("theirs");
  expect((await ask(`GET /v1/queries?projectId=${theirs.id}`, undefined, mine.secretKey)).status).toBe(404);
  expect((await ask("POST /v1/queries", { projectId: theirs.id, name: "n", query: "x" }, mine.secretKey)).status).toBe(
    404,
  );
});
