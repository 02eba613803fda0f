import { randomBytes } from "node:crypto";
import { readFile } from "node:fs/promises";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openDatabase } from "../src/db/database.ts";
import { sql } from "../src/db/sql.ts";
import { listAllowed } from "../src/logs/engines/postgres/sql-query-allowed.ts";
import { nodeKinds } from "../src/logs/engines/postgres/sql-query-tree.ts";
import { openPostgresLogStore } from "../src/logs/engines/postgres/store.ts";
import type { LogStore } from "../src/logs/log-store.ts";
import { type FreshDatabase, freshDatabase } from "./support/database.ts";

/*
 * Whatever a native query may use is given the longest values there are, as many times as the service lets it. The cases
 * are made from the lists of what is allowed, so what is allowed later is among them.
 */

/** What a server process of a native query may hold, without what all of them share. */
const mostMiB = 320;
const entryBytes = 256 * 1024;

let database: FreshDatabase;
let store: LogStore;
let watcher: pg.Client;
beforeAll(async () => {
  database = await freshDatabase();
  store = openPostgresLogStore({ url: database.url, retentionDays: 30 });
  await store.runMaintenance();
  watcher = new pg.Client({ connectionString: database.url });
  await watcher.connect();
  const attributes: Record<string, string> = { control: "\u0001".repeat(4_000) };
  for (let name = 0; name < 120; name++) attributes[`k${name}`] = letters(1_000);
  // One letter beyond ASCII, for what is quicker without.
  const messages = { letters: `é${letters(entryBytes - 2)}`, digits: "9".repeat(131_000) };
  for (const [index, [service, message]] of Object.entries(messages).entries()) {
    await watcher.query(
      "insert into sazabi.logs values (1, now() - interval '1 minute', $1, 2, $2, 'e', null, null, $3, $4)",
      [index + 1, service, message, attributes],
    );
  }
});
afterAll(async () => {
  await watcher.end();
  await store.close();
  await database.drop();
});

function letters(length: number): string {
  return randomBytes(length).toString("base64").slice(0, length);
}

interface Outcome {
  readonly peakMiB: number;
  /** Empty when it was answered. */
  readonly error: string;
}

async function run(text: string): Promise<Outcome> {
  // Not to be taken for the process of the query before.
  while ((await heldMiB()) > 0);
  let isDone = false;
  const asked = store
    .queryNative({ projectNumber: 1, text })
    .then(
      () => "",
      (error: Error) => error.message,
    )
    .finally(() => {
      isDone = true;
    });
  let peakMiB = 0;
  while (!isDone) peakMiB = Math.max(peakMiB, await heldMiB());
  return { peakMiB, error: await asked };
}

/** The most that the server process of the query has held so far. */
async function heldMiB(): Promise<number> {
  const { rows } = await watcher.query<{ pid: number }>(
    "select pid from pg_stat_activity where datname = current_database() and application_name = 'sazabi native query'",
  );
  const held = await Promise.all(
    rows.map(async ({ pid }) => {
      const status = await readFile(`/proc/${pid}/status`, "utf8").catch(() => "");
      const kiB = (name: string) => Number(new RegExp(`${name}:\\s+(\\d+)`).exec(status)?.[1] ?? 0);
      return (kiB("VmHWM") - kiB("RssShmem") - kiB("RssFile")) / 1024;
    }),
  );
  return Math.max(0, ...held);
}

const tooMany = /too many|too large|are the most/;

/** With as many of it as the service lets through. */
async function runMost(make: (copies: number) => string): Promise<Outcome> {
  for (const copies of [90, 24, 6, 2]) {
    const outcome = await run(make(copies));
    if (!tooMany.test(outcome.error)) return outcome;
  }
  return run(make(1));
}

interface Callable {
  readonly id: number;
  readonly name: string;
  readonly kind: string;
  readonly isOrdered: boolean;
  readonly types: readonly string[];
  readonly left: string | null;
}

const values: Readonly<Record<string, string>> = {
  text: "message",
  "character varying": "message::varchar",
  character: "message::bpchar",
  jsonb: "attributes",
  numeric: "message::numeric",
  '"any"': "message",
  anyelement: "message",
  anycompatible: "message",
  anynonarray: "message",
  anycompatiblenonarray: "message",
  smallint: "3::int2",
  integer: "3",
  bigint: "id",
  real: "1.5::float4",
  "double precision": "0.5::float8",
  boolean: "id > 0",
  date: "timestamp::date",
  "time without time zone": "timestamp::time",
  "timestamp without time zone": "timestamp::timestamp",
  "timestamp with time zone": "timestamp",
  interval: "interval '1 day'",
  uuid: "null::uuid",
  "text[]": "'{a}'::text[]",
};
const constants: Readonly<Record<string, string>> = { text: "'a'", jsonb: `'{"k1": 1}'`, "text[]": "'{a}'::text[]" };

function callOf({ name, kind, isOrdered, types }: Callable, matches: boolean): string {
  const args = types.map((type, place) => (place > 0 && matches && constants[type]) || values[type] || "null");
  if (name.startsWith("jsonb_extract_path")) return `${name}(attributes, 'k1')`;
  if (name === "generate_series") return `generate_series(1, 10, ${types.length > 2 ? "1" : "2"})`;
  // Of a hypothetical value: its rank among the others.
  if (isOrdered && types[0] === '"any"') return `${name}('x') within group (order by message)`;
  if (isOrdered) return `${name}(${args.slice(0, -1).join(", ")}) within group (order by ${args.at(-1)})`;
  const called = `"${name}"(${args.join(", ")})`;
  return kind === "w" ? `${called} over (order by id)` : called;
}

function many(expression: string, copies: number): string {
  return Array.from({ length: copies }, (_, place) => `${expression} as c${place}`).join(", ");
}

test("every function and operator that is allowed, given the longest values, as often as it may be", async () => {
  const db = openDatabase({ url: database.url, connections: 1 });
  const allowed = await listAllowed(db);
  const { rows: functions } = await db.query<Callable>(sql`
    select p.oid::int as id, proname::text as name, prokind::text as kind, coalesce(aggkind <> 'n', false) as "isOrdered",
           array(select format_type(t, null) from unnest(proargtypes) with ordinality u(t, n) order by n) as types
    from pg_proc p left join pg_aggregate a on a.aggfnoid = p.oid where p.oid = any(${[...allowed.functions]}::oid[])`);
  const { rows: operators } = await db.query<Callable>(sql`
    select oid::int as id, oprname::text as name, array[format_type(oprleft, null), format_type(oprright, null)] as types
    from pg_operator where oid = any(${[...allowed.operators]}::oid[]) and oprleft <> 0`);
  await db.close();
  expect(functions.length).toBeGreaterThan(200);
  const calls = [
    ...functions.map((each) => ({ each, call: callOf(each, allowed.matching.has(each.id)) })),
    ...operators.map((each) => {
      const [left = "", right = ""] = each.types;
      const operand = (allowed.matching.has(each.id) && constants[right]) || values[right] || "null";
      return { each, call: `(${values[left]} ${each.name} ${operand})` };
    }),
  ].filter(({ each }) => each.types.some((type) => /text|char|jsonb|numeric|any/.test(type)));
  const worst: [number, string][] = [];
  let answered = 0;
  for (const { each, call } of calls) {
    const where = ` where service = '${each.types.includes("numeric") ? "digits" : "letters"}'`;
    const { peakMiB, error } = await runMost((copies) => `select ${many(call, copies)} from logs${where}`);
    // The case has to call what it is about; it may fail by a value.
    expect(`${call}: ${error}`).not.toMatch(/may not|syntax|does not exist|not a constant|long took|took too long/);
    if (error === "") answered += 1;
    worst.push([peakMiB, call]);
    expect(peakMiB, call).toBeLessThan(mostMiB);
  }
  expect(answered).toBeGreaterThan(calls.length / 2);
  worst.sort(([a], [b]) => b - a);
  console.info(`${calls.length} calls, ${answered} answered; the most:`, worst.slice(0, 8));
}, 600_000);

const conditions = (copies: number, one: (place: number) => string) =>
  Array.from({ length: copies }, (_, place) => one(place)).join(" or ");

/** For each kind of node a query that gives it long values. */
const cases: Readonly<Record<string, (copies: number) => string>> = {
  QUERY: (copies) => `select * from (select ${many("lower(message)", copies)} from logs offset 0) q order by 1`,
  RANGETBLENTRY: (copies) => `select ${many("lower(a.message)", copies)} from logs a, logs b, logs c`,
  ALIAS: (copies) => `select ${many("upper(m)", copies)} from logs as l(i, t, l, s, e, r, p, m, a)`,
  RTEPERMISSIONINFO: (copies) => `select ${many("message", copies)} from logs`,
  RANGETBLFUNCTION: (copies) => `select ${many("value", copies)} from logs, jsonb_each_text(attributes) order by 1`,
  FROMEXPR: (copies) => `select 1 from logs where ${conditions(copies, (place) => `message like '%${place}_x'`)}`,
  RANGETBLREF: (copies) => `select ${many("a.message", copies)} from logs a, logs b order by b.message`,
  JOINEXPR: (copies) => `select ${many("initcap(message)", copies)} from logs a full join logs b using (message)`,
  TARGETENTRY: (copies) => `select ${many("message", copies)} from logs order by message`,
  VAR: (copies) => `select ${many("message", copies)} from logs union select ${many("message", copies)} from logs`,
  CONST: (copies) => `select ${many("1e131000::text", copies)} from logs`,
  PARAM: (copies) => `select ${many("(select max(b.message) from logs b where b.id = a.id)", copies)} from logs a`,
  OPEXPR: (copies) => `select ${many("attributes - 'k1'", copies)} from logs`,
  DISTINCTEXPR: (copies) => `select 1 from logs where ${conditions(copies, () => "message is not distinct from 'x'")}`,
  NULLIFEXPR: (copies) => `select ${many("nullif(lower(message), 'x')", copies)} from logs`,
  SCALARARRAYOPEXPR: (copies) => `select 1 from logs where ${conditions(copies, (n) => `message in ('${n}', 'b')`)}`,
  BOOLEXPR: (copies) => `select 1 from logs where ${conditions(copies, (n) => `not message ~ '[^${n}]'`)}`,
  FUNCEXPR: (copies) => `select ${many("left(message, 262143)", copies)} from logs`,
  NAMEDARGEXPR: (copies) => `select ${many("make_interval(days => length(message))", copies)} from logs`,
  AGGREF: (copies) => `select ${many("max(lower(message))", copies)} from logs group by rollup (id, service, level)`,
  WINDOWFUNC: (copies) => `select ${many("lag(lower(message)) over (order by id)", copies)} from logs`,
  WINDOWCLAUSE: (copies) =>
    `select ${Array.from({ length: copies }, (_, n) => `max(message) over (order by id % ${n + 2}) c${n}`).join(", ")} from logs`,
  SORTGROUPCLAUSE: (copies) => `select distinct ${many("reverse(message)", copies)} from logs`,
  GROUPINGSET: (copies) => `select ${many("min(message)", copies)} from logs group by cube (id, service, level)`,
  GROUPINGFUNC: (copies) =>
    `select ${many("grouping(lower(message))", copies)} from logs group by rollup (lower(message))`,
  NULLTEST: (copies) => `select 1 from logs where ${conditions(copies, () => "lower(message) is null")}`,
  BOOLEANTEST: (copies) => `select 1 from logs where ${conditions(copies, () => "(upper(message) = 'x') is true")}`,
  CASEEXPR: (copies) =>
    `select ${many("case when id > 0 then lower(message) else upper(message) end", copies)} from logs`,
  CASETESTEXPR: (copies) => `select ${many("case lower(message) when 'x' then 1 end", copies)} from logs`,
  COALESCEEXPR: (copies) => `select ${many("coalesce(trace_id, lower(message))", copies)} from logs`,
  // `greatest` and `least`.
  MINMAXEXPR: (copies) => `select ${many("greatest(lower(message), upper(message))", copies)} from logs`,
  RELABELTYPE: (copies) => `select ${many("message::varchar", copies)} from logs order by lower(message)`,
  COERCEVIAIO: (copies) => `select ${many("attributes::text", copies)} from logs`,
  COLLATEEXPR: (copies) => `select ${many(`lower(message) collate "C"`, copies)} from logs`,
  ARRAYEXPR: (copies) => `select ${many("array['a', 'b']", copies)} from logs order by message`,
  SUBLINK: (copies) => `select ${many("(select lower(message) from logs order by id limit 1)", copies)}`,
  COMMONTABLEEXPR: (copies) =>
    `with m as materialized (select ${many("lower(message)", copies)} from logs) select a.c0 from m a, m b order by b.c0`,
  SETOPERATIONSTMT: (copies) =>
    `select ${many("lower(message)", copies)} from logs intersect select ${many("lower(message)", copies)} from logs`,
  SQLVALUEFUNCTION: (copies) => `select ${many("current_date", copies)} from logs order by lower(message)`,
};
/** The same node by the name that another version of PostgreSQL gives it. */
const sameAs: Readonly<Record<string, string>> = {
  RTE: "RANGETBLENTRY",
  CASE: "CASEEXPR",
  CASEWHEN: "CASEEXPR",
  WHEN: "CASEEXPR",
  COALESCE: "COALESCEEXPR",
  MINMAX: "MINMAXEXPR",
  COLLATE: "COLLATEEXPR",
  ARRAY: "ARRAYEXPR",
};

describe("every kind of node that is allowed, given the longest values, as often as it may be", () => {
  test.each([...nodeKinds])("%s", async (kind) => {
    const make = cases[sameAs[kind] ?? kind];
    expect(make, "has a case").toBeDefined();
    const { peakMiB, error } = await runMost(make as (copies: number) => string);
    expect(error).toMatch(/^$|took too long|temporary file/);
    expect(peakMiB).toBeLessThan(mostMiB);
  });
});

describe("a query that multiplies what it holds", () => {
  const repeated = (text: string, count: number, separator = ",") => Array(count).fill(text).join(separator);
  test.each([
    ["an array of columns", `select array[${repeated("message", 400)}] from logs`],
    ["an array of a subquery", "select array(select message from logs)"],
    ["a percentile of many", "select percentile_disc(array[0.1, 0.2]) within group (order by message) from logs"],
    ["the least of arrays", "select min(array['a', service]) from logs"],
    ["an array that was a text", "select (message::text[])[1] from logs"],
    ["a text that becomes an array", "select 1 from logs where 'a' = any (message::text[])"],
    ["a text that becomes jsonb", "select message::jsonb from logs"],
    ["numbers of jsonb with many digits", `select '[${repeated("1e131000", 1_000)}]'::jsonb`],
    ["a text of arrays of texts", `select array[array[array['"']::text]::text]::text`],
    ["a pattern that is a column", "select 1 from logs a, logs b where a.message like b.message"],
    ["a format that is a column", "select to_char(timestamp, message) from logs"],
    [
      "a condition of a subquery that is used many times",
      `select 1 from (select ${Array.from({ length: 120 }, (_, n) => `message ~ 'z${n}'`).join(" or ")} as x from logs) q
       where ${repeated("case when x then 1 else 0 end = 1", 60, " or ")}`,
    ],
    [
      "a long pattern that is used many times",
      `select ${Array(20).fill("case when x then 1 else 0 end").join(" + ")} as n
       from (select message like '%${"a".repeat(9_000)}b' as x from logs) q`,
    ],
    ["a hashed subquery", "select 1 from logs where 1 not in (select g from generate_series(1, (select 100000000)) g)"],
    [
      "a hashed subquery that fits into more memory only",
      `select 1 from logs where 'x' not in
       (select left(message, 262143) from logs, generate_series(1, 100000) limit 100000)`,
    ],
    [
      "a sort with a limit, whose rows grow",
      `select count(*) from (select g, case when g < 50000 then left(message, 262143) else '' end as m
       from generate_series(100000, 1, -1) g, logs order by g limit 10000) q where m > 'x'`,
    ],
    [
      "more aggregates than sets allow",
      `select ${many("max(lower(message))", 40)} from logs group by cube (id, service, level)`,
    ],
  ])("is refused: %s", async (_, text) => {
    const { error } = await run(text);
    expect(error).toMatch(/^query: /);
  });

  test.each([
    [
      "keys that are all alike",
      "select count(*) from logs a join generate_series(1, (select 3000000)) g on a.id = g * 0 + 1",
    ],
    [
      "groups whose values grow",
      `select count(*) from (select max(case when g < 1000 then '' else lower(message) end)
       from generate_series(1, 20000) g, logs group by g % 1000) x`,
    ],
    [
      "a sort with a limit, as many rows as are let through",
      `select count(*) from (select g, case when g < 5000 then left(message, 262143) else '' end as m
       from generate_series(10000, 1, -1) g, logs where service = 'letters' order by g limit 1000) q where m > 'x'`,
    ],
    [
      "sorts in many places",
      `select ${Array.from({ length: 90 }, (_, n) => `count(distinct g + ${n}) c${n}`).join(", ")} from generate_series(1, 300000) g`,
    ],
    ["large patterns", `select 1 from logs where ${conditions(30, (n) => `message ~ '(x{1,250}y${n}){1,20}'`)}`],
  ])("stays within its bound: %s", async (_, text) => {
    const { peakMiB, error } = await run(text);
    expect(error).toMatch(/^$|took too long|temporary file/);
    expect(peakMiB).toBeLessThan(mostMiB);
    console.info(`${text.slice(0, 60)}: ${Math.round(peakMiB)} MiB`);
  });
});
