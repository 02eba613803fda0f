import { createHash } from "node:crypto";
import { parseQuery } from "@sazabi/sdk/protocol";
import pg from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Database, openDatabase } from "../src/db/database.ts";
import type { Sql } from "../src/db/sql.ts";
import { PartitionIndexBuilder, type Sealed } from "../src/logs/engines/postgres/partition-index-builder.ts";
import { searchLogs } from "../src/logs/engines/postgres/search.ts";
import { openPostgresLogStore } from "../src/logs/engines/postgres/store.ts";
import { type NormalisedEntry, normaliseEntry } from "../src/logs/ingest/entry.ts";
import type { LogSearch, LogStore } from "../src/logs/log-store.ts";
import { type FreshDatabase, freshDatabase } from "./support/database.ts";

const dayMs = 86_400_000;
const today = Math.floor(Date.now() / dayMs) * dayMs;
/** When every test seals, at whatever hour it runs: the days before are over, this one is not. */
const noonMicros = (today + dayMs / 2) * 1000;
const project = 1;
/** Enough that a scan costs more than an index. */
const rowsADay = 20_000;

let database: FreshDatabase;
let client: pg.Client;
let store: LogStore;
let reads: Database;
const statements: Sql[] = [];
const notices: string[] = [];

beforeAll(async () => {
  database = await freshDatabase();
  client = new pg.Client({ connectionString: database.url, options: "-c search_path=sazabi,public" });
  await client.connect();
  await client.query("insert into organizations (name, slug) values ('o', 'o')");
  await client.query(
    "insert into projects (organization_id, name, region) select id, 'p', 'us-west-2' from organizations",
  );
  store = openPostgresLogStore({ url: database.url, retentionDays: 30 });
  const db = openDatabase({ url: database.url, connections: 2 });
  reads = {
    ...db,
    query: (statement) => {
      statements.push(statement);
      return db.query(statement);
    },
  };
  for (const daysAgo of [3, 2, 1]) await storeRows(today - daysAgo * dayMs, rowsADay);
  await client.query("analyze logs");
});
afterAll(async () => {
  await store.close();
  await reads.close();
  await client.end();
  await database.drop();
});

async function storeEntries(values: readonly object[]): Promise<void> {
  const now = Date.now();
  const entries = values.map((value) => normaliseEntry(value, now, 30 * dayMs) as NormalisedEntry);
  await store.append({ projectNumber: project, entries, bytes: 1, result: { accepted: entries.length } });
}

/** Among them, in the first hour of the day, one row with each of what the tests look for. */
async function storeRows(dayStart: number, count: number): Promise<void> {
  const rows = Array.from({ length: count }, (_, index) => ({
    timestamp: new Date(dayStart + (index * dayMs) / count).toISOString(),
    message: messageOf(index),
    ...(index === 8 && { note: "an Ephemeron" }),
    user: index === 7 ? "rare-user" : `u${index % 500}`,
    path: `/orders/${index % 50}`,
    ...(index % 100 === 0 && { tags: [index === 700 ? "rare-tag" : "common", "eu", index] }),
    ...(index === 900 && { documents: [longElement, "short"] }),
  }));
  for (let at = 0; at < count; at += 5_000) await storeEntries(rows.slice(at, at + 5_000));
}

/** Longer than the key of an index may be, whatever PostgreSQL compresses. */
const longElement = Array.from({ length: 1_000 }, (_, at) => createHash("sha256").update(`${at}`).digest("hex")).join(
  "",
);

function messageOf(index: number): string {
  if (index === 8) return "";
  if (index === 5) return "a Zanzibarite was found in the GRÖSSE of the ship, größer als gedacht";
  if (index === 6) return "заказ потерян на складе";
  return `order ${index} placed, payment of ${index * 7} cents accepted by the bank`;
}

function search(text: string, more: Partial<LogSearch> = {}): LogSearch {
  return {
    projectNumbers: [project],
    query: parseQuery(text).ast,
    fromMicros: (today - 4 * dayMs) * 1000,
    toMicros: today * 1000,
    direction: "desc",
    limit: 50,
    after: undefined,
    ...more,
  };
}

async function find(wanted: LogSearch, sealed: Sealed) {
  return (await searchLogs(reads, wanted, { sealed, timeoutMs: 15_000 })).logs;
}

function sealer(): PartitionIndexBuilder {
  return new PartitionIndexBuilder({ url: database.url, db: reads, onNotice: (message) => notices.push(message) });
}

async function validIndexes(day: number): Promise<number> {
  const partition = `logs_${new Date(day).toISOString().slice(0, 10).replaceAll("-", "")}`;
  const { rows } = await client.query(
    `select count(*)::int as n from pg_index i join pg_class c on c.oid = i.indexrelid
     where i.indrelid = $1::regclass and i.indisvalid and c.relname in ($2, $3, $4)`,
    [`sazabi.${partition}`, `${partition}_attributes`, `${partition}_lists`, `${partition}_words`],
  );
  return rows[0].n;
}

/** Everything that a search asks the database, as the planner would do it. */
async function plans(wanted: LogSearch): Promise<string[]> {
  const sealing = sealer();
  const sealed = await sealing.sealed();
  statements.length = 0;
  await find(wanted, sealed);
  const asked = statements.splice(0);
  await sealing.close();
  return Promise.all(
    asked.map(async ({ text, values }) => {
      const { rows } = await client.query(`explain ${text}`, [...values]);
      return rows.map((row) => row["QUERY PLAN"]).join("\n");
    }),
  );
}

/** Holds what is built concurrently in its middle: it waits for every transaction that wrote before it. */
async function withOpenTransaction<T>(dayStart: number, work: () => Promise<T>): Promise<T> {
  const other = new pg.Client({ connectionString: database.url, options: "-c search_path=sazabi,public" });
  await other.connect();
  try {
    await other.query("begin");
    await other.query("insert into logs values (99, $1, 1, 2, 'other', null, null, null, 'open', '{}')", [
      new Date(dayStart).toISOString(),
    ]);
    return await work();
  } finally {
    await other.end();
  }
}

async function isBuilding(): Promise<boolean> {
  const { rows } = await client.query("select from pg_stat_progress_create_index where phase like 'waiting%'");
  return rows.length > 0;
}

test("a sealer that is killed in the middle leaves nothing behind that the next one does not mend; meanwhile logs are stored and found", async () => {
  const killed = sealer();
  const next = sealer();
  await withOpenTransaction(today - dayMs, async () => {
    const sealing = killed.seal(noonMicros).catch((error: Error) => error);
    await expect.poll(isBuilding, { timeout: 20_000, interval: 20 }).toBe(true);

    // Another process leaves it alone.
    await next.seal(noonMicros);
    expect(await validIndexes(today - dayMs)).toBe(0);

    await storeEntries([{ timestamp: new Date(today - dayMs + 1000).toISOString(), message: "stored while sealing" }]);
    expect(await find(search('"stored while sealing"'), await next.sealed())).toHaveLength(1);

    await client.query(
      "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'sazabi seal' and datname = current_database()",
    );
    expect(await sealing).toBeInstanceOf(Error);
  });
  await killed.close();

  await next.seal(noonMicros);
  for (const daysAgo of [1, 2, 3]) expect(await validIndexes(today - daysAgo * dayMs)).toBe(3);
  expect(await next.sealed()).toMatchObject({ words: true });
  await next.close();
  const { rows } = await client.query("select from pg_index where not indisvalid");
  expect(rows).toEqual([]);
});

test("a day that is not over is not sealed", async () => {
  const sealing = sealer();
  await storeEntries([{ message: "of today", timestamp: today }]);
  await sealing.seal(noonMicros);
  expect(await validIndexes(today)).toBe(0);
  expect((await sealing.sealed()).beforeMicros).toBe(today * 1000);
  await sealing.close();
});

test.each([
  ["a rare word", "zanzibarite", "words", 3],
  ["a rare phrase", '"found in the gr"', "words", 3],
  ["a rare word with letters of another case", "größer", "words", 3],
  ["a rare word of no ASCII letter", "ПОТЕРЯН", "words", 3],
  ["a rare attribute value", "user:rare-user", "attributes", 3],
  ["a rare word of an entry without a message", "ephemeron", "words", 3],
  ["a rare element of a list", "@tags:rare-tag", "lists", 3],
  ["a rare number in a list", "@tags:1700", "lists", 3],
  ["an element of a list that is longer than a key of an index", `@documents:${longElement}`, "lists", 3],
  ["a rare word that no row holds", "xylophone", "words", 0],
  ["a rare word that is excluded from a rare value", "user:rare-user -xylophone", "attributes", 3],
  ["either of two rare words", "zanzibarite OR потерян", "words", 6],
] as const)("%s is found by index in the days that are sealed", async (_, text, index, count) => {
  const sealing = sealer();
  expect(await find(search(text), await sealing.sealed())).toHaveLength(count);
  await sealing.close();
  const last = (await plans(search(text))).at(-1);
  expect(last).toMatch(new RegExp(`Bitmap Index Scan on logs_\\d{8}_${index}`));
  expect(last).not.toMatch(/Seq Scan|Index Scan Backward/);
});

test("what many rows match is found by reading as many rows as were asked for", async () => {
  const asked = await plans(search("payment"));
  expect(asked).toHaveLength(2);
  expect(asked[1]).toContain("Limit");
  expect(asked[1]).toMatch(/Index Scan Backward using logs_\d{8}_project_number_ts_id_idx/);
});

test("a row that comes late into a sealed day is found", async () => {
  await storeEntries([
    {
      timestamp: new Date(today - 2 * dayMs + 5000).toISOString(),
      message: "a straggler, lagniappe",
      user: "late",
      documents: [`late ${longElement}`],
    },
  ]);
  const sealing = sealer();
  for (const text of ["lagniappe", "user:late", `@documents:"late ${longElement}"`]) {
    expect(await find(search(text), await sealing.sealed())).toHaveLength(1);
  }
  await sealing.close();
});

test("pages through parts hold every row once, in either direction", async () => {
  const sealing = sealer();
  const sealed = await sealing.sealed();
  await sealing.close();
  for (const direction of ["asc", "desc"] as const) {
    const wanted = search("path:/orders/7", { direction, limit: 100 });
    const ids: string[] = [];
    for (let after: LogSearch["after"]; ; ) {
      const page = await find({ ...wanted, after }, sealed);
      ids.push(...page.map(({ position }) => position.id));
      after = page.at(-1)?.position;
      if (page.length < 100) break;
    }
    expect(ids).toHaveLength((3 * rowsADay) / 50);
    expect(new Set(ids).size).toBe(ids.length);
    const micros = ids.map(Number);
    expect(micros).toEqual([...micros].sort((a, b) => (direction === "asc" ? a - b : b - a)));
  }
});
