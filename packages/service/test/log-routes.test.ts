import { SazabiAdmin } from "@sazabi/sdk";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openTail } from "./support/events.ts";
import { bearer, queryDatabase, send, startTestService, type TestService } from "./support/index.ts";

let service: TestService;
let admin: SazabiAdmin;
/** Half past the hour before the last: every entry of `entries` is within two hours after it. */
let start: number;
const minute = 60_000;
const iso = (ms: number) => new Date(ms).toISOString();

beforeAll(async () => {
  service = await startTestService();
  admin = new SazabiAdmin({ secretKey: service.secretKey, baseUrl: service.url });
  start = Math.floor(Date.now() / 3_600_000) * 3_600_000 - 90 * minute;
  const entries = Array.from({ length: 120 }, (_, index) => ({
    message: `entry ${index}`,
    timestamp: iso(start + index * 15_000),
    level: index % 10 === 0 ? "error" : "info",
    ...(index % 4 !== 3 && { service: index % 4 === 0 ? "api" : "web" }),
    ...(index % 2 === 0 && { env: "prod" }),
    attributes: { "http.status": index % 3 === 0 ? 500 : 200, user: `u${index % 5}` },
  }));
  const answer = await send(service, "POST /v1/logs", {
    headers: { "x-sazabi-key": service.publicKey },
    body: entries,
  });
  expect(answer.body.data.accepted).toBe(120);
});
afterAll(() => service.close());

const ask = (request: string, body?: unknown, key = service.secretKey) =>
  send(service, request, { headers: bearer(key), ...(body !== undefined && { body }) });

describe("volume", () => {
  const window = () => ({ startDate: iso(start), endDate: iso(start + 30 * minute) });

  test("counts by interval, and says with which", async () => {
    const volume = await admin.logs.volume({ ...window(), interval: "5m" });
    expect(volume).toMatchObject({ total: 120, interval: "5m", ...window() });
    expect(volume.series).toEqual([
      {
        group: "all",
        total: 120,
        points: Array.from({ length: 6 }, (_, index) => ({ bucket: iso(start + index * 5 * minute), count: 20 })),
      },
    ]);
  });

  test("chooses an interval when none is asked for", async () => {
    expect((await admin.logs.volume(window())).interval).toBe("1m");
    expect((await admin.logs.volume()).interval).toBe("15m");
    const month = { startDate: iso(start - 30 * 86_400_000), endDate: iso(start) };
    expect((await admin.logs.volume(month)).interval).toBe("6h");
    expect((await admin.logs.volume({ ...month, startDate: "2020-01-01T00:00:00Z" })).interval).toBe("1d");
  });

  test.each([
    ["service_name", { web: 60, api: 30, "": 30 }],
    ["service", { web: 60, api: 30, "": 30 }],
    ["severity_text", { INFO: 108, ERROR: 12 }],
    ["level", { info: 108, error: 12 }],
    ["environment", { prod: 60, "": 60 }],
  ] as const)("grouped by %s has a series for each, the largest first", async (groupBy, expected) => {
    const { series, total } = await admin.logs.volume({ ...window(), groupBy });
    expect(Object.fromEntries(series.map((one) => [one.group, one.total]))).toEqual(expected);
    expect(total).toBe(120);
    for (const one of series) expect(one.points.reduce((sum, { count }) => sum + count, 0)).toBe(one.total);
    expect(series.map((one) => one.total)).toEqual(series.map((one) => one.total).sort((a, b) => b - a));
  });

  test.each([
    ["a service", { filters: { service_name: "WEB" } }, 60],
    ["one of two services", { filters: { service_name: ["web", "api"] } }, 90],
    ["a severity", { filters: { severity_text: "ERROR" } }, 12],
    ["an environment and a severity", { filters: { environment: "prod", severity_text: "error" } }, 12],
    ["no filter at all", { filters: {} }, 120],
    ["an attribute", { query: "http.status:500" }, 40],
    ["a word", { query: "entry -level:error" }, 108],
    ["part of a minute", { startDate: () => iso(start + 15_000), endDate: () => iso(start + 75_000) }, 4],
  ] as const)("of %s is what a query finds", async (_, asked, expected) => {
    const resolved = Object.fromEntries(
      Object.entries(asked).map(([name, value]) => [name, typeof value === "function" ? value() : value]),
    );
    expect((await admin.logs.volume({ ...window(), ...resolved })).total).toBe(expected);
  });

  test("tells which part of the query is no syntax", async () => {
    expect((await admin.logs.volume({ query: "a AND" })).meta.warnings).toHaveLength(1);
  });

  test.each([
    ["that ends before it begins", { startDate: "2026-01-02T00:00:00Z", endDate: "2026-01-01T00:00:00Z" }, "endDate"],
    ["from a time that is none", { startDate: "yesterday" }, "startDate"],
    ["by an interval nobody knows", { interval: "7m" }, "interval"],
    ["by too many intervals", { interval: "1s" }, "interval"],
    ["grouped by what is not counted", { groupBy: "message" }, "groupBy"],
    ["with a misspelt filter", { filters: { servce: "x" } }, "filters.servce"],
    ["with a misspelt member", { querry: "x" }, "querry"],
    ["with a query that is too long", { query: "x".repeat(4097) }, "query"],
  ])("%s is refused", async (_, body, path) => {
    const answer = await ask("POST /v1/logs/volume", body);
    expect(answer).toMatchObject({ status: 400, body: { code: "VALIDATION_ERROR", operationId: "logs.volume" } });
    expect(answer.body.issues[0].path).toBe(path);
  });
});

describe("facets", () => {
  test.each([
    ["user", ["u0", "u1", "u2", "u3", "u4"], 24],
    ["level", ["info", "error"], 108],
    ["service", ["web", "api"], 60],
    ["@env", [], 0],
    ["http.status", ["200", "500"], 80],
    ["attributes[http.status]", ["200", "500"], 80],
  ])("of %s are its most frequent values", async (field, values, most) => {
    const facet = await admin.logs.facets({ field });
    expect(facet.values.map(({ value }) => value)).toEqual(values);
    expect(facet.values[0]?.count ?? 0).toBe(most);
  });

  test("are of what the search and the filters find, and no more than asked for", async () => {
    const facet = await admin.logs.facets({
      field: "user",
      search: { query: "http.status:500 level:error" },
      filters: [{ field: "timestamp", op: "lt", value: iso(start + 15 * minute) }],
      limit: 1,
    });
    expect(facet.values).toEqual([{ value: "u0", count: 2 }]);
    expect(facet.meta.to).toBe(iso(start + 15 * minute));
  });

  test.each([
    ["no field", {}],
    ["an empty field", { field: "" }],
    ["too many values", { field: "user", limit: 101 }],
    ["a misspelt member", { field: "user", filter: [] }],
  ])("with %s are refused", async (_, body) => {
    expect(await ask("POST /v1/logs/facets", body)).toMatchObject({
      status: 400,
      body: { operationId: "logs.facets" },
    });
  });
});

describe("the schema", () => {
  test("names what can be asked for; nothing is selected without a question", async () => {
    const schema = await admin.logs.schema();
    expect(schema).toMatchObject({
      backend: { id: "postgresql", kind: "native" },
      selectedBundles: [],
      selectedAttributeKeys: [],
      observedServiceNames: ["web", "api"],
      indexStatus: "skipped",
    });
    expect([...schema.observedAttributeKeys].sort()).toEqual(["http.status", "user"]);
    for (const field of ["timestamp", "level", "service", "trace_id"]) expect(schema.queryableFields).toContain(field);
    for (const list of [schema.features, schema.commands, schema.searchableFields]) expect(list).not.toEqual([]);
  });

  test("selects the services that a question names, with their attributes", async () => {
    const schema = await admin.logs.schema({ question: "Why does the API answer with such a status?", topK: 1 });
    expect(schema.selectedBundles).toEqual([
      { id: "api", service: "api", keys: ["http.status", "user"], rowCount: 30, score: expect.any(Number) },
    ]);
    expect(schema).toMatchObject({ indexStatus: "ready", selectedAttributeKeys: ["http.status", "user"] });
  });

  test("of an empty project is empty", async () => {
    const { id } = await admin.projects.create({ name: "empty" });
    expect(await admin.logs.schema({ projectId: id, question: "anything?" })).toMatchObject({
      indexStatus: "empty",
      observedServiceNames: [],
      observedAttributeKeys: [],
    });
  });

  test.each([{ topK: 0 }, { topK: 33 }, { question: "" }, { question: "x".repeat(2001) }, { quest: "x" }])(
    "refuses %j",
    async (body) => {
      expect(await ask("POST /v1/logs/schema", body)).toMatchObject({ status: 400 });
    },
  );
});

describe("an entry", () => {
  test("is found by its id, with as many neighbours as asked for, in the order of time", async () => {
    const { log, before, after } = await admin.logs.get("60", { projectId: service.projectId, before: 3, after: 2 });
    expect(log).toMatchObject({ id: "60", message: "entry 59", projectId: service.projectId });
    expect(before.map(({ id }) => id)).toEqual(["57", "58", "59"]);
    expect(after.map(({ id }) => id)).toEqual(["61", "62"]);
  });

  test("at an edge has the neighbours that there are, and none unless asked for", async () => {
    const project = { projectId: service.projectId };
    expect(await admin.logs.get("1", { ...project, before: 5, after: 1 })).toMatchObject({
      before: [],
      after: [{ id: "2" }],
    });
    expect(await admin.logs.get("120", { ...project, before: 1, after: 5 })).toMatchObject({
      before: [{ id: "119" }],
      after: [],
    });
    expect(await admin.logs.get("5", project)).toMatchObject({ log: { id: "5" }, before: [], after: [] });
  });

  test("stands between entries of the same moment by its id", async () => {
    const { id: projectId } = await admin.projects.create({ name: "moment" });
    const { value } = await admin.publicKeys.create({ name: "w", projectId });
    const timestamp = iso(Date.now());
    const body = Array.from({ length: 9 }, (_, index) => ({ message: `${index}`, timestamp }));
    await send(service, "POST /v1/logs", { headers: { "x-sazabi-key": value }, body });
    const { before, after } = await admin.logs.get("5", { projectId, before: 2, after: 2 });
    expect([...before, ...after].map(({ id }) => id)).toEqual(["3", "4", "6", "7"]);
  });

  test.each(["0", "121", "-1", "x", "1.5", "9".repeat(18), "9".repeat(40), "00000000-0000-4000-8000-000000000000"])(
    "of the id %s is not found",
    async (id) => {
      const answer = await ask(`GET /v1/logs/${id}?projectId=${service.projectId}`);
      expect(answer).toMatchObject({ status: 404, body: { message: "No such log entry.", operationId: "logs.get" } });
    },
  );

  test.each(["before=101", "before=-1", "after=x", "projectId=x", "around=3"])(
    "with %s is refused",
    async (parameter) => {
      expect(await ask(`GET /v1/logs/1?${parameter}`)).toMatchObject({ status: 400 });
    },
  );
});

/** Every route that reads logs, asked for all of a project. What it answers may hold nothing of another one. */
const readings: readonly [string, (key: string, projectId?: string) => Promise<{ status: number; text: string }>][] = [
  ["logs.query", (key, projectId) => ask("POST /v1/logs/query", { projectId, search: { query: "" } }, key)],
  ["logs.volume", (key, projectId) => ask("POST /v1/logs/volume", { projectId, groupBy: "service" }, key)],
  ["logs.facets", (key, projectId) => ask("POST /v1/logs/facets", { projectId, field: "service", limit: 100 }, key)],
  ["logs.patterns", (key, projectId) => ask("POST /v1/logs/patterns", { projectId }, key)],
  ["logs.schema", (key, projectId) => ask("POST /v1/logs/schema", { projectId, question: "all" }, key)],
  [
    "logs.get",
    (key, projectId) =>
      ask(`GET /v1/logs/1?before=100&after=100${projectId ? `&projectId=${projectId}` : ""}`, undefined, key),
  ],
  [
    "logs.nativeQuery",
    (key, projectId) =>
      ask("POST /v1/logs/native-query", { projectId, query: "select service, message from logs" }, key),
  ],
  [
    "logs.tail",
    async (key, projectId) => {
      const tail = await openTail(service, key, { cursor: "0", ...(projectId && { projectId }) });
      if (tail.status === 200) {
        await tail.entries(1);
        tail.close();
        return { status: 200, text: tail.text() };
      }
      await tail.over;
      return ask(`GET /v1/tail?cursor=0${projectId ? `&projectId=${projectId}` : ""}`, undefined, key);
    },
  ],
];

describe("a project never sees another's entries", () => {
  /** Keys of two organizations, the first with two projects; each project with one entry that names it. */
  async function strangers() {
    const { id: neighbour } = await admin.projects.create({ name: `neighbour ${Math.random().toString(36).slice(2)}` });
    const { value: neighbourKey } = await admin.publicKeys.create({ name: "w", projectId: neighbour });
    const own = await admin.secretKeys.create({ name: "own", projectId: neighbour });
    const entry = { message: "neighbour-secret", service: "neighbour-service", attributes: { "neighbour.key": 1 } };
    await send(service, "POST /v1/logs", { headers: { "x-sazabi-key": neighbourKey }, body: entry });
    const { rows } = await queryDatabase(
      service.databaseUrl,
      `with made as (insert into organizations (name, slug) values ('stranger', gen_random_uuid()::text) returning id),
       project as (insert into projects (organization_id, name, region) select id, 'p', 'us-west-2' from made returning id, number, organization_id),
       head as (insert into log_heads (project_number, last_id) select number, 1 from project),
       noted as (insert into log_commits (project_number, last_id, first_id, min_ts, max_ts)
                 select number, 1, 1, date_trunc('milliseconds', now()), date_trunc('milliseconds', now()) from project),
       counted as (insert into log_volume select number, date_trunc('minute', now()), 2, 'stranger-service', '', 1 from project)
       insert into logs (project_number, ts, id, level, service, message, attributes)
       select number, date_trunc('milliseconds', now()), 1, 2, 'stranger-service', 'stranger-secret', '{"stranger.key": 1}' from project
       returning (select id from project) as id`,
    );
    return { neighbour, ownKey: own.value, stranger: rows[0].id as string };
  }

  test.each(readings)("%s", async (_, read) => {
    const { neighbour, ownKey, stranger } = await strangers();
    const missing = "00000000-0000-4000-8000-000000000000";

    const own = await read(ownKey, neighbour);
    expect(own.status).toBe(200);
    expect(own.text).toContain("neighbour");
    expect(own.text).not.toMatch(/entry \d|"web"|stranger/);
    // A key that is narrowed to a project need not name it, and cannot name another.
    expect((await read(ownKey)).text).not.toMatch(/entry \d|"web"|stranger/);
    const other = await read(ownKey, service.projectId);
    expect(other.status).toBe(404);
    const wide = await read(service.secretKey, service.projectId);
    expect(wide.status).toBe(200);
    expect(wide.text).not.toMatch(/neighbour|stranger/);
    // Another organization's project and none at all: the same bytes.
    const foreign = await read(service.secretKey, stranger);
    const none = await read(service.secretKey, missing);
    expect(foreign.status).toBe(404);
    const plain = (text: string) => text.replace(/"requestId":"[^"]*"/g, "");
    expect(plain(foreign.text)).toBe(plain(none.text));
  });

  test.each(readings)("and without the scope, a key or with a public one, nothing is read: %s", async (_, read) => {
    const { value } = await admin.secretKeys.create({ name: "no logs", scopes: ["read:keys"] });
    expect((await read(value, service.projectId)).status).toBe(403);
    expect((await read(service.publicKey, service.projectId)).status).toBe(403);
    expect((await read(`${service.secretKey.slice(0, -1)}#`, service.projectId)).status).toBe(401);
  });
});
