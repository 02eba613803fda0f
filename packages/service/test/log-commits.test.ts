import { createHash } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Database, openDatabase, type Transaction } from "../src/db/database.ts";
import { sql } from "../src/db/sql.ts";
import { Partitions } from "../src/logs/engines/postgres/partitions.ts";
import { openPostgresLogStore } from "../src/logs/engines/postgres/store.ts";
import { rollUpVolume } from "../src/logs/engines/postgres/volume-rollup.ts";
import { LogWriter } from "../src/logs/engines/postgres/writer.ts";
import type { NormalisedEntry } from "../src/logs/ingest/entry.ts";
import type { LogBatch, LogStore } from "../src/logs/log-store.ts";
import { type FreshDatabase, freshDatabase } from "./support/database.ts";
import { appendEntries, entryAt, newProject } from "./support/log-engines.ts";
import { seeded } from "./support/seeded.ts";

const now = Date.now() * 1000;

let database: FreshDatabase;
let client: pg.Client;
const stores: LogStore[] = [];

beforeAll(async () => {
  database = await freshDatabase();
  client = new pg.Client({ connectionString: database.url, options: "-c search_path=sazabi,public" });
  await client.connect();
});
afterAll(async () => {
  await Promise.all(stores.map((store) => store.close()));
  await client.end();
  await database.drop();
});

function openStore(): LogStore {
  const store = openPostgresLogStore({ url: database.url, retentionDays: 30 });
  stores.push(store);
  return store;
}

function entriesOf(count: number, more: (place: number) => Partial<NormalisedEntry> = () => ({})): NormalisedEntry[] {
  return Array.from({ length: count }, (_, place) => entryAt(now - (place % 7) * 90_000_000, more(place)));
}

const keyed = (key: string, body = key): Pick<LogBatch, "idempotency"> => ({
  idempotency: { key, bodyHash: createHash("sha256").update(body).digest() },
});

/** What must hold at every moment, in one snapshot: ids up to the head, each of them one entry, counted and findable. */
async function check(project: number): Promise<number> {
  const { rows } = await client.query(
    `select coalesce(h.last_id, 0)::int as head,
            (select count(*)::int from logs where project_number = $1) as entries,
            (select count(distinct id)::int from logs where project_number = $1 and id between 1 and h.last_id) as ids,
            (select coalesce(sum(entries), 0)::int from log_volume_complete where project_number = $1) as counted,
            (select coalesce(sum(last_id - first_id + 1), 0)::int
             from (select distinct last_id, first_id from log_commits where project_number = $1) c) as committed,
            (select count(*)::int from logs l where project_number = $1 and not exists (
               select from log_commits c where c.project_number = $1 and l.id between c.first_id and c.last_id
                 and l.ts between c.min_ts and c.max_ts)) as astray
     from (values ($1::int)) as p(number) left join log_heads h on h.project_number = p.number`,
    [project],
  );
  const { head } = rows[0] as { head: number };
  expect(rows[0]).toEqual({ head, entries: head, ids: head, counted: head, committed: head, astray: 0 });
  return head;
}

test("two processes write projects at once, some requests twice: each entry is stored once, in the order of commits", async () => {
  const both = [openStore(), openStore()] as const;
  const projects = [await newProject(database.url), await newProject(database.url)];
  const random = seeded(7);
  const expected = new Map(projects.map((project) => [project, [] as string[]]));
  const sends: (() => Promise<unknown>)[] = [];
  for (let request = 0; request < 300; request++) {
    const project = projects[random(4) === 0 ? 1 : 0] as number;
    const count = random(10) === 0 ? 400 + random(3_000) : 1 + random(300);
    const entries = entriesOf(count, (place) => ({
      message: `entry ${place} of request ${request}, “whole”`,
      ...(request % 5 === 0 && { uid: `${request} ${place}` }),
    }));
    expected.get(project)?.push(...entries.map(({ message }) => message));
    const more = request % 5 === 0 ? {} : keyed(`request ${request}`);
    const send = (store: LogStore) => () => appendEntries(store, project, entries, more);
    // For a while one process has them to itself, then the other comes.
    const store = both[request < 100 ? 0 : random(2)] as LogStore;
    sends.push(send(store));
    if (random(6) === 0) sends.push(send(both[random(2)] as LogStore));
  }
  let done = false;
  const watching = (async () => {
    let seen = 0;
    while (!done) {
      for (const project of projects) await check(project);
      seen += 1;
    }
    return seen;
  })();
  await atOnce(12, sends);
  done = true;
  expect(await watching).toBeGreaterThan(3);
  for (const project of projects) {
    const messages = expected.get(project) as string[];
    expect(await check(project)).toBe(messages.length);
    expect(await messagesOf(project)).toEqual(messages.sort());
  }
});

/** So many at a time; what they come to, in their order. */
async function atOnce<Result>(many: number, works: readonly (() => Promise<Result>)[]): Promise<readonly Result[]> {
  const results: Result[] = [];
  let next = 0;
  const lane = async () => {
    for (let at = next++; at < works.length; at = next++) results[at] = await (works[at] as () => Promise<Result>)();
  };
  await Promise.all(Array.from({ length: many }, lane));
  return results;
}

/** Sorted. */
async function messagesOf(project: number): Promise<readonly string[]> {
  const { rows } = await client.query("select message from logs where project_number = $1", [project]);
  return rows.map(({ message }) => message).sort();
}

test("what commits add to the counts is put together meanwhile, by several at once: none is lost, none counted twice", async () => {
  const project = await newProject(database.url);
  const store = openStore();
  const db = openDatabase({ url: database.url, connections: 3 });
  const services = ["checkout", 'a "quoted" one', "ümlaut", ""];
  const entries = entriesOf(40, (place) => ({
    level: place % 5,
    service: services[place % 4] as string,
    environment: place % 3 === 0 ? null : "prod",
  }));
  let done = false;
  const folding = [1, 2].map(async () => {
    while (!done) await rollUpVolume(db);
  });
  const watching = (async () => {
    while (!done) await check(project);
  })();
  await atOnce(
    6,
    Array.from({ length: 300 }, () => () => appendEntries(store, project, entries)),
  );
  done = true;
  await Promise.all([...folding, watching]);
  await rollUpVolume(db);
  expect(await check(project)).toBe(300 * 40);
  const { rows } = await client.query(
    `select (select count(*)::int from log_volume_added) as left,
            (select sum(entries)::int from log_volume where project_number = $1) as folded,
            (select count(*)::int from (
               (select minute, level, service, environment, entries from log_volume where project_number = $1) except
               (select date_trunc('minute', ts), level, service, coalesce(environment, ''), count(*) from logs
                where project_number = $1 group by 1, 2, 3, 4)) d) as different`,
    [project],
  );
  expect(rows).toEqual([{ left: 0, folded: 300 * 40, different: 0 }]);
  await db.close();
});

test("what a process that ended left uncounted is put together when one keeps house", async () => {
  const project = await newProject(database.url);
  const left = async () =>
    (await client.query("select count(*)::int as n from log_volume_added where project_number = $1", [project])).rows[0]
      .n;
  const first = openPostgresLogStore({ url: database.url, retentionDays: 30 });
  await appendEntries(first, project, entriesOf(10));
  await first.close();
  expect(await left()).toBe(1);
  expect(await check(project)).toBe(10);
  await openStore().runMaintenance();
  expect(await left()).toBe(0);
  expect(await check(project)).toBe(10);
});

test("a minute may hold more entries than 32 bits count, and texts with line feeds are told apart", async () => {
  const project = await newProject(database.url);
  const store = openStore();
  await appendEntries(store, project, [
    entryAt(now, { service: "a\nb", environment: "c" }),
    entryAt(now, { service: "a", environment: "b\nc" }),
  ]);
  const many = JSON.stringify([{ m: 0, l: 2, s: "many", n: 2_000_000_000 }]);
  for (let time = 0; time < 2; time++) {
    await client.query("insert into log_volume_added values ($1, $2)", [project, many]);
  }
  const counts = () =>
    client.query(
      "select service, environment, sum(entries)::text as n from log_volume_complete where project_number = $1 group by 1, 2 order by 1, 2",
      [project],
    );
  const before = await counts();
  expect(before.rows).toEqual([
    { service: "a", environment: "b\nc", n: "1" },
    { service: "a\nb", environment: "c", n: "1" },
    { service: "many", environment: "", n: "4000000000" },
  ]);
  await store.runMaintenance();
  expect((await counts()).rows.slice(0, 2)).toEqual(before.rows.slice(0, 2));
  const db = openDatabase({ url: database.url, connections: 1 });
  for (let time = 0; time < 2; time++) {
    await client.query("insert into log_volume_added values ($1, $2)", [project, many]);
    await rollUpVolume(db);
  }
  expect((await counts()).rows).toEqual(before.rows);
  await db.close();
});

/** The statements that transactions waited for, before what they ended with. */
function counting(db: Database): { readonly db: Database; readonly asked: () => number } {
  let asked = 0;
  const counted = (tx: Transaction): Transaction => ({
    query: (statement) => {
      asked += 1;
      return tx.query(statement);
    },
    single: (text) => tx.single(text),
    finish: (steps) => tx.finish(steps),
  });
  return {
    db: { ...db, transaction: (work, options) => db.transaction((tx) => work(counted(tx)), options) },
    asked: () => asked,
  };
}

test("a commit that finds what it expects asks nothing, and one that does not asks and is stored all the same", async () => {
  const project = await newProject(database.url);
  const { db, asked } = counting(openDatabase({ url: database.url, connections: 3 }));
  const partitions = new Partitions(db, 30);
  await partitions.ensure(entriesOf(7).map(({ timestampMicros }) => timestampMicros));
  const stored: number[] = [];
  const limits = { lanes: 3, rowsPerCommit: 1_000, queueBytes: 1e9 };
  const onStored = ({ head, entries }: { head: number; entries: number }) => stored.push(head + entries);
  const writer = new LogWriter({ db, partitions, limits, onStored });
  const append = (count: number, more: Partial<LogBatch> = {}) =>
    writer.append({
      projectNumber: project,
      entries: entriesOf(count),
      bytes: 1,
      result: { accepted: count },
      ...more,
    });
  const askedBy = async (work: () => Promise<unknown>) => {
    const before = asked();
    await work();
    return asked() > before;
  };

  expect(await askedBy(() => append(3))).toBe(true);
  expect(await askedBy(() => append(4, keyed("a")))).toBe(false);
  // Many at once follow each other.
  expect(await askedBy(() => Promise.all(Array.from({ length: 20 }, () => append(500))))).toBe(false);
  // The same request again is answered as the first, and nothing of its neighbours is lost.
  const answers = await Promise.all([append(9, keyed("a")), append(5, keyed("b"))]);
  expect(answers).toEqual([{ accepted: 4 }, { accepted: 5 }]);
  await expect(append(4, keyed("a", "another body"))).rejects.toMatchObject({ code: "CONFLICT" });
  expect(await check(project)).toBe(3 + 4 + 10_000 + 5);
  expect(await askedBy(() => append(1))).toBe(false);

  // Somebody else has been there, and may come again.
  await appendEntries(openStore(), project, entriesOf(2));
  expect(await askedBy(() => append(6))).toBe(true);
  expect(await askedBy(() => append(1))).toBe(true);
  expect(await check(project)).toBe(3 + 4 + 10_000 + 5 + 1 + 2 + 6 + 1);
  // Told of each commit once, if not in their order: answers may overtake each other.
  expect(new Set(stored).size).toBe(stored.length);
  expect(Math.max(...stored)).toBe(await check(project));
  await writer.drain();
  await db.close();
});

test("a commit that cannot be done takes none with it that follows", async () => {
  const project = await newProject(database.url);
  const db = openDatabase({ url: database.url, connections: 4, statementTimeoutMs: 2_000 });
  const limits = { lanes: 3, rowsPerCommit: 1_000, queueBytes: 1e9 };
  const writer = new LogWriter({ db, partitions: new Partitions(db, 30), limits, onStored: () => {} });
  const append = (count: number, message = (place: number) => `${place}`) =>
    writer
      .append({
        projectNumber: project,
        entries: entriesOf(count, (place) => ({ message: message(place) })),
        bytes: 1,
        result: { accepted: count },
      })
      .then(
        () => count,
        () => 0,
      );
  await append(1);
  // What the database refuses, for a reason no request can know.
  await client.query(
    `create function refuse_poison() returns trigger language plpgsql as $$
     begin
       if new.message = 'poison' then raise exception 'no' using errcode = '22000'; end if;
       return new;
     end $$`,
  );
  await client.query("create trigger poison before insert on logs for each row execute function refuse_poison()");
  const isPoison = (request: number) => request % 7 === 3;
  const messageOf = (request: number) => (place: number) =>
    isPoison(request) && place === 200 ? "poison" : `entry ${place} of request ${request}, “whole”`;
  const kept = await atOnce(
    12,
    Array.from({ length: 60 }, (_, request) => () => append(300, messageOf(request))),
  );
  expect(kept).toEqual(kept.map((_, request) => (isPoison(request) ? 0 : 300)));
  const messages = kept.flatMap((count, request) =>
    Array.from({ length: count }, (_, place) => messageOf(request)(place)),
  );
  expect(await check(project)).toBe(1 + messages.length);
  expect(await messagesOf(project)).toEqual(["0", ...messages].sort());

  // A head that somebody holds is waited for, as long as a statement may take; then all of it goes on.
  const holder = await lockHead(project);
  const waiting = Promise.all([append(300), append(300), append(300)]);
  await sleep(300);
  await holder.query("rollback");
  await holder.end();
  expect(await waiting).toEqual([300, 300, 300]);
  await check(project);
  await client.query("drop trigger poison on logs");
  await writer.drain();
  await db.close();
});

async function lockHead(project: number): Promise<pg.Client> {
  const holder = new pg.Client({ connectionString: database.url, options: "-c search_path=sazabi,public" });
  await holder.connect();
  await holder.query("begin");
  await holder.query("select from log_heads where project_number = $1 for update", [project]);
  return holder;
}

test("a project without a head gets one with its first entries", async () => {
  const project = await newProject(database.url);
  await client.query("delete from log_heads where project_number = $1", [project]);
  const store = openStore();
  await Promise.all(Array.from({ length: 5 }, () => appendEntries(store, project, entriesOf(3))));
  expect(await check(project)).toBe(15);
  const db = openDatabase({ url: database.url, connections: 1 });
  expect((await db.query(sql`select last_id::int from log_heads where project_number = ${project}`)).rows).toEqual([
    { last_id: 15 },
  ]);
  await db.close();
});
