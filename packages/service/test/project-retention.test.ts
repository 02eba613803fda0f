import { afterAll, beforeAll, expect, test } from "vitest";
import { openDatabase } from "../src/db/database.ts";
import { removeExpired } from "../src/logs/engines/postgres/expiry.ts";
import { bearer, queryDatabase, send, startTestService, type TestService } from "./support/index.ts";

const dayMs = 86_400_000;

let service: TestService;
beforeAll(async () => {
  service = await startTestService();
});
afterAll(() => service.close());

const owner = () => ({ headers: bearer(service.secretKey) });

interface Project {
  readonly id: string;
  readonly publicKey: string;
}

async function newProject(name: string): Promise<Project> {
  const { id } = (await send(service, "POST /v1/projects", { ...owner(), body: { name } })).body.project;
  const made = await send(service, "POST /v1/public-keys", { ...owner(), body: { name: "sender", projectId: id } });
  return { id, publicKey: made.body.publicKey.value };
}

async function store({ publicKey }: Project, message: string, daysAgo: number): Promise<void> {
  const body = { message, timestamp: new Date(Date.now() - daysAgo * dayMs).toISOString() };
  const answer = await send(service, "POST /v1/logs", { headers: { "x-sazabi-key": publicKey }, body });
  expect(answer.status).toBe(202);
}

function keepFor({ id }: Project, retentionDays: unknown) {
  return send(service, `PATCH /v1/projects/${id}`, { ...owner(), body: { retentionDays } });
}

async function messages(projectId?: string, query = ""): Promise<string[]> {
  const filters = [{ field: "timestamp", op: "gte", value: new Date(Date.now() - 40 * dayMs).toISOString() }];
  const body = { projectId, filters, search: { query }, sort: { field: "timestamp", direction: "asc" } };
  const answer = await send(service, "POST /v1/logs/query", { ...owner(), body });
  return answer.body.data.map(({ message }: { message: string }) => message);
}

async function stored(): Promise<string[]> {
  const { rows } = await queryDatabase(service.databaseUrl, "select message from logs order by ts");
  return rows.map(({ message }) => message);
}

test("a project's logs end at its own retention at once, and another's do not", async () => {
  const short = await newProject("short");
  const long = await newProject("long");
  for (const daysAgo of [20, 5, 1]) {
    await store(short, `short ${daysAgo}`, daysAgo);
    await store(long, `long ${daysAgo}`, daysAgo);
  }
  expect(await messages(short.id)).toEqual(["short 20", "short 5", "short 1"]);

  expect(await keepFor(short, 3)).toMatchObject({
    status: 200,
    body: { project: { retentionDays: 3, name: "short" } },
  });
  expect(await messages(short.id)).toEqual(["short 1"]);
  // Also together with others, and with a query that is not read along the time index.
  expect((await messages()).sort()).toEqual(["long 1", "long 20", "long 5", "short 1"]);
  expect(await messages(undefined, "short")).toEqual(["short 1"]);
  const native = await send(service, "POST /v1/logs/native-query", {
    ...owner(),
    body: { projectId: short.id, query: "select message from logs" },
  });
  expect(native.body.result).toBe("message\nshort 1\n");

  // What was not removed yet comes back with a longer one.
  expect(await keepFor(short, 10)).toMatchObject({ status: 200 });
  expect(await messages(short.id)).toEqual(["short 5", "short 1"]);
  await keepFor(short, 3);

  const db = openDatabase({ url: service.databaseUrl, connections: 1 });
  await removeExpired(db, 30);
  await db.close();
  expect((await stored()).filter((message) => message.startsWith("short"))).toEqual(["short 1"]);
  expect((await stored()).filter((message) => message.startsWith("long"))).toHaveLength(3);
  const { rows } = await queryDatabase(
    service.databaseUrl,
    `select (select count(*)::int from log_volume_complete v where v.project_number = p.number) as minutes,
            (select count(*)::int from log_commits c where c.project_number = p.number) as commits
     from projects p where name in ('short', 'long') order by name`,
  );
  expect(rows).toEqual([
    { minutes: 3, commits: 3 },
    { minutes: 1, commits: 1 },
  ]);
  expect(await keepFor(short, null)).toMatchObject({ status: 200, body: { project: { retentionDays: null } } });
});

test("an entry older than its project keeps logs gets the time of its arrival", async () => {
  const other = await startTestService({ databaseUrl: service.databaseUrl, ...service.keyrings });
  const project = await newProject("arrivals");
  await keepFor(project, 2);
  const body = { message: "from long ago", timestamp: new Date(Date.now() - 5 * dayMs).toISOString() };
  await send(other, "POST /v1/logs", { headers: { "x-sazabi-key": project.publicKey }, body });
  await other.close();
  const { rows } = await queryDatabase(
    service.databaseUrl,
    "select attributes ->> 'timestamp.original' as original from logs where message = 'from long ago' and ts > now() - interval '1 minute'",
  );
  expect(rows).toEqual([{ original: body.timestamp }]);
});

test.each([[0], [31], [1.5], ["7"]])("a retention of %j days is refused", async (days) => {
  const answer = await keepFor({ id: service.projectId, publicKey: "" }, days);
  expect(answer).toMatchObject({ status: 400, body: { code: "VALIDATION_ERROR" } });
  expect(answer.text).toContain("retentionDays");
});

test("a change of the retention is on record", async () => {
  await keepFor({ id: service.projectId, publicKey: "" }, 12);
  const { rows } = await queryDatabase(
    service.databaseUrl,
    "select details from audit_events where action = 'project.retention_set' order by seq desc limit 1",
  );
  expect(rows).toEqual([{ details: { retentionDays: 12 } }]);
});
