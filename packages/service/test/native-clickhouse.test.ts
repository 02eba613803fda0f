import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { compileNative } from "../src/logs/engines/clickhouse/sql-query-compile.ts";
import { parseNative } from "../src/logs/engines/clickhouse/sql-query-parse.ts";
import { ch } from "../src/logs/engines/clickhouse/statement.ts";
import { openClickHouseLogStore } from "../src/logs/engines/clickhouse/store.ts";
import type { NormalisedEntry } from "../src/logs/ingest/entry.ts";
import type { LogStore, NativeAnswer } from "../src/logs/log-store.ts";
import { nativeBounds } from "../src/logs/sql-query-answer.ts";
import { startClickHouse, type TestClickHouse } from "./support/clickhouse.ts";
import { type FreshDatabase, freshDatabase } from "./support/database.ts";
import { bearer, queryDatabase, send, startTestService } from "./support/index.ts";
import { appendEntries, entryAt, type LogEngine, logEngines, newProject } from "./support/log-engines.ts";
import { scaled } from "./support/scale.ts";

const start = Math.floor(Date.now() / 60_000) * 60_000_000 - 3_600_000_000;
const entries: readonly NormalisedEntry[] = Array.from({ length: 60 }, (_, index) =>
  entryAt(start + index * 1_000_000 + (index % 2 ? 120_000 : 0), {
    message: `entry ${index}`,
    level: index % 6 === 0 ? 4 : 2,
    service: index % 3 === 0 ? "api" : "web",
    environment: index % 4 === 0 ? null : "prod",
    traceId: index % 5 === 0 ? "abc" : null,
    attributes: {
      ms: index,
      "http.status": index % 2 ? 200 : 500,
      user: `U${index % 4}`,
      ok: index % 2 === 0,
      none: null,
    },
  }),
);

const generated = scaled({ committed: 250, full: 1_000 });

const condition = fc.letrec<{ any: string; atom: string }>((tie) => ({
  any: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    tie("atom"),
    fc.tuple(tie("any"), fc.constantFrom("and", "or"), tie("any")).map(([a, word, b]) => `(${a} ${word} ${b})`),
    tie("any").map((inner) => `not (${inner})`),
  ),
  atom: fc.constantFrom(
    "level = 'error'",
    "level <> 'error'",
    "service like 'a%'",
    "service not ilike '%E%'",
    "environment is null",
    "environment = 'prod'",
    "environment <> 'prod'",
    "trace_id <> 'abc'",
    "id > 30",
    "id in (1, 2, 3, 40)",
    "id not in (1, 2, 3, 40)",
    "id between 10 and 20",
    "(attributes->>'ms')::int % 7 = 3",
    "(attributes->>'ms')::float8 / 2 < 9.5",
    "(attributes->>'nothing')::int = 1",
    "attributes ? 'none'",
    'attributes @> \'{"ok": true, "user": "U2"}\'',
    "attributes->>'user' in ('U1', 'U2')",
    "attributes->>'none' is null",
    "message ~ '[37]$'",
    "message !~* 'Y 4'",
    "length(message) between 8 and 9",
    "nullif(environment, 'prod') is null",
    "case when id < 10 then true when id > 50 then null else id % 2 = 0 end",
    "timestamp > '2026-01-01' and timestamp <= now()",
    "true",
    "false",
    "null",
  ),
})).any;
const groupValue = fc.constantFrom(
  "service",
  "level",
  "environment",
  "attributes->>'user'",
  "attributes->>'nothing'",
  "upper(service)",
  "date_trunc('minute', timestamp)",
  "length(message)",
  "(attributes->>'ms')::int / 10",
  "coalesce(environment, 'none')",
  "case when id % 2 = 0 then 'even' else 'odd' end",
  "environment = 'prod'",
  "substr(message, 7, 1)",
);
const total = fc.oneof(
  fc.constantFrom("count(*)", "count(environment)", "count(distinct service)", "min(id)", "max(timestamp)", "sum(id)"),
  fc.constantFrom(
    "bool_or(level = 'error')",
    "max((attributes->>'ms')::int)",
    "min(message)",
    "max(attributes->>'user')",
  ),
  condition.map((where) => `count(*) filter (where ${where})`),
  condition.map((where) => `sum(id) filter (where ${where})`),
);
const direction = fc.constantFrom("", " desc", " nulls first", " desc nulls last");
/** Grouped, or row by row, or of a query inside. */
const anyQuery = fc
  .record({
    group: groupValue,
    one: total,
    other: total,
    where: condition,
    inner: condition,
    direction,
    limit: fc.integer({ min: 1, max: 20 }),
  })
  .chain(({ group, one, other, where, inner, direction, limit }) =>
    fc.constantFrom(
      `select ${group} as g, ${one} as a, ${other} as b from logs where ${where} group by 1 order by g${direction} limit ${limit}`,
      `select ${group} as g, ${one} as a from logs group by g having ${one} is not null and count(*) > ${limit} order by 1${direction}`,
      `select id, ${group} as g, ${where} as w from logs where ${inner} order by g${direction}, id desc limit ${limit} offset 2`,
      `select distinct ${group} as g from logs where ${where} order by g${direction}`,
      `select ${one} as a, ${other} as b from (select * from logs where ${inner}) l where ${where}`,
      `with q as (select ${group} as g, count(*) as n from logs where ${inner} group by g) select sum(n) as s, max(g) as m, count(g) as c from q`.replace(
        "max(g) as m, ",
        group === "environment = 'prod'" ? "" : "max(g) as m, ",
      ),
    ),
  );

/** What has to be refused, and change nothing. */
const attacks = [
  // Other data.
  "select * from system.tables",
  "select * from system.users",
  "select * from default.logs",
  'select * from "default"."logs"',
  "select * from `logs`",
  "select * from information_schema.tables",
  "select * from sazabi.keys",
  "select * from secrets",
  "table logs",
  "from logs select *",
  "select project_number from logs",
  "select ts from logs",
  "select pattern_id from logs",
  "select _part from logs",
  "select _table, _database from logs",
  "select s0c0 from logs",
  "select p0 from logs",
  "select {p0:String}",
  "select columns('.*') from logs",
  "select * except (id) from logs",
  "select * replace (1 as id) from logs",
  "select * apply (toString) from logs",
  "select l.* from logs l",
  "select message from logs, system.one",
  "select * from logs join system.tables on 1 = 1",
  "select * from logs a, logs b",
  "select * from logs natural join logs",
  "select * from (system.tables)",
  "select (select count(*) from system.tables)",
  "select id from logs where id in (select 1)",
  "select id from logs where id in system.numbers",
  "select id from logs where exists (select 1 from system.users)",
  "select * from merge('default', '.*')",
  "select * from merge(currentDatabase(), 'logs')",
  "with system as (select 1) select * from system.tables",
  "with logs as (select 1 as x) select * from logs",
  "select 1 union all select count(*) from system.tables",
  "select 1 intersect select 1",
  // The network, files, programs.
  "select * from url('http://127.0.0.1:1/', 'TSV', 'a String')",
  "select * from file('/etc/passwd', 'LineAsString')",
  "select file('/etc/passwd')",
  "select * from s3('http://127.0.0.1:1/b/k', 'TSV', 'a String')",
  "select * from remote('127.0.0.1:1', 'default', 'logs')",
  "select * from remoteSecure('127.0.0.1', system.one)",
  "select * from cluster('default', 'system', 'one')",
  "select * from clusterAllReplicas('default', system.one)",
  "select * from mysql('127.0.0.1:1', 'a', 'b', 'c', 'd')",
  "select * from postgresql('127.0.0.1:1', 'a', 'b', 'c', 'd')",
  "select * from jdbc('x', 'y')",
  "select * from hdfs('hdfs://127.0.0.1:1/x', 'TSV', 'a String')",
  "select * from executable('id', 'TSV', 'a String')",
  "select * from input('a String')",
  "select * from dictionary('x')",
  "select dictGet('x', 'y', 1)",
  "select joinGet('x', 'y', 1)",
  "select * from view(select 1)",
  "select * from numbers(1000000000000)",
  "select * from generateRandom('a String')",
  "select * from values('a String', 'x')",
  "select catboostEvaluate('x', 1)",
  // Settings, formats, statements.
  "select 1 settings max_execution_time = 0",
  "select 1 settings readonly = 0, max_memory_usage = 0",
  "select 1 format JSON",
  "select message from logs into outfile '/tmp/evil'",
  "select message from logs into outfile '/tmp/evil' format Native",
  "set readonly = 0",
  "select 1; select 2",
  "select 1; drop table logs",
  "select 1;;",
  "explain select 1",
  "describe logs",
  "show tables",
  "exists logs",
  "kill query where 1 = 1",
  "system shutdown",
  "insert into logs (message) values ('x')",
  "alter table logs delete where true",
  "truncate table logs",
  "drop table logs",
  "create table evil (a Int8) engine = Memory",
  "optimize table logs final",
  "grant all on *.* to default",
  "use system",
  "",
  ";",
  "-- nothing",
  "select",
  "select 1 /* not closed",
  "select 'not closed",
  'select "not closed',
  "select 'a\\' or 1=1 --'",
  "select message from logs final, system.one",
  "select message from logs sample 0.1",
  "select message from logs prewhere 1",
  "select message from logs array join [1] as a",
  "select message from logs limit 1 by service",
  "select message from logs limit -1",
  "select message from logs limit 1e3",
  "select message from logs with totals",
  "select count(*) from logs group by rollup(service)",
  // Functions that reach out, wait, or tell of the server.
  "select sleep(3)",
  "select sleepEachRow(3) from logs",
  "select throwIf(1)",
  "select currentUser()",
  "select currentDatabase()",
  "select hostName()",
  "select version()",
  "select getSetting('readonly')",
  "select getMacro('x')",
  "select serverUUID()",
  "select hasColumnInTable('default', 'logs', 'project_number')",
  "select addressToLine(1)",
  "select demangle('x')",
  "select query_id()",
  "select rowNumberInAllBlocks() from logs",
  "select rand()",
  "select evalMLMethod(1)",
  "select __proto__(1)",
  "select constructor(1)",
  "select tostring(1)",
  // Values without bound.
  "select repeat('x', 1000000000)",
  "select leftPad('x', 1000000000, 'y')",
  "select message || message from logs",
  "select concat(message, message) from logs",
  "select format('{}{}', message, message) from logs",
  "select replaceAll(message, 'e', message) from logs",
  "select groupArray(message) from logs",
  "select string_agg(message, '') from logs",
  "select range(1000000000)",
  "select arrayJoin(range(1000000))",
  "select [1, 2]",
  "select (1, 2)",
  "select {'a': 1}",
  "select x -> 1",
  "select arrayMap(x -> x, [1])",
  "select count(*) over () from logs",
  "select sum(id) over (order by id) from logs",
  "with recursive r as (select 1 as n) select n from r",
  "with recursive as (select 1) select 1; select 1",
  // What makes no sense.
  "select nothing from logs",
  "select x.message from logs",
  "select message + 1 from logs",
  "select sum(message) from logs",
  "select max(sum(id)) from logs",
  "select count(*) from logs where count(*) > 1",
  "select service, count(*) from logs",
  "select service, count(*) from logs group by level",
  "select * from logs group by service",
  "select * ",
  "select id from logs where id",
  "select id from logs where message = 1",
  "select id from logs order by 2",
  "select id from logs group by 7",
  "select a from (select id as a, level as a from logs) x",
  "select id from logs where message like service",
  "select id from logs where message ~ '('",
  "select id from logs where message like 'a\\'",
  "select id from logs where message ~ '(a'",
  "select round(id, 100000) from logs",
  "select left(message, 0) from logs",
  "select left(message, id) from logs",
  "select substr(message, 99999999) from logs",
  "select percentile_cont(2) within group (order by id) from logs",
  "select percentile_cont(id) within group (order by id) from logs",
  "select id::regclass from logs",
  "select id::constructor from logs",
  "select attributes::text from logs",
  "select count(attributes) from logs",
  "select attributes = '{}' from logs",
  "select attributes -> 'a' from logs",
  "select attributes ->> message from logs",
  "select attributes @> 'x' from logs",
  'select attributes @> \'{"a": {"b": 1}}\' from logs',
  "select 99999999999999999999",
  "select interval '1 month'",
  "select interval 'much'",
  "select date_trunc('century', timestamp) from logs",
  "select date_trunc('__proto__', timestamp) from logs",
  "select timestamp 'soon'",
  `select ${"(".repeat(60)}1${")".repeat(60)}`,
  `select ${"not ".repeat(60)}true`,
  `select ${"-".repeat(1)}${"+".repeat(60)}1`,
  `select ${Array.from({ length: 101 }, (_, n) => `1 as c${n}`).join(",")}`,
  `select '${"x".repeat(9_000)}' as a from logs group by ${Array(10).fill("a").join(",")}`,
  `select ${Array.from({ length: 252 }, () => "1").join("+")}`,
  `select ${Array.from({ length: 4_000 }, () => "1").join("+")}`,
  `${"select x from (".repeat(9)}select 1 as x${") q".repeat(9)}`,
  `with ${Array.from({ length: 6 }, (_, n) => `c${n + 1} as (select a.x from (select x from ${n === 0 ? "logs" : `c${n}`}) a)`).join(",")} select x from c6`,
  `select case ${"case ".repeat(8)}1 when 1 then 1 end${" when 1 then 1 end".repeat(8)}`,
];

const missing = logEngines.map((engine) => engine.missing).join("");

/** The questions that both stores are asked in the same words, and answer with the same text. */
const alike = [
  "select count(*) as n from logs",
  "select count(*) from logs;",
  "select level, count(*) from logs group by level order by 1 -- a comment",
  "select service, max((attributes->>'ms')::int) from logs where level = 'error' group by 1 order by 1",
  "with s as (select service, count(*) as n from logs group by 1) select service from s where n > 20 order by 1",
  "select percentile_cont(0.5) within group (order by (attributes->>'ms')::float8) as p from logs",
  "select count(*) from logs where message ilike '%ENTRY 1%' and attributes @> '{\"http.status\": 500}'",
  "select count(distinct service), min(id), null as nothing from logs where service in ('api', 'web')",
  "select sum(n) from (select date_trunc('minute', timestamp) as m, count(*) as n from logs where timestamp > now() - interval '2 hours' group by 1) x",
  "select case when level = 'error' then coalesce(environment, 'none') end from logs where id = 1",
  "select * from logs order by id limit 3",
  "select id, timestamp, level, service, environment, trace_id, span_id, message from logs order by timestamp desc, id desc limit 7 offset 2",
  "select attributes from logs where id = 4",
  "select l.message from logs as l where l.id between 3 and 5 order by l.id desc",
  "select distinct environment from logs order by environment",
  "select environment, count(*) as n from logs group by environment order by n desc, environment nulls first",
  "select environment, count(*) from logs group by environment order by environment desc",
  "select upper(service) as s, count(*) from logs group by s having count(*) > 20 order by s",
  "select attributes->>'user' as u, sum((attributes->>'ms')::int) from logs group by attributes->>'user' order by u",
  "select attributes->>'nothing' as a, attributes->>'none' as b, attributes->>'ok' as c from logs where id in (1, 2) order by id",
  "select count(*) from logs where attributes ? 'user' and not attributes ? 'other'",
  "select count(*) filter (where level = 'error') as a, count(trace_id) as b, count(distinct trace_id) as c, avg(id) filter (where id < 0) as d from logs",
  "select level = 'error' as a, level <> 'error' and true as b, trace_id is null as c, trace_id is not null as d, trace_id = 'abc' as e from logs where id <= 2 order by id",
  "select bool_or(level = 'error'), bool_and(level = 'error'), every(id > 0) from logs",
  "select message like 'entry 1%' as a, message not like '%9' as b, message ~ '^entry [0-5]$' as c, message !~* 'ENTRY' as d from logs where id < 4 order by id",
  "select 7 / 2 as a, 7 % 2 as b, -7 / 2 as c, 1 + 2 * 3 as d, (1 + 2) * 3 as e, 2 - -1 as f, -7 % 2 as g",
  "select id + 1 as a, id * 2 - 1 as b from logs where id = 10",
  "select max(timestamp), min(timestamp) from logs",
  "select date_trunc('hour', timestamp) as h, count(*) from logs group by 1 order by 1",
  "select count(*) from logs where timestamp >= '2026-01-01' and timestamp < now() + interval '1 day 30 minutes'",
  "select length(message), left(message, 3), substr(message, 2, 3), lower('ÄB'), strpos(message, ' ') from logs where id = 12",
  "select starts_with(message, 'entry'), btrim('  x '), nullif(service, 'api') from logs where id = 1",
  "select x, y from (select service as x, count(*) as y from logs group by service) q where y > 0 order by x",
  "select count(*) from (select distinct service, level from logs) q",
  "select max(n) from (select service, count(*) as n from (select service from logs where level = 'info') a group by service) b",
  "select sum((attributes->>'ms')::int) from logs where id > 1000",
  "select count(*) from logs where trace_id = 'abc' or trace_id is null and service not in ('web')",
  'select \'it\'\'s\' as "Quoted ""name""", 1 as one, true, null as nothing',
  "select case level when 'error' then 1 when 'info' then 2 else 3 end as n, count(*) from logs group by 1 order by 1",
  "select cast(attributes->>'ms' as bigint) as ms from logs order by ms desc limit 2",
  "select count(*) from logs where not (level = 'error' or service = 'web')",
  ...["second", "minute", "hour", "day", "week", "month", "year"].map(
    (unit) => `select date_trunc('${unit}', timestamp) as t from logs where id in (2, 60) order by id`,
  ),
  ...["epoch", "minute", "hour", "day", "isodow", "month", "year"].map(
    (field) => `select date_part('${field}', timestamp) as t from logs where id in (2, 60) order by id`,
  ),
  "select sqrt(16), abs(-2.5), floor(2.5), ceil(2.5), round(2.4), octet_length('ä'), char_length('ä'), upper('é')",
  "select (attributes->>'ms')::float8 / 4 as a, ((attributes->>'ms')::float8)::int as b, id::text as c from logs where id = 7",
  "select timestamptz '2026-11-22T09:00:00.5Z' as a, timestamp - interval '90 seconds' as b from logs where id = 2",
  "SELECT Count(*) AS N FROM Logs WHERE LEVEL='info' /* and\n that is all */",
];

describe.skipIf(missing !== "")(`native queries on both stores${missing}`, () => {
  const engines: LogEngine[] = [];
  const stores: LogStore[] = [];
  const databases: FreshDatabase[] = [];
  const projects: number[] = [];
  beforeAll(async () => {
    for (const { start: startEngine } of logEngines) {
      const database = await freshDatabase();
      const engine = await startEngine();
      const store = await engine.open(database.url);
      await store.runMaintenance();
      const project = await newProject(database.url);
      await appendEntries(store, project, entries);
      const other = await newProject(database.url);
      await appendEntries(store, other, [
        entryAt(start, { message: "of the other project", service: "secret-service" }),
      ]);
      databases.push(database);
      engines.push(engine);
      stores.push(store);
      projects.push(project);
    }
  });
  afterAll(async () => {
    for (const store of stores) await store.close();
    for (const database of databases) await database.drop();
    for (const engine of engines) await engine.stop();
  });

  test("both answer any query alike", { timeout: 900_000 }, async () => {
    let hits = 0;
    await fc.assert(
      fc.asyncProperty(anyQuery, async (text) => {
        const [expected, answer] = await Promise.all(
          stores.map((store, place) =>
            store.queryNative({ projectNumber: projects[place] as number, text }).catch((error) => error),
          ),
        );
        // PostgreSQL's would make an array of it.
        fc.pre(!String(expected.message).includes("both an array or a list and a cast by text"));
        expect(answer).toEqual(expected);
        hits += (answer?.text.split("\n").length ?? 0) > 2 ? 1 : 0;
      }),
      { numRuns: generated },
    );
    // Answers of nothing would prove little.
    expect(hits / generated).toBeGreaterThan(0.5);
  });

  test.each(alike)("%s", async (text) => {
    const [expected, answer] = await Promise.all(
      stores.map((store, place) => store.queryNative({ projectNumber: projects[place] as number, text })),
    );
    expect(answer).toEqual(expected);
  });

  describe("an attacker's query, of ClickHouse", () => {
    const place = logEngines.findIndex(({ name }) => name === "ClickHouse");
    const ask = (text: string, project = projects[place] as number) =>
      stores[place]?.queryNative({ projectNumber: project, text }) as Promise<NativeAnswer>;

    test.each(attacks)("%s", async (text) => {
      await expect(ask(text)).rejects.toMatchObject({ code: "VALIDATION_ERROR", status: 400 });
      expect((await ask("select count(*) as n, max(id) as last from logs")).text).toBe("n\tlast\n60\t60\n");
    });

    test("sees the entries of its project and no others, whatever it asks", async () => {
      for (const text of [
        "select * from logs",
        "select message from logs where true or id > 0",
        "select message from logs where true) or (true",
        "select service from logs where (service = 'secret-service') is not null",
        "select message from logs where message = 'of the other project' or 1 = 1",
        "with logs2 as (select * from logs) select * from logs2",
        "select count(*) from logs where service = 'secret-service'",
      ]) {
        const answer = await ask(text).catch(({ message }) => ({ text: message }));
        expect(answer.text).not.toMatch(/other project|secret-service/);
      }
      expect((await ask("select count(*) from logs where service = 'secret-service'")).text).toBe("count\n0\n");
    });

    test("of a project that has nothing sees nothing", async () => {
      const project = await newProject(databases[place]?.url as string);
      expect((await ask("select * from logs", project)).text.split("\n")).toHaveLength(2);
      expect((await ask("select count(*) from logs", project)).text).toBe("count\n0\n");
    });

    test("learns nothing by an error of what it may not see: nothing that a row holds makes one", async () => {
      for (const text of [
        "select count(*) from logs where 1 / (case when message = 'of the other project' then 0 else 1 end) = 1",
        "select count(*) from logs where 1 % (case when message = 'of the other project' then 0 else 1 end) = 0",
        "select count(*) from logs where (case when service = 'secret-service' then 'x' else '1' end)::int = 1",
        "select count(*) from logs where (case when service = 'secret-service' then 'x' else '1' end)::float8 = 1",
        "select count(*) from logs where (case when service = 'secret-service' then 1e300 else 1 end * 1e300)::int is null",
        "select count(*) from logs where sqrt(case when service = 'secret-service' then -1 else 1 end) = 1",
      ]) {
        expect([text, (await ask(text)).text]).toEqual([text, "count\n60\n"]);
      }
    });

    test("that is long is answered, and one that is endless is not", async () => {
      const many = Array.from({ length: 200 }, (_, id) => `id = ${id}`).join(" or ");
      expect((await ask(`select count(*) from logs where ${many}`)).text).toBe("count\n60\n");
      const texts = `${"(".repeat(30)}id = 1${")::text = 'true'".repeat(30)}`;
      expect((await ask(`select count(*) from logs where ${texts}`)).text).toBe("count\n1\n");
      let nested = "select id as x from logs";
      for (let depth = 0; depth < 6; depth++)
        nested = `select ${Array(12).fill("x").join("+")} as x from (${nested}) q`;
      expect((await ask(`select sum(x) as s from (${nested}) q`)).text).toBe(`s\n${1830 * 12 ** 6}\n`);
    });

    test("is read whole before anything runs: nothing of its words reaches the server", async () => {
      const text =
        "select 'in a text' as a, message as evil_alias from logs l /* evil comment */ where l.id = 1 limit 1";
      const statement = compileNative(parseNative(text), ch`true`, 0, nativeBounds).statement.rendered();
      expect(statement.text).not.toMatch(/evil|in a text/);
      // Names, numbers and signs of ours, and parameters.
      expect(statement.text).toMatch(/^[\w\s(),.'[\]{}:=*<>-]+$/);
    });

    test("of any words and signs is refused, or reads entries of its project", async () => {
      const words = fc.constantFrom(
        ...(
          "select from logs where group by order limit ( ) , ; * 1 2.5 'text' message id attributes ->> = < and or not in like " +
          "count( sum( max( ::int as x case when then else end distinct settings format union all system.tables url( numbers( is null - + / " +
          "with having offset interval '1 hour' timestamp now() between filter within ? @> ~ \" \\ -- /* */ { } [ ] ` $ @"
        ).split(" "),
      );
      const texts = fc.array(words, { maxLength: 14 }).map((parts) => `select ${parts.join(" ")}`);
      await fc.assert(
        fc.asyncProperty(texts, async (text) => {
          const answer = await ask(text).catch((error) => error);
          if (answer instanceof Error) expect(answer).toMatchObject({ code: "VALIDATION_ERROR" });
          else expect(answer.text).not.toMatch(/other project|secret-service/);
        }),
        { numRuns: 1_500 },
      );
    });
  });

  describe("what takes too long or too much, in ClickHouse", () => {
    let engine: TestClickHouse;
    let database: FreshDatabase;
    let project: number;
    beforeAll(async () => {
      engine = await startClickHouse();
      database = await freshDatabase();
      await (await open()).close();
      project = await newProject(database.url);
      await engine.query(
        `insert into logs (project_number, ts, id, level, service, message)
         select ${project}, now64(6), number + 1, 2, 's', repeat('x', 400) || toString(number) from numbers(1500000)`,
      );
      await queryDatabase(database.url, "insert into log_heads (project_number, last_id) values ($1, 1500000)", [
        project,
      ]);
    });
    afterAll(async () => {
      await database.drop();
      await engine.stop();
    });
    const open = (readTimeoutMs?: number) =>
      openClickHouseLogStore({
        address: engine.address,
        databaseUrl: database.url,
        retentionDays: 30,
        ...(readTimeoutMs !== undefined && { readTimeoutMs }),
      });

    async function ask(text: string, { readTimeoutMs, signal }: { readTimeoutMs?: number; signal?: AbortSignal } = {}) {
      const store = await open(readTimeoutMs);
      try {
        return await store.queryNative({ projectNumber: project, text, signal });
      } finally {
        await store.close();
      }
    }

    test("time: 504", async () => {
      const text = `select count(*) from logs where ${Array.from({ length: 40 }, (_, n) => `message ~ '(a|x|${n}c)*(x|y)[^q]+z${n}$'`).join(" or ")}`;
      await expect(ask(text, { readTimeoutMs: 200 })).rejects.toMatchObject({ code: "TIMEOUT", status: 504 });
    });

    test.each([
      "select message, count(*) from logs group by message order by 2 desc",
      "select count(*) from (select distinct message from logs) q",
    ])("memory, and no disk in its place: %s", async (text) => {
      await expect(ask(text)).rejects.toMatchObject({ status: 400, message: expect.stringContaining("memory") });
      expect((await ask("select count(*) from logs"))?.text).toBe("count\n1500000\n");
    });

    test("rows: it is cut, and says so; so is a value", async () => {
      const many = await ask("select id from logs order by id desc");
      expect(many).toMatchObject({ truncated: true, text: expect.stringMatching(/^id\n1500000\n1499999\n/) });
      expect(many?.text.split("\n")).toHaveLength(10_002);
      const large = await ask("select message, message as again from logs");
      expect(large?.truncated).toBe(true);
      expect(large?.text.length).toBeLessThanOrEqual(1024 * 1024);
      expect(await ask("select count(*) from logs limit 5")).toMatchObject({ truncated: false });
    });

    test("a reader who leaves", async () => {
      const leaving = new AbortController();
      const asked = ask("select count(distinct left(message, 420)) from logs", { signal: leaving.signal });
      setTimeout(() => leaving.abort(new Error("left")), 20);
      await expect(asked).rejects.toThrow("left");
    });

    test("by the API it is answered like PostgreSQL's, and a fault is told with its place", async () => {
      const service = await startTestService({ logStore: engine.address });
      const native = (query: string, key = service.secretKey) =>
        send(service, "POST /v1/logs/native-query", {
          headers: bearer(key),
          body: { projectId: service.projectId, query },
        });
      // The table holds what another database knows of: here it is not visible.
      expect(await native("select count(*) from logs")).toMatchObject({
        status: 200,
        body: { result: "count\n0\n", format: "text", meta: { backendId: "clickhouse", truncated: false } },
      });
      expect(await native("select cunt(*) from logs")).toMatchObject({
        status: 400,
        body: { code: "VALIDATION_ERROR", message: expect.stringContaining("(at character 13)") },
      });
      expect((await native("select 1", service.publicKey)).status).toBe(403);
      await service.close();
    });
  });
});
