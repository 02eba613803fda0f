import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openClickHouseLogStore } from "../src/logs/engines/clickhouse/store.ts";
import type { LogBatch, LogStore } from "../src/logs/log-store.ts";
import { clickHouseMissing, startClickHouse, type TestClickHouse } from "./support/clickhouse.ts";
import { type FreshDatabase, freshDatabase } from "./support/database.ts";
import { bearer, queryDatabase, send } from "./support/index.ts";
import { appendEntries, entryAt, newProject } from "./support/log-engines.ts";
import { firstKeys, newServerSecrets, type Replica, startReplica } from "./support/replica.ts";

const minute = 60_000_000;
const start = Date.now() * 1000 - minute;

test.skipIf(clickHouseMissing !== "")("a commit whose entries lie in 360 days is stored", async () => {
  const clickHouse = await startClickHouse();
  const database = await freshDatabase();
  const options = { address: clickHouse.address, databaseUrl: database.url, retentionDays: 365 };
  const store = await openClickHouseLogStore(options);
  try {
    const project = await newProject(database.url);
    const day = 1_440 * minute;
    const entries = Array.from({ length: 360 }, (_, daysAgo) =>
      entryAt(start - daysAgo * day, { message: `${daysAgo}` }),
    );
    await appendEntries(store, project, entries);
    const [counted] = await store.volume({
      projectNumbers: [project],
      query: { kind: "everything" },
      fromMicros: start - 400 * day,
      toMicros: start + day,
      bucketMicros: 10_000 * day,
      groupBy: undefined,
    });
    expect(counted?.entries).toBe(360);
  } finally {
    await store.close();
    await database.drop();
    await clickHouse.stop();
  }
});

/** Entries are in ClickHouse and what is committed is in PostgreSQL: whatever ends between the two must not show. */
describe.skipIf(clickHouseMissing !== "")(`an insert that ends early${clickHouseMissing}`, () => {
  let clickHouse: TestClickHouse;
  let database: FreshDatabase;
  let store: LogStore;
  beforeAll(async () => {
    clickHouse = await startClickHouse();
    database = await freshDatabase();
    store = await open();
  });
  afterAll(async () => {
    await store.close();
    await database.drop();
    await clickHouse.stop();
  });

  const open = () =>
    openClickHouseLogStore({ address: clickHouse.address, databaseUrl: database.url, retentionDays: 30 });

  async function messages(project: number): Promise<string[]> {
    const scope = {
      projectNumbers: [project],
      query: { kind: "everything" } as const,
      fromMicros: start - minute,
      toMicros: start + minute,
    };
    const { logs: found } = await store.search({ ...scope, direction: "asc", limit: 2000, after: undefined });
    const followed = await store.follow({ ...scope, after: new Map(), limit: 2000 });
    const [counted] = await store.volume({ ...scope, bucketMicros: 60 * minute, groupBy: undefined });
    // One truth, whoever asks.
    expect(followed.logs).toEqual(found);
    expect(counted?.entries ?? 0).toBe(found.length);
    return found.map(({ message }) => message);
  }

  async function physicalRows(project: number): Promise<number> {
    const [row] = await clickHouse.query<{ n: number }>(
      `select toInt32(count()) as n from logs where project_number = ${project} format JSONEachRow`,
    );
    return row?.n as number;
  }

  const notes = async (project: number) => {
    const text = "select first_id::int, last_id::int from log_inserts where project_number = $1 order by 1";
    return (await queryDatabase(database.url, text, [project])).rows;
  };

  const loseTransactions = () =>
    queryDatabase(
      database.url,
      "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and state = 'idle in transaction'",
    );

  const keyed = (key: string): Partial<LogBatch> => ({ idempotency: { key, bodyHash: Buffer.alloc(32) } });
  const append = (project: number, message: string, more: Partial<LogBatch> = {}) =>
    appendEntries(store, project, [entryAt(start, { message }), entryAt(start, { message })], more);

  test("refused by ClickHouse: nothing is shown, the retry is stored once, ids are not used again", async () => {
    const project = await newProject(database.url);
    await append(project, "before");
    await clickHouse.refuseInserts(1);
    await expect(append(project, "refused", keyed("k"))).rejects.toMatchObject({ code: "UNAVAILABLE" });
    expect(await messages(project)).toEqual(["before", "before"]);
    expect(await notes(project)).toEqual([{ first_id: 3, last_id: 4 }]);
    await append(project, "refused", keyed("k"));
    await append(project, "refused", keyed("k"));
    expect(await messages(project)).toEqual(["before", "before", "refused", "refused"]);
    expect(await store.heads([project])).toEqual(new Map([[project, 6n]]));
  });

  test("done by ClickHouse, and the transaction is lost: what nobody was told of is not shown, and later removed", async () => {
    const project = await newProject(database.url);
    await append(project, "before");
    await clickHouse.holdInsertAnswers();
    const lost = append(project, "lost", keyed("k")).catch((error) => error);
    await clickHouse.insertHeld();
    await loseTransactions();
    await clickHouse.releaseInsertAnswers();
    expect(await lost).toBeInstanceOf(Error);
    expect(await physicalRows(project)).toBe(4);
    expect(await messages(project)).toEqual(["before", "before"]);

    await append(project, "lost", keyed("k"));
    await append(project, "after");
    expect(await physicalRows(project)).toBe(8);
    const shown = ["before", "before", "lost", "lost", "after", "after"];
    expect(await messages(project)).toEqual(shown);

    // Housekeeping waits until nothing of it can be under way.
    await store.runMaintenance();
    expect(await physicalRows(project)).toBe(8);
    await queryDatabase(database.url, "update log_inserts set created_at = now() - interval '61 minutes'");
    await store.runMaintenance();
    expect(await physicalRows(project)).toBe(6);
    expect(await notes(project)).toEqual([]);
    expect(await messages(project)).toEqual(shown);
  });

  test("while an insert is under way nothing of it is seen, by any replica, and then all of it", async () => {
    const project = await newProject(database.url);
    await append(project, "before");
    await clickHouse.holdInsertAnswers();
    const appended = append(project, "under way");
    await clickHouse.insertHeld();
    expect(await physicalRows(project)).toBe(4);
    expect(await messages(project)).toEqual(["before", "before"]);
    expect(await store.find([project], 3n)).toEqual([]);
    await clickHouse.releaseInsertAnswers();
    await appended;
    expect(await messages(project)).toEqual(["before", "before", "under way", "under way"]);
    expect(await store.find([project], 3n)).toHaveLength(1);
  });

  test("many attempts while ClickHouse is away make one hole", async () => {
    const project = await newProject(database.url);
    await clickHouse.refuseInserts(20);
    for (let attempt = 0; attempt < 20; attempt++) await append(project, "refused").catch(() => undefined);
    await append(project, "stored");
    expect(await notes(project)).toHaveLength(20);
    expect(await messages(project)).toEqual(["stored", "stored"]);
    expect(await store.heads([project])).toEqual(new Map([[project, 42n]]));
  });

  test("holes far apart, whose ids have different numbers of digits, are all kept out of sight", async () => {
    const project = await newProject(database.url);
    const expected: string[] = [];
    for (const count of [3, 4, 60, 30, 900, 50]) {
      const entries = Array.from({ length: count }, () => entryAt(start, { message: "stored" }));
      await appendEntries(store, project, entries);
      expected.push(...entries.map(({ message }) => message));
      await clickHouse.holdInsertAnswers();
      const lost = append(project, "lost").catch((error) => error);
      await clickHouse.insertHeld();
      await loseTransactions();
      await clickHouse.releaseInsertAnswers();
      expect(await lost).toBeInstanceOf(Error);
    }
    await append(project, "last");
    expect(await physicalRows(project)).toBe(expected.length + 6 * 2 + 2);
    expect(await messages(project)).toEqual([...expected, "last", "last"]);
  });

  test("a service killed between ClickHouse and PostgreSQL: after a restart the retry is stored and shown once", async () => {
    const own = await freshDatabase();
    const secrets = newServerSecrets();
    const env = { SAZABI_LOG_STORE: clickHouse.url };
    let replica: Replica = await startReplica({ databaseUrl: own.url, secrets, env });
    const { secretKey, publicKey } = firstKeys(replica);
    const intake = () =>
      send(replica, "POST /v1/logs", {
        headers: { "x-sazabi-key": publicKey, "idempotency-key": "retried" },
        body: [{ message: "killed" }, { message: "killed" }],
      });
    await clickHouse.holdInsertAnswers();
    const first = intake().catch((error) => error);
    await clickHouse.insertHeld();
    await replica.kill();
    expect(await first).toBeInstanceOf(Error);
    await clickHouse.releaseInsertAnswers();

    replica = await startReplica({ databaseUrl: own.url, secrets, env });
    const query = () =>
      send(replica, "POST /v1/logs/query", { headers: bearer(secretKey), body: { search: { query: "killed" } } });
    expect((await query()).body.data).toEqual([]);
    expect((await intake()).status).toBe(202);
    expect((await intake()).status).toBe(202);
    expect((await query()).body.data).toHaveLength(2);
    const schema = await send(replica, "POST /v1/logs/schema", { headers: bearer(secretKey), body: {} });
    expect(schema.text).toContain('"clickhouse"');
    await replica.stop();
    // Its password is nowhere in what the service says.
    expect(JSON.stringify(replica.output())).not.toMatch(/a password|a%20password/);
    await own.drop();
  });

  test("a start without ClickHouse, or with a wrong password, names the variable and not the password", async () => {
    const own = await freshDatabase();
    const ownSecrets = newServerSecrets();
    const wrong = clickHouse.url.replace(/:[^:@]+@/, ":hunter2@");
    const nobody = clickHouse.url.replace(/:\d+\//, ":1/");
    for (const [url, why] of [
      [wrong, "Authentication"],
      [nobody, "ECONNREFUSED"],
    ] as const) {
      const start = startReplica({ databaseUrl: own.url, secrets: ownSecrets, env: { SAZABI_LOG_STORE: url } });
      const { message } = (await start.catch((error) => error)) as Error;
      expect(message).toContain(why);
      expect(message).toContain("Check SAZABI_LOG_STORE");
      expect(message).not.toMatch(/hunter2|a password|a%20password/);
    }
    // What never worked decides nothing: PostgreSQL can still have them.
    const onPostgres = await startReplica({ databaseUrl: own.url, secrets: ownSecrets });
    await onPostgres.stop();
    await own.drop();
  });

  test("ClickHouse away: requests are told so, and served when it is back", async () => {
    const other = await startClickHouse();
    const project = await newProject(database.url);
    const away = await openClickHouseLogStore({ address: other.address, databaseUrl: database.url, retentionDays: 30 });
    await other.kill();
    await expect(appendEntries(away, project, [entryAt(start)])).rejects.toMatchObject({ code: "UNAVAILABLE" });
    // Known to exist by PostgreSQL, so that ClickHouse has to be asked.
    await append(project, "elsewhere");
    const scope = {
      projectNumbers: [project],
      query: { kind: "everything" } as const,
      fromMicros: 0,
      toMicros: start * 2,
    };
    await expect(away.search({ ...scope, direction: "asc", limit: 1, after: undefined })).rejects.toMatchObject({
      code: "UNAVAILABLE",
    });
    await away.close();
    await other.stop();
  });
});
