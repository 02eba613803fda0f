import { setTimeout as sleep } from "node:timers/promises";
import { parseQuery } from "@sazabi/sdk/protocol";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openPostgresLogStore } from "../src/logs/engines/postgres/store.ts";
import type { LogScope, LogStore } from "../src/logs/log-store.ts";
import { type FreshDatabase, freshDatabase } from "./support/database.ts";
import { queryDatabase } from "./support/index.ts";
import { appendEntries, entryAt, newProject } from "./support/log-engines.ts";

const minute = 60_000_000;
const start = Math.floor((Date.now() * 1000) / minute) * minute - 60 * minute;

let database: FreshDatabase;
let store: LogStore;

beforeAll(async () => {
  database = await freshDatabase();
  store = openPostgresLogStore({ url: database.url, retentionDays: 30 });
  await store.runMaintenance();
});
afterAll(async () => {
  await store.close();
  await database.drop();
});

function everythingOf(projectNumber: number): LogScope {
  return {
    projectNumbers: [projectNumber],
    query: { kind: "everything" },
    fromMicros: start - minute,
    toMicros: start + 10 * minute,
  };
}

describe("a reader who leaves", () => {
  /** A search that would take minutes: a regular expression over long messages. */
  async function slowProject(): Promise<number> {
    const project = await newProject(database.url);
    for (let batch = 0; batch < 4; batch++) {
      await appendEntries(
        store,
        project,
        Array.from({ length: 250 }, () => entryAt(start, { message: "ab".repeat(20_000) })),
      );
    }
    return project;
  }
  const slow = parseQuery("/(a|b|ab)*(a|ba|c)*(ab|a|b|d)*x.*y/").ast;
  const running = async () => {
    const { rows } = await queryDatabase(
      database.url,
      "select count(*)::int as n from pg_stat_activity where datname = current_database() and state = 'active' and query like '%from logs%' and pid <> pg_backend_pid()",
    );
    return rows[0].n as number;
  };

  test("takes its statement along: the search ends in the database, and the connection serves the next one", async () => {
    const project = await slowProject();
    const leaving = new AbortController();
    const search = store.search({
      ...everythingOf(project),
      query: slow,
      direction: "desc",
      limit: 10,
      after: undefined,
      signal: leaving.signal,
    });
    const outcome = search.then(
      () => "found",
      (error) => error,
    );
    while ((await running()) === 0) await sleep(5);
    const reason = new Error("left");
    leaving.abort(reason);
    expect(await outcome).toBe(reason);
    // Its parallel workers end a moment after it; left alone, the search would go on for many seconds.
    await expect.poll(running, { timeout: 2_000 }).toBe(0);
    const served = { ...everythingOf(project), direction: "desc", limit: 10, after: undefined } as const;
    expect((await store.search(served)).logs).toHaveLength(10);
  });

  test("what takes too long is stopped, and says what to do", async () => {
    const project = await slowProject();
    const impatient = openPostgresLogStore({ url: database.url, retentionDays: 30, readTimeoutMs: 100 });
    const search = impatient.search({
      ...everythingOf(project),
      query: slow,
      direction: "desc",
      limit: 10,
      after: undefined,
    });
    await expect(search).rejects.toMatchObject({
      code: "TIMEOUT",
      status: 504,
      message: expect.stringContaining("Narrow"),
    });
    expect(await running()).toBe(0);
    await impatient.close();
  });
});
