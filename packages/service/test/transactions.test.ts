import { EventEmitter, once } from "node:events";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { type Database, openDatabase, sqlState } from "../src/db/database.ts";
import { prepared, sql } from "../src/db/sql.ts";
import { type FreshDatabase, freshDatabase } from "./support/database.ts";

let database: FreshDatabase;
let db: Database;

beforeAll(async () => {
  database = await freshDatabase();
  // One connection: what a failure leaves behind meets the next transaction.
  db = openDatabase({ url: database.url, connections: 1 });
  await db.query(sql`create table things (id int primary key, name text not null)`);
});
beforeEach(() => db.query(sql`truncate things`));
afterAll(async () => {
  await db.close();
  await database.drop();
});

const add = (id: number) => prepared("add a thing", sql`insert into things values (${id}::int, 'added') returning id`);
const copy = (...rows: string[]) => ({ copy: "copy things from stdin", rows: rows.map((row) => Buffer.from(row)) });

async function ids(): Promise<readonly number[]> {
  const { rows } = await db.query<{ id: number }>(sql`select id from things order by id`);
  return rows.map(({ id }) => id);
}

async function stateOf(work: Promise<unknown>): Promise<string | undefined> {
  return work.then(
    () => "committed",
    (error: unknown) => sqlState(error) ?? String(error),
  );
}

test("statements and rows that are sent together are committed together, in their order", async () => {
  await db.transaction(async (tx) => {
    const { rows, rowCount } = await tx.query(add(1));
    expect([rows, rowCount]).toEqual([[{ id: 1 }], 1]);
    await tx.finish([
      copy("2\tcopied\n", "3\tco", "pied\n"),
      sql`update things set name = 'after' where name = 'copied'`,
      add(4),
    ]);
  });
  expect(await ids()).toEqual([1, 2, 3, 4]);
  const { rows } = await db.query(sql`select name from things where id in (2, 3)`);
  expect(rows).toEqual([{ name: "after" }, { name: "after" }]);
});

test("rows of any size go along, and none at all", async () => {
  const large = `5\t${"x".repeat(20_000_000)}\n`;
  await db.transaction((tx) => tx.finish([copy(large), copy()]));
  const { rows } = await db.query(sql`select length(name) as length from things`);
  expect(rows).toEqual([{ length: 20_000_000 }]);
});

test.each([
  ["a statement", [sql`select 1 / 0`], "22012"],
  ["rows that are not the table's", [copy("1\tone\n", "not a number\ttwo\n")], "22P02"],
  [
    "a copy into nowhere, with rows",
    [{ ...copy("1\tone\n".repeat(50_000)), copy: "copy nowhere from stdin" }],
    "42P01",
  ],
  ["a value that cannot be written", [sql`select ${{ toPostgres: () => thrown() }}::text`], "Error: not writable"],
])(
  "when one of them fails, all that was sent with it is undone and what came after is not done: %s",
  async (_, wrong, state) => {
    const after = prepared(`after ${state}`, sql`insert into things values (9, 'after')`);
    const failed = db.transaction(async (tx) => {
      await tx.query(add(1));
      await tx.finish([add(2), ...wrong, after, copy("8\teight\n")]);
    });
    expect(await stateOf(failed)).toBe(state);
    expect(await ids()).toEqual([]);
    // The connection goes on as if nothing had been, and prepares what was never run.
    await db.transaction((tx) => tx.finish([add(3), after]));
    expect(await ids()).toEqual([3, 9]);
  },
);

test("of a statement whose end is to be told, it is told while those after it wait", async () => {
  const other = openDatabase({ url: database.url, connections: 1 });
  await db.query(add(1));
  const events: string[] = [];
  const holding = new EventEmitter();
  const held = other.transaction(async (tx) => {
    await tx.query(sql`select from things where id = 1 for update`);
    holding.emit("held");
    await once(holding, "released");
  });
  await once(holding, "held");
  const rename = sql`update things set name = 'renamed' where id = 1`;
  const finished = db.transaction((tx) =>
    tx.finish([{ statement: add(2), onDone: () => events.push("told") }, rename, copy("3\tcopied\n")]),
  );
  await expect.poll(() => events).toEqual(["told"]);
  holding.emit("released");
  await held;
  await finished;
  expect(await ids()).toEqual([1, 2, 3]);
  // Of one that fails it is not told.
  const failed = db.transaction((tx) => tx.finish([{ statement: add(2), onDone: () => events.push("told") }]));
  expect(await stateOf(failed)).toBe("23505");
  expect(events).toEqual(["told"]);
  await other.close();
});

test("a transaction that fails in its first statement, or in ours after it, leaves nothing", async () => {
  expect(await stateOf(db.transaction((tx) => tx.query(sql`select 1 / 0`)))).toBe("22012");
  const thrownAfter = db.transaction(async (tx) => {
    await tx.query(add(1));
    return thrown();
  });
  expect(await stateOf(thrownAfter)).toBe("Error: not writable");
  await db.transaction(async () => undefined);
  expect(await ids()).toEqual([]);
});

test("a constraint that waits for the commit is told of, and nothing is kept", async () => {
  await db.query(sql`create table late (id int unique deferrable initially deferred)`);
  const twice = db.transaction((tx) => tx.finish([sql`insert into late values (1), (1)`]));
  expect(await stateOf(twice)).toBe("23505");
  expect((await db.query(sql`select * from late`)).rows).toEqual([]);
});

function thrown(): never {
  throw new Error("not writable");
}
