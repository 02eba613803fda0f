import { evaluate, parseQuery } from "@sazabi/sdk/protocol";
import fc from "fast-check";
import pg from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { openDatabase } from "../src/db/database.ts";
import { deleteOldSkipIndexes, SkipIndex } from "../src/logs/engines/postgres/skip-index.ts";
import { openPostgresLogStore } from "../src/logs/engines/postgres/store.ts";
import { bitsOfMessages, WordMap } from "../src/logs/engines/postgres/trigram-bloom.ts";
import type { NormalisedEntry } from "../src/logs/ingest/entry.ts";
import type { LogStore } from "../src/logs/log-store.ts";
import { type FreshDatabase, freshDatabase } from "./support/database.ts";
import { appendEntries, entryAt, newProject } from "./support/log-engines.ts";
import { entries, queries } from "./support/queries.ts";

const hourMicros = 3_600_000_000;
const now = Date.now() * 1000;
/** As many as a commit takes: a map holds them and no more. */
const batch = 5_000;

let database: FreshDatabase;
let client: pg.Client;
let store: LogStore;

beforeAll(async () => {
  database = await freshDatabase();
  client = new pg.Client({ connectionString: database.url, options: "-c search_path=sazabi,public" });
  await client.connect();
  store = openPostgresLogStore({ url: database.url, retentionDays: 30 });
});
afterAll(async () => {
  await store.close();
  await client.end();
  await database.drop();
});

/** Evenly over the last hours, oldest first. */
function quiet(count: number): NormalisedEntry[] {
  return Array.from({ length: count }, (_, index) =>
    entryAt(now - 6 * hourMicros + Math.floor((5 * hourMicros * index) / count), { message: `order ${index} placed` }),
  );
}

async function storeAll(projectNumber: number, all: readonly NormalisedEntry[]): Promise<void> {
  for (let at = 0; at < all.length; at += batch) await appendEntries(store, projectNumber, all.slice(at, at + batch));
}

async function maps(projectNumber: number): Promise<{ first_id: string; last_id: string }[]> {
  const { rows } = await client.query(
    "select first_id, last_id from log_word_maps where project_number = $1 order by first_id",
    [projectNumber],
  );
  return rows;
}

async function mapped(projectNumber: number, count: number): Promise<void> {
  await expect.poll(async () => (await maps(projectNumber)).length, { timeout: 20_000 }).toBe(count);
}

/** Each entry up to `last` in one map, and in no other. */
function expectNoGap(ranges: readonly { first_id: string; last_id: string }[], last: number): void {
  const lastIds = ranges.map((range) => Number(range.last_id));
  expect(ranges.map((range) => Number(range.first_id))).toEqual([0, ...lastIds.slice(0, -1)].map((id) => id + 1));
  expect(lastIds.at(-1)).toBe(last);
}

async function find(projectNumber: number, text: string, limit = 20) {
  const found = await store.search({
    projectNumbers: [projectNumber],
    query: parseQuery(text).ast,
    fromMicros: now - 12 * hourMicros,
    toMicros: now + hourMicros,
    direction: "desc",
    limit,
    after: undefined,
  });
  return found.logs.map(({ message }) => message);
}

test("a search finds with maps what the reference finds, for any query", { timeout: 300_000 }, async () => {
  const project = await newProject(database.url);
  const pool = fc.sample(entries, { numRuns: 400, seed: 3 });
  // Every thousand entries draw from a few texts, so that maps differ from each other; some come hours late.
  const all = Array.from({ length: 4 * batch }, (_, index) => {
    const drawn = pool[(Math.floor(index / 1000) * 17 + (index % 17)) % pool.length] as NormalisedEntry;
    const late = index % 700 === 0 ? 3 * hourMicros : 0;
    return { ...drawn, bytes: 100, timestampMicros: now - 6 * hourMicros + index * 700_000 - late };
  });
  await storeAll(project, all);
  await mapped(project, 4);
  const newestFirst = [...all].sort((a, b) => b.timestampMicros - a.timestampMicros);
  let hits = 0;
  await fc.assert(
    fc.asyncProperty(queries, async (text) => {
      const { ast } = parseQuery(text);
      const expected = newestFirst.filter((entry) => evaluate(ast, entry)).slice(0, 21);
      hits += expected.length > 0 && expected.length < 21 ? 0 : 1;
      expect(await find(project, text)).toEqual(expected.slice(0, 20).map(({ message }) => message));
    }),
    { numRuns: 300, seed: 3 },
  );
  expect(hits).toBeGreaterThan(0);
});

test("what the maps rule out is not read, and what has no map is", async () => {
  const project = await newProject(database.url);
  const all = quiet(3 * batch + 2_500);
  const rare = [10, 3 * batch + 200].map((place) => {
    const entry = { ...(all[place] as NormalisedEntry), message: `a Zanzibarite at ${place}` };
    all[place] = entry;
    return entry.message;
  });
  await storeAll(project, all);
  await mapped(project, 3);
  expect(await find(project, "zANZIbarite")).toEqual([rare[1], rare[0]]);
  await client.query("update log_word_maps set words = (words # words) where project_number = $1", [project]);
  expect(await find(project, "zanzibarite")).toEqual([rare[1]]);
  await client.query("update log_word_maps set words = null where project_number = $1", [project]);
  expect(await find(project, "zanzibarite")).toEqual([rare[1], rare[0]]);
});

test("an entry without a message is found by the words of its attributes, which no map knows", async () => {
  const project = await newProject(database.url);
  const all = quiet(2 * batch);
  all[10] = { ...(all[10] as NormalisedEntry), message: "", attributes: { note: "Zanzibarite", other: "timbuktu" } };
  await storeAll(project, all);
  await mapped(project, 2);
  for (const text of ["zanzibarite", "zanzibarite timbuktu", "zanzi*rite -nowhere", "zanzibarite OR nowhere"]) {
    expect(await find(project, text)).toEqual([""]);
  }
  for (const text of ["zanzibarite nowhere", "message:zanzibarite"]) expect(await find(project, text)).toEqual([]);
  expect(await find(project, 'zanzibarite OR "order 11 "')).toEqual(["order 11 placed", ""]);
});

test("what has many parts is found where one of them can be", async () => {
  const project = await newProject(database.url);
  const all = quiet(2 * batch);
  const message = "a Zanzibarite of Nottingham, in Timbuktu";
  all[10] = { ...(all[10] as NormalisedEntry), message };
  await storeAll(project, all);
  await mapped(project, 2);
  const many = Array.from({ length: 40 }, (_, index) => `nowhere${index}`);
  for (const text of [
    "zanzibarite timbuktu nottingham",
    "zanzibarite (timbuktu OR nowhere)",
    "zanzibarite -nowhere",
    "(zanzibarite OR nowhere) (timbuktu OR elsewhere) (nottingham OR somewhere)",
    `zanzibarite OR ${many.join(" OR ")}`,
    `zanzibarite (timbuktu OR ${many.join(" OR ")})`,
    "zanzi*buktu",
    "zanzibarite OR in",
  ]) {
    expect(await find(project, text)).toEqual([message]);
  }
});

test("commits whose answers overtake each other are mapped as they are told, and nothing of them is read", async () => {
  const project = await newProject(database.url);
  const db = openDatabase({ url: database.url, connections: 1 });
  const failures: unknown[] = [];
  const told = new SkipIndex(db, (error) => failures.push(error));
  const wordsOf = (place: number) => bitsOfMessages([`message ${place}`]);
  // There is nothing in the database that could be read.
  for (const place of [0, 2, 1, 3, 6, 5, 4, 9, 8, 7, 11, 10, 12, 14, 13]) {
    told.stored({
      projectNumber: project,
      head: place * 1_000,
      entries: 1_000,
      stretches: [[now, now]],
      words: [wordsOf(place)],
    });
  }
  await mapped(project, 3);
  expectNoGap(await maps(project), 15_000);
  for (const first of [0, 5, 10]) {
    const map = new WordMap();
    for (let place = first; place < first + 5; place++) map.add(wordsOf(place));
    const { rows } = await client.query(
      "select words = $2::varbit as same from log_word_maps where project_number = $1 and first_id = $3",
      [project, map.toString(), first * 1_000 + 1],
    );
    expect(rows).toEqual([{ same: true }]);
  }
  expect(failures).toEqual([]);
  await told.close();
  await db.close();
});

test("what a process that ended left unmapped is mapped by the next that starts", async () => {
  const project = await newProject(database.url);
  await storeAll(project, quiet(4 * batch));
  await mapped(project, 4);
  await client.query("delete from log_word_maps where project_number = $1", [project]);
  const next = openPostgresLogStore({ url: database.url, retentionDays: 30 });
  await next.runMaintenance();
  await mapped(project, 3);
  // What it stores itself is not mapped before what is left of that.
  await appendEntries(next, project, quiet(batch));
  await mapped(project, 5);
  await next.close();
  expectNoGap(await maps(project), 5 * batch);
});

test("several processes that map at once make one map of each entry", async () => {
  const project = await newProject(database.url);
  const others = Array.from({ length: 2 }, () => openPostgresLogStore({ url: database.url, retentionDays: 30 }));
  const all = quiet(8 * batch);
  await Promise.all(
    [store, ...others].map(async (one, index) => {
      for (let at = index * batch; at < all.length; at += 3 * batch) {
        await appendEntries(one, project, all.slice(at, at + batch));
      }
    }),
  );
  await mapped(project, 8);
  for (const other of others) await other.close();
  expectNoGap(await maps(project), 8 * batch);
  // Each is found once.
  const found = await find(project, `"order 1234"`, 100);
  expect(found.length).toBe(11);
  expect(new Set(found).size).toBe(11);
});

test("entries of several processes, few at a time, are mapped together", async () => {
  const project = await newProject(database.url);
  const other = openPostgresLogStore({ url: database.url, retentionDays: 30 });
  const all = quiet(24_000);
  for (let at = 0; at < all.length; at += 1_000) {
    await appendEntries(at % 2_000 === 0 ? store : other, project, all.slice(at, at + 1_000));
  }
  const mappedTo = async () => Number((await maps(project)).at(-1)?.last_id ?? 0);
  await expect.poll(mappedTo, { timeout: 20_000 }).toBeGreaterThanOrEqual(10_000);
  await other.close();
  // Read once: the other process goes on.
  const made = await maps(project);
  expectNoGap(made, Number(made.at(-1)?.last_id));
  expect((await find(project, `"order 1234"`, 100)).length).toBe(11);
});

test("maps go with their entries, but for the newest, which says where to go on", async () => {
  const project = await newProject(database.url);
  await storeAll(project, quiet(2 * batch));
  await mapped(project, 2);
  await client.query("update log_word_maps set max_ts = max_ts - interval '40 days' where project_number = $1", [
    project,
  ]);
  const db = openDatabase({ url: database.url, connections: 1 });
  await deleteOldSkipIndexes(db, 30);
  await db.close();
  expect(await maps(project)).toEqual([{ first_id: String(batch + 1), last_id: String(2 * batch) }]);
});
