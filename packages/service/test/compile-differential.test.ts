import {
  compares,
  equalsText,
  evaluate,
  lookIn,
  parseQuery,
  type QueriedEntry,
  type QueryNode,
} from "@sazabi/sdk/protocol";
import fc from "fast-check";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { sql } from "../src/db/sql.ts";
import { compileQuery as compileForClickHouse } from "../src/logs/engines/clickhouse/compile.ts";
import { type ClickHouse, connectClickHouse } from "../src/logs/engines/clickhouse/connection.ts";
import { rowLine } from "../src/logs/engines/clickhouse/rows.ts";
import { ensureTable } from "../src/logs/engines/clickhouse/schema.ts";
import { ch } from "../src/logs/engines/clickhouse/statement.ts";
import { compileQuery, type WordSearch } from "../src/logs/engines/postgres/compile.ts";
import { queryOfFilters } from "../src/logs/query/filters.ts";
import { clickHouseMissing, startClickHouse, type TestClickHouse } from "./support/clickhouse.ts";
import { type FreshDatabase, freshDatabase } from "./support/database.ts";
import { amounts, entries, filters, queries } from "./support/queries.ts";
import { scaled } from "./support/scale.ts";

/** Each case is one query over all rows. Raise with SAZABI_TEST_CASES for a long run. */
const cases = Number(process.env["SAZABI_TEST_CASES"] ?? 1500);
const rowCount = 400;
const emptyEntry = { level: 2, service: "", environment: null, traceId: null, spanId: null, message: "" };
const seed = process.env["SAZABI_TEST_SEED"] === undefined ? 1 : Number(process.env["SAZABI_TEST_SEED"]);

/** Every range over a duration or a size, and an entry with each of them. */
const amountRanges = amounts.flatMap((bound) =>
  ([">", ">=", "<", "<="] as const).map((operator) => compares({ attribute: "amount" }, operator, bound)),
);
const withAmounts = [...amounts, 5, "5"].map((amount) => ({ ...emptyEntry, attributes: { amount } }));
/** Every range over an integer beyond 2^53 or beside it, and an entry with each of them, as text and as number. */
const integers = [
  ...["9007199254740991", "9007199254740992", "9007199254740993", "9007199254740994", "9007199254740995"],
  ...["-9007199254740993", "-9007199254740992", "18446744073709551615", "18446744073709551616"],
  ...["123456789012345678901234567890", "123456789012345678901234567891", "9007199254740993.0", "9.007199254740993e15"],
  ...["+9007199254740993", "09007199254740993", "1e20", "0", "text", ""],
];
const integerRanges = integers.flatMap((bound) =>
  ([">", ">=", "<", "<="] as const).flatMap((operator) => [
    compares({ attribute: "integer" }, operator, bound),
    compares({ column: "service" }, operator, bound),
  ]),
);
const withIntegers = integers.flatMap((text) => [
  { ...emptyEntry, service: text, attributes: { integer: text } },
  { ...emptyEntry, attributes: { integer: Number(text) || 0 } },
  { ...emptyEntry, attributes: { integer: JSON.stringify([text, true]) } },
]);
const longList = JSON.stringify([...Array.from({ length: 3_000 }, (_, index) => index), "foo", 'say "é\\n"']);

const scopes = fc.constantFrom(
  "entry" as const,
  "entry" as const,
  "message" as const,
  "attributes" as const,
  "both" as const,
);

let database: FreshDatabase;
let client: pg.Client;
let rows: readonly QueriedEntry[];

beforeAll(async () => {
  database = await freshDatabase();
  client = new pg.Client({ connectionString: database.url });
  await client.connect();
  rows = [
    ...fc.sample(entries, { numRuns: rowCount, seed }),
    ...withAmounts,
    ...withIntegers,
    { ...emptyEntry, message: "m", attributes: { a: longList, list: longList } },
  ];
  await client.query(`create temporary table logs (
    id int, level smallint not null, service text not null, environment text, trace_id text, span_id text,
    message text not null, attributes jsonb not null)`);
  for (const [id, row] of rows.entries()) {
    await client.query("insert into logs values ($1, $2, $3, $4, $5, $6, $7, $8)", [
      id,
      row.level,
      row.service,
      row.environment,
      row.traceId,
      row.spanId,
      row.message,
      JSON.stringify(row.attributes),
    ]);
  }
});
afterAll(async () => {
  await client.end();
  await database.drop();
});

async function found(query: QueryNode, words?: WordSearch): Promise<number[]> {
  const { text, values } = sql`select id from logs where ${compileQuery(query, words)} order by id`;
  return (await client.query<{ id: number }>(text, [...values])).rows.map(({ id }) => id);
}

function expected(query: QueryNode): number[] {
  return [...rows.entries()].filter(([, row]) => evaluate(query, row)).map(([id]) => id);
}

test("PostgreSQL finds exactly what the reference finds, for any query", { timeout: 600_000 }, async () => {
  let hits = 0;
  await fc.assert(
    fc.asyncProperty(queries, async (text) => {
      const { ast } = parseQuery(text);
      const ids = await found(ast);
      hits += ids.length > 0 && ids.length < rows.length ? 1 : 0;
      expect(ids).toEqual(expected(ast));
    }),
    { numRuns: cases, seed },
  );
  // Queries that find nothing or everything would prove little.
  expect(hits / cases).toBeGreaterThan(0.3);
});

test("and for any filters", { timeout: 600_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(filters, { minLength: 1, maxLength: 3 }), async (wanted) => {
      const query = queryOfFilters(wanted);
      expect(await found(query)).toEqual(expected(query));
    }),
    { numRuns: cases, seed },
  );
});

test("and for any range of durations and sizes", async () => {
  for (const query of amountRanges) expect(await found(query)).toEqual(expected(query));
});

test("and for any range of large integers", async () => {
  for (const query of integerRanges) expect(await found(query)).toEqual(expected(query));
});

const listQueries = [
  "@list:foo",
  "@list:2999",
  "@list:3000",
  "@list:fo*",
  "@list:*Y?*É?n*",
  "@list:/^foo$/",
  "@list:>2998",
];

test("and for any element of a long list", async () => {
  for (const { ast } of listQueries.map((text) => parseQuery(text))) expect(await found(ast)).toEqual(expected(ast));
});

test("the two ways to look for words find the same", { timeout: 600_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(queries, scopes, async (text, scope) => {
      const ast = lookIn(parseQuery(text).ast, scope);
      expect(await found(ast, "scan")).toEqual(expected(ast));
    }),
    { numRuns: cases, seed },
  );
});

test("and with the indexes of a sealed day", { timeout: 600_000 }, async () => {
  await client.query("create extension if not exists pg_trgm");
  await client.query(`create index on logs using gin ((message collate "C") gin_trgm_ops)`);
  await client.query("create index on logs using gin (attributes jsonb_path_ops)");
  await client.query("create index on logs using gin (sazabi.log_list_elements(attributes))");
  await client.query("create index on logs (id) where message = ''");
  // Whatever an index can answer is asked of it.
  await client.query("set enable_seqscan = off");
  await fc.assert(
    fc.asyncProperty(queries, scopes, async (text, scope) => {
      const ast = lookIn(parseQuery(text).ast, scope);
      expect(await found(ast)).toEqual(expected(ast));
    }),
    { numRuns: cases, seed },
  );
});

describe.skipIf(clickHouseMissing !== "")(`ClickHouse${clickHouseMissing}`, () => {
  const cases = scaled({ committed: 300, full: 20_000 });
  let engine: TestClickHouse;
  let server: ClickHouse;

  beforeAll(async () => {
    engine = await startClickHouse();
    server = await connectClickHouse(engine.address);
    await ensureTable(server, 30);
    const now = Date.now() * 1000;
    // Several parts, and several granules' worth of order in each.
    for (const part of [0, 1, 2]) {
      const lines = rows
        .map((row, id) => rowLine(1, id, { ...row, bytes: 0, timestampMicros: now + id }, null))
        .filter((_, id) => id % 3 === part);
      await server.insert("logs", lines, 60_000);
    }
  });
  afterAll(async () => {
    await server.close();
    await engine.stop();
  });

  async function foundThere(query: QueryNode): Promise<number[]> {
    const statement = ch`select id from logs where ${compileForClickHouse(query)} order by id`;
    return (await server.rows<{ id: string }>(statement, { timeoutMs: 60_000 })).map(({ id }) => Number(id));
  }

  test("finds exactly what the reference finds, for any query", { timeout: 7_200_000 }, async () => {
    let hits = 0;
    await fc.assert(
      fc.asyncProperty(queries, scopes, async (text, scope) => {
        const ast = lookIn(parseQuery(text).ast, scope);
        const ids = await foundThere(ast);
        hits += ids.length > 0 && ids.length < rows.length ? 1 : 0;
        expect(ids).toEqual(expected(ast));
      }),
      { numRuns: cases, seed: seed + 1 },
    );
    expect(hits / cases).toBeGreaterThan(0.3);
  });

  test("and for any filters", { timeout: 7_200_000 }, async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(filters, { minLength: 1, maxLength: 3 }), async (wanted) => {
        const query = queryOfFilters(wanted);
        expect(await foundThere(query)).toEqual(expected(query));
      }),
      { numRuns: cases, seed: seed + 1 },
    );
  });

  test("and for any range of durations and sizes", async () => {
    for (const query of amountRanges) expect(await foundThere(query)).toEqual(expected(query));
  });

  test("and for any range of large integers", async () => {
    for (const query of integerRanges) expect(await foundThere(query)).toEqual(expected(query));
  });

  test("and for any element of a long list", async () => {
    for (const { ast } of listQueries.map((text) => parseQuery(text))) {
      expect(await foundThere(ast)).toEqual(expected(ast));
    }
  });

  test("an index knows the elements of lists", async () => {
    const condition = compileForClickHouse(equalsText({ attribute: "a" }, "foo"));
    const statement = ch`explain indexes = 1 select id from logs where ${condition}`;
    const plan = await server.rows<{ explain: string }>(statement, { timeoutMs: 60_000 });
    const names = plan.flatMap(({ explain }) => /Name: (\w+)/.exec(explain)?.[1] ?? []);
    expect(names).toEqual(expect.arrayContaining(["attribute_values", "list_elements"]));
  });
});
