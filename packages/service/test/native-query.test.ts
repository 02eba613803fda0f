import { setTimeout as sleep } from "node:timers/promises";
import { SazabiAdmin } from "@sazabi/sdk";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { log } from "../src/logger.ts";
import { openPostgresLogStore } from "../src/logs/engines/postgres/store.ts";
import { bearer, queryDatabase, send, startTestService, type TestService } from "./support/index.ts";

let service: TestService;
let admin: SazabiAdmin;
let otherProject: string;
const start = Date.now() - 3_600_000;

beforeAll(async () => {
  service = await startTestService();
  admin = new SazabiAdmin({ secretKey: service.secretKey, baseUrl: service.url });
  const write = (key: string, body: unknown) =>
    send(service, "POST /v1/logs", { headers: { "x-sazabi-key": key }, body });
  await write(
    service.publicKey,
    Array.from({ length: 60 }, (_, index) => ({
      message: `entry ${index}`,
      timestamp: start + index * 1000,
      level: index % 6 === 0 ? "error" : "info",
      service: index % 3 === 0 ? "api" : "web",
      attributes: { ms: index, "http.status": index % 2 ? 200 : 500 },
    })),
  );
  otherProject = (await admin.projects.create({ name: "other" })).id;
  const { value } = await admin.publicKeys.create({ name: "w", projectId: otherProject });
  await write(value, { message: "of the other project", service: "secret-service" });
});
afterAll(() => service.close());

const ask = (body: unknown, key = service.secretKey) =>
  send(service, "POST /v1/logs/native-query", { headers: bearer(key), body });

async function rows(query: string): Promise<string[][]> {
  const { result } = await admin.logs.nativeQuery({ projectId: service.projectId, query });
  return result
    .trimEnd()
    .split("\n")
    .map((line) => line.split("\t"));
}

describe("a native query", () => {
  test.each([
    ["select count(*) as n from logs", [["n"], ["60"]]],
    ["select count(*) as n from logs;", [["n"], ["60"]]],
    [
      "select level, count(*) from logs group by level order by 1 -- a comment",
      [
        ["level", "count"],
        ["error", "10"],
        ["info", "50"],
      ],
    ],
    [
      "select service, max((attributes->>'ms')::int) from logs where level = 'error' group by 1",
      [
        ["service", "max"],
        ["api", "54"],
      ],
    ],
    [
      "with s as (select service, count(*) as n from logs group by 1) select service from s where n > 20",
      [["service"], ["web"]],
    ],
    [
      "select percentile_cont(0.5) within group (order by (attributes->>'ms')::float8) as p from logs",
      [["p"], ["29.5"]],
    ],
    [
      "select count(*) from logs where message ilike '%ENTRY 1%' and attributes @> '{\"http.status\": 500}'",
      [["count"], ["5"]],
    ],
    [
      "select count(distinct service), min(id), null as nothing from logs where service in ('api', 'web')",
      [
        ["count", "min", "nothing"],
        ["2", "1", "\\N"],
      ],
    ],
    [
      "select id from (select id, row_number() over (order by id desc) as r from logs) x where r <= 2 order by id",
      [["id"], ["59"], ["60"]],
    ],
    [
      "select sum(n) from (select date_trunc('minute', timestamp) as m, count(*) as n from logs where timestamp > now() - interval '2 hours' group by 1) x",
      [["sum"], ["60"]],
    ],
    ["select 'a' union all select service from logs where id = 1", [["?column?"], ["a"], ["api"]]],
    [
      "values ('x', 1)",
      [
        ["column1", "column2"],
        ["x", "1"],
      ],
    ],
    [
      "select key, count(*) from logs, jsonb_each_text(attributes) as e(key, value) group by key order by key",
      [
        ["key", "count"],
        ["http.status", "60"],
        ["ms", "60"],
      ],
    ],
    [
      "select case when level = 'error' then coalesce(environment, 'none') end from logs where id = 1",
      [["case"], ["none"]],
    ],
  ])("%s", async (query, expected) => {
    expect(await rows(query)).toEqual(expected);
  });

  test("answers in the shape of the contract", async () => {
    const answer = await ask({ projectId: service.projectId, query: "select 1 as one" });
    expect(answer).toMatchObject({
      status: 200,
      body: {
        result: "one\n1\n",
        format: "text",
        meta: { backendId: "postgresql", took: expect.any(Number), truncated: false },
      },
    });
  });

  test("says what is wrong with it, and where", async () => {
    const answer = await ask({ projectId: service.projectId, query: "select cunt(*) from logs" });
    expect(answer).toMatchObject({ status: 400, body: { code: "VALIDATION_ERROR", operationId: "logs.nativeQuery" } });
    expect(answer.body.message).toMatch(/function cunt\(\) does not exist.*at character 8/);
    expect((await ask({ projectId: service.projectId, query: "select 1/0" })).body.message).toContain(
      "division by zero",
    );
  });

  test.each([{}, { query: "" }, { query: "x".repeat(10_001) }, { query: "a\0b" }, { query: "select 1", sql: "x" }])(
    "is refused when the body is %j",
    async (body) => {
      expect((await ask({ projectId: service.projectId, ...body })).status).toBe(400);
    },
  );

  test("is cut at a bound, and says so", async () => {
    const many = await admin.logs.nativeQuery({
      projectId: service.projectId,
      query: "select a.message from logs a, logs b, logs c",
    });
    expect(many.meta.truncated).toBe(true);
    expect(many.result.split("\n").length).toBeLessThanOrEqual(10_002);
    expect(many.result.length).toBeLessThanOrEqual(1024 * 1024);
    expect(
      (
        await ask({
          projectId: service.projectId,
          query: `select ${Array.from({ length: 101 }, (_, n) => `1 as c${n}`).join(",")}`,
        })
      ).body.message,
    ).toContain("101 columns");
  });

  test("of a value with tabs and newlines is one line; a long value is cut", async () => {
    const { id: projectId } = await admin.projects.create({ name: "values" });
    const { value } = await admin.publicKeys.create({ name: "w", projectId });
    await send(service, "POST /v1/logs", {
      headers: { "x-sazabi-key": value },
      body: [{ message: "a\tb\nc\\d" }, { message: "x".repeat(9_000) }],
    });
    const { result, meta } = await admin.logs.nativeQuery({ projectId, query: "select message from logs order by id" });
    expect(result).toBe(`message\na\\tb\\nc\\\\d\n${"x".repeat(4_000)}…\n`);
    expect(meta.truncated).toBe(true);
  });
});

describe("an attacker's query", () => {
  const settings = () =>
    queryDatabase(service.databaseUrl, "select count(*)::int as n from pg_roles where rolname like 'evil%'");

  test.each([
    // Other data.
    "select * from sazabi.keys",
    "select * from sazabi.logs",
    "select * from sazabi.key_secrets",
    "select (select count(*) from sazabi.organizations) from logs",
    "select * from pg_temp.native_query",
    "select * from pg_catalog.pg_stat_activity",
    "select * from pg_class",
    "select * from pg_settings",
    "select * from information_schema.tables",
    "table pg_authid",
    "select current_setting('data_directory')",
    "select query_to_xml('select * from sazabi.keys', true, false, '')",
    "select table_to_xml('sazabi.keys', true, false, '')",
    "select database_to_xml(true, false, '')",
    "select pg_get_viewdef('pg_temp.logs'::regclass)",
    "select xpath('/', '<a/>'::xml)",
    // Roles and settings.
    "set role none",
    "reset role",
    "reset session authorization",
    "select set_config('role', 'none', false)",
    "select set_config('role', 'none', true), count(*) from logs",
    "select set_config('search_path', 'sazabi', true)",
    "select pg_catalog.set_config('statement_timeout', '0', true)",
    "with x as materialized (select set_config('role', 'none', true)) select * from x, logs",
    "do $$ begin execute 'reset role'; end $$",
    "call something()",
    // Several statements.
    "select 1; select 2",
    "select 1; drop table sazabi.logs",
    "select 1) ; commit; select (1",
    "select 1 with check option; select 2",
    "commit",
    "rollback; select 1",
    "",
    ";",
    "-- nothing",
    // Changes.
    "insert into logs (message) values ('x')",
    "delete from logs",
    "update logs set message = ''",
    "with x as (delete from sazabi.logs returning *) select * from x",
    "with x as (insert into logs (message) values ('x') returning *) select * from x",
    "select * into evil from logs",
    "create role evil superuser",
    "create table evil (a int)",
    "select * from logs for update",
    "select nextval('sazabi.projects_number_seq')",
    "merge into logs using logs l on false when not matched then do nothing",
    "truncate sazabi.logs",
    "vacuum",
    "notify sazabi_key_changes",
    "listen sazabi_key_changes",
    "select pg_notify('sazabi_key_changes', 'x')",
    // Files, programs, the network.
    "copy logs to '/tmp/evil'",
    "copy (select 1) to program 'id'",
    "select pg_read_file('/etc/passwd')",
    "select pg_read_binary_file('/etc/passwd')",
    "select pg_ls_dir('.')",
    "select lo_import('/etc/passwd')",
    "select lo_create(0)",
    "select * from dblink('dbname=postgres', 'select 1') as t(a int)",
    "create extension dblink",
    "load 'x'",
    // Time, memory, locks, other people's work.
    "select pg_sleep(1000)",
    "select pg_sleep_for('1 hour')",
    "select pg_advisory_lock(4600002)",
    "select pg_try_advisory_xact_lock(4600002)",
    "lock table logs",
    "select pg_terminate_backend(1)",
    "select pg_cancel_backend(1)",
    "select pg_reload_conf()",
    "select repeat('x', 1000000000)",
    "select lpad('x', 1000000000)",
    "select rpad('x', 1000000000)",
    "select format('%1000000000s', 'x')",
    "select message || message from logs",
    "select concat(message, message) from logs",
    "select replace(message, 'e', message) from logs",
    "select regexp_replace(message, 'e', message, 'g') from logs",
    "select string_agg(message, '') from logs",
    "select array_agg(message) from logs",
    "select json_agg(l) from logs l",
    "select jsonb_agg(message) from logs",
    "select attributes || attributes from logs",
    "select array_fill(1, array[100000000])",
    "select xmlelement(name a, message) from logs",
    "select row(message, row(message))::text from logs",
    "select array[array['\"']::text]::text",
    "select l::text from logs l",
    "select to_jsonb(l) from logs l",
    "select 2.0 ^ 100000",
    "select factorial(30000)",
    "select json_object('a': message) from logs",
    "with recursive r as (select 1 as n union all select n + 1 from r) select * from r",
    "select * from logs tablesample system (100)",
    "select 'x'::regclass",
    "select 'pg_sleep'::regproc",
    "select '1'::xml",
    "select random()",
    "select clock_timestamp()",
    "select txid_current()",
    "select version()",
    "select current_user",
    "select session_user",
    "select current_catalog",
    "select current_schema",
    "select inet_server_addr()",
    "select has_table_privilege('sazabi.keys', 'select')",
    'select " :funcid 1299 {FUNCEXPR" from logs',
  ])("%s", async (query) => {
    const before = await rows("select count(*) from logs");
    const answer = await ask({ projectId: service.projectId, query });
    expect(answer).toMatchObject({ status: 400, body: { code: "VALIDATION_ERROR" } });
    expect(await rows("select count(*) from logs")).toEqual(before);
    expect((await settings()).rows[0].n).toBe(0);
  });

  test("that nests queries until the plan explodes is refused before it is planned", async () => {
    let nested = "select id as x from logs";
    for (let depth = 0; depth < 7; depth++) nested = `select x+x+x+x+x+x+x+x+x+x+x+x as x from (${nested}) q${depth}`;
    expect((await ask({ projectId: service.projectId, query: nested })).body.message).toContain("too large");
    const chain = Array.from({ length: 30 }, (_, n) => `c${n + 1} as (select x + x as x from c${n})`).join(", ");
    const chained = await ask({
      projectId: service.projectId,
      query: `with c0 as (select id as x from logs), ${chain} select x from c30`,
    });
    expect(chained.status).toBe(400);
  });

  test("sees the entries of its project and no others, whatever it asks", async () => {
    for (const query of [
      "select * from logs",
      "select message from logs where true or id > 0",
      "select l.service, r.message from logs l full join logs r on true",
      "select service from logs where (service = 'secret-service') is not null",
    ]) {
      const { result } = await admin.logs.nativeQuery({ projectId: service.projectId, query });
      expect(result).not.toMatch(/other project|secret-service/);
    }
    expect((await admin.logs.nativeQuery({ projectId: otherProject, query: "select message from logs" })).result).toBe(
      "message\nof the other project\n",
    );
  });

  test("learns nothing by an error of what it may not see", async () => {
    // Were the condition on the project checked after this one, the other project's entry would divide by zero.
    const query =
      "select count(*) from logs where 1 / (case when message = 'of the other project' then 0 else 1 end) = 1";
    expect((await admin.logs.nativeQuery({ projectId: service.projectId, query })).result).toBe("count\n60\n");
  });

  test("leaves nothing behind: no view, no role, no setting, for whoever is next", async () => {
    await ask({ projectId: service.projectId, query: "select 1 as evil" });
    const { rows: views } = await queryDatabase(
      service.databaseUrl,
      "select count(*)::int as n from pg_class where relname in ('native_query') or relname = 'logs' and relkind = 'v'",
    );
    expect(views[0].n).toBe(0);
    for (let again = 0; again < 5; again++)
      expect(await rows("select count(*) from logs")).toEqual([["count"], ["60"]]);
  });
});

test("it takes both scopes, a key for the project, and a project", async () => {
  const query = "select count(*) from logs";
  for (const scopes of [["read:logs"], ["execute:queries"]] as const) {
    const { value } = await admin.secretKeys.create({ name: "half", scopes: [...scopes] });
    expect(await ask({ projectId: service.projectId, query }, value)).toMatchObject({
      status: 403,
      body: { reason: "missing_scope" },
    });
  }
  const { value } = await admin.secretKeys.create({
    name: "whole",
    scopes: ["read:logs", "execute:queries"],
    projectId: otherProject,
  });
  expect((await ask({ query }, value)).body.result).toBe("count\n1\n");
  expect(await ask({ projectId: service.projectId, query }, value)).toMatchObject({ status: 404 });
  expect(await ask({ query })).toMatchObject({ status: 400, body: { missingContext: ["projectId"] } });
  expect((await ask({ projectId: service.projectId, query }, service.publicKey)).status).toBe(403);
});

describe("what takes too long or too much", () => {
  const endless =
    "select count(*) from generate_series(1, 1000000000) a, generate_series(1, 1000000000) b where a % 7 = b % 11";
  const running = async () => {
    const { rows: found } = await queryDatabase(
      service.databaseUrl,
      "select count(*)::int as n from pg_stat_activity where datname = current_database() and state = 'active' and (query like 'fetch%' or query like '%declare%') and pid <> pg_backend_pid()",
    );
    return found[0].n as number;
  };

  test("is stopped after ten seconds: 504, and that is no outage", async () => {
    const warned = vi.spyOn(log, "warn");
    const answer = await ask({
      projectId: service.projectId,
      query: "select count(*) from logs a, logs b, logs c, logs d, logs e, logs f, logs g",
    });
    expect(answer).toMatchObject({
      status: 504,
      body: { code: "TIMEOUT", message: expect.stringContaining("took too long and was stopped") },
    });
    expect(warned).not.toHaveBeenCalled();
    warned.mockRestore();
  });

  test("may not fill the disk", async () => {
    const answer = await ask({ projectId: service.projectId, query: endless });
    expect([400, 504]).toContain(answer.status);
  });

  test("ends when its reader leaves", async () => {
    const leaving = new AbortController();
    const asked = admin.logs
      .nativeQuery(
        {
          projectId: service.projectId,
          query: "select count(*) from logs a, logs b, logs c, logs d, logs e, logs f, logs g",
        },
        { signal: leaving.signal },
      )
      .catch(() => "left");
    while ((await running()) === 0) await sleep(10);
    leaving.abort();
    expect(await asked).toBe("left");
    while ((await running()) > 0) await sleep(10);
    expect(await rows("select count(*) from logs")).toEqual([["count"], ["60"]]);
  });
});

describe("with a database user of few rights", () => {
  async function withUser(grants: (name: string) => readonly string[], work: (url: string) => Promise<void>) {
    const name = `plain_${Math.random().toString(36).slice(2)}`;
    const run = (text: string) => queryDatabase(service.databaseUrl, text);
    await run(`create role ${name} login password 'p'`);
    try {
      for (const grant of grants(name)) await run(grant);
      const url = new URL(service.databaseUrl);
      url.username = name;
      url.password = "p";
      await work(url.href);
    } finally {
      await run(`reassign owned by ${name} to current_user`);
      await run(`drop owned by ${name}`);
      await run(`drop role ${name}`);
    }
  }
  const readable = (name: string) => [
    `grant usage on schema sazabi to ${name}`,
    `grant select on all tables in schema sazabi to ${name}`,
  ];
  const query = async (url: string) => {
    const { rows: found } = await queryDatabase(service.databaseUrl, "select number from projects where id = $1", [
      service.projectId,
    ]);
    const store = openPostgresLogStore({ url, retentionDays: 30 });
    try {
      return await store.queryNative({ projectNumber: found[0].number, text: "select count(*) from logs" });
    } finally {
      await store.close();
    }
  };

  test.each([
    ["a right to bound temporary files", (name: string) => `grant set on parameter temp_file_limit to ${name}`],
    ["a bound on temporary files", (name: string) => `alter role ${name} set temp_file_limit = '256MB'`],
  ])("it works with the rights that docs/operations.md names: with %s", async (_, bound) => {
    // The role is there: queries ran before.
    const rights = (name: string) => [...readable(name), `grant sazabi_reader to ${name}`, bound(name)];
    await withUser(rights, async (url) => expect((await query(url))?.text).toBe("count\n60\n"));
  });

  test.each([
    ["the role", (name: string) => [...readable(name), `grant set on parameter temp_file_limit to ${name}`]],
    ["the bound on temporary files", (name: string) => [...readable(name), `grant sazabi_reader to ${name}`]],
  ])("without %s it is refused, and says where to look", async (_, rights) => {
    await withUser(rights, async (url) =>
      expect(query(url)).rejects.toMatchObject({ status: 400, message: expect.stringContaining("docs/operations.md") }),
    );
  });
});
