import { parseQuery } from "@sazabi/sdk/protocol";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Database, openDatabase } from "../src/db/database.ts";
import { maxSearchSlices } from "../src/logs/engines/postgres/adaptive-time-slices.ts";
import { searchLogs } from "../src/logs/engines/postgres/search.ts";
import { openPostgresLogStore } from "../src/logs/engines/postgres/store.ts";
import type { LogPosition, LogSearch, LogStore } from "../src/logs/log-store.ts";
import { type FreshDatabase, freshDatabase } from "./support/database.ts";
import { appendEntries, entryAt, newProject } from "./support/log-engines.ts";

/* A search takes a few statements, however many entries match and whatever part of the page they fill. */

const dayMicros = 86_400_000_000;
const start = Date.now() * 1000 - 3_600_000_000;

let database: FreshDatabase;
let store: LogStore;
let reads: Database;
let statements = 0;

beforeAll(async () => {
  database = await freshDatabase();
  store = openPostgresLogStore({ url: database.url, retentionDays: 30 });
  await store.runMaintenance();
  const real = openDatabase({ url: database.url, connections: 2 });
  reads = {
    ...real,
    query(statement, options) {
      statements += 1;
      return real.query(statement, options);
    },
  };
});
afterAll(async () => {
  await reads.close();
  await store.close();
  await database.drop();
});

/** `matching` entries of service `a` a millisecond apart, with `others` among each two, and five more a second apart after them. */
async function projectWith(matching: number, others: number): Promise<number> {
  const project = await newProject(database.url);
  const entries = [];
  for (let index = 0; index < matching; index++) {
    entries.push(entryAt(start + index * 1_000, { service: "a" }));
    for (let other = 1; other <= others; other++) {
      entries.push(entryAt(start + index * 1_000 + other, { service: "b" }));
    }
  }
  const last = start + matching * 1_000;
  for (let index = 1; index <= 5; index++) entries.push(entryAt(last + index * 1_000_000, { service: "b" }));
  for (let at = 0; at < entries.length; at += 5_000) await appendEntries(store, project, entries.slice(at, at + 5_000));
  return project;
}

/** Every page of a search, each with what it took. */
async function pages(project: number, direction: LogSearch["direction"], limit: number) {
  const window = { fromMicros: start - 29 * dayMicros, toMicros: start + dayMicros };
  const sealed = { beforeMicros: 0, words: false };
  const read: { readonly entries: number; readonly statements: number }[] = [];
  let after: LogPosition | undefined;
  do {
    statements = 0;
    const search = {
      projectNumbers: [project],
      query: parseQuery("service:a").ast,
      ...window,
      direction,
      limit,
      after,
    };
    const found = await searchLogs(reads, search, { sealed, timeoutMs: 60_000 });
    read.push({ entries: found.logs.length, statements });
    after = found.more ? found.logs.at(-1)?.position : undefined;
  } while (after);
  return read;
}

/** One statement finds the nearest rows, and each part is one. The rows lie at least a microsecond apart. */
const mostStatements =
  1 + maxSearchSlices({ fromMicros: 0, toMicros: 30 * dayMicros }, { fromMicros: 0, toMicros: 1_000 });

describe.each([50, 100, 1000])("a page of %i", (limit) => {
  const sizes = [-2, -1, 0, 1, 2, 3].map((more) => limit + more);
  const around = [...sizes, ...sizes.map((size) => size + limit), 5 * limit + 1].map((size) => [size] as const);
  test.each(around)("of %i entries that match: every one is found, in few statements", async (matching) => {
    for (const others of [0, 3]) {
      const project = await projectWith(matching, others);
      for (const direction of ["asc", "desc"] as const) {
        const read = await pages(project, direction, limit);
        expect(read.reduce((sum, page) => sum + page.entries, 0)).toBe(matching);
        expect(Math.max(...read.map((page) => page.statements))).toBeLessThanOrEqual(mostStatements);
      }
    }
  });
});
