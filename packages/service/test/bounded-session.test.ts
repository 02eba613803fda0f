import { afterAll, beforeAll, expect, test } from "vitest";
import { runBounded } from "../src/db/bounded-session.ts";
import type { Transaction } from "../src/db/database.ts";
import { sql } from "../src/db/sql.ts";
import { type FreshDatabase, freshDatabase } from "./support/database.ts";
import { queryDatabase } from "./support/index.ts";

let database: FreshDatabase;
beforeAll(async () => {
  database = await freshDatabase();
});
afterAll(() => database.drop());

const bounds = (signal?: AbortSignal) => ({
  url: database.url,
  name: "bounded",
  timeMs: 200,
  graceMs: 200,
  signal,
  overdue: () => new Error("overdue"),
});
const backends = async () => {
  const { rows } = await queryDatabase(
    database.url,
    "select count(*)::int as n from pg_stat_activity where datname = current_database() and application_name = 'bounded'",
  );
  return rows[0].n as number;
};
/** A statement that a cancellation does not end. */
const stubborn = (tx: Transaction) =>
  tx.query(sql`
    do $$ begin
      loop
        begin perform pg_sleep(60); exception when query_canceled then null; end;
      end loop;
    end $$`);

test("work that ends in time has its result, and its connection is closed", async () => {
  const { result, ended } = runBounded(bounds(), (tx) => tx.query(sql`select 1 as one`));
  expect((await result).rows).toEqual([{ one: 1 }]);
  await ended;
  expect(await backends()).toBe(0);
});

test("what the work did is undone", async () => {
  const { result, ended } = runBounded(bounds(), (tx) => tx.query(sql`create table left_behind (a int)`));
  await result;
  await ended;
  const { rows } = await queryDatabase(database.url, "select to_regclass('sazabi.left_behind') as found");
  expect(rows[0].found).toBeNull();
});

test("work that cannot be cancelled is overdue in time, and its server process is terminated", async () => {
  const { result, ended } = runBounded(bounds(), stubborn);
  await expect(result).rejects.toThrow("overdue");
  await ended;
  expect(await backends()).toBe(0);
});

test("so it is when nobody wants its result any more", async () => {
  const leaving = new AbortController();
  const { result, ended } = runBounded({ ...bounds(leaving.signal), timeMs: 60_000 }, stubborn);
  const rejected = expect(result).rejects.toThrow("left");
  while ((await backends()) === 0);
  leaving.abort(new Error("left"));
  await rejected;
  await ended;
  expect(await backends()).toBe(0);
});

test("a signal that was aborted before has no work begin that lasts", async () => {
  const { result, ended } = runBounded(bounds(AbortSignal.abort(new Error("left"))), stubborn);
  await expect(result).rejects.toThrow("left");
  await ended;
  expect(await backends()).toBe(0);
});

test("a database that cannot be reached rejects the result, and nothing is left to end", async () => {
  const url = Object.assign(new URL(database.url), { port: "1" }).href;
  const { result, ended } = runBounded({ ...bounds(), url }, stubborn);
  await expect(result).rejects.toThrow("ECONNREFUSED");
  await ended;
});
