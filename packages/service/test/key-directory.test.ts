import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createAuditedTransaction } from "../src/audited-transaction.ts";
import { leaseMs } from "../src/auth/revocation/lease.ts";
import { KeyVerifier } from "../src/auth/verify/verifier.ts";
import type { Keyring } from "../src/crypto/keyring.ts";
import { type Database, openDatabase } from "../src/db/database.ts";
import { sql } from "../src/db/sql.ts";
import { newSecret } from "../src/keys/generate.ts";
import { insertKey, revokeKey, updateKey } from "../src/keys/store/keys.ts";
import { insertOrganization } from "../src/organizations/store.ts";
import { testAuthor } from "./support/author.ts";
import { type FreshDatabase, freshDatabase } from "./support/database.ts";
import { newKeyring } from "./support/keyring.ts";

let database: FreshDatabase;
let db: Database;
let pepper: Keyring;
let organizationId: string;

beforeAll(async () => {
  database = await freshDatabase();
  db = openDatabase({ url: database.url, connections: 20 });
  pepper = newKeyring();
  organizationId = (await insertOrganization(db, { name: "o", slug: "o" }))?.id as string;
});
afterAll(async () => {
  await db.close();
  await database.drop();
});

async function makeKey(name = "key") {
  const secret = newSecret(pepper, "secret", "live");
  const common = { organizationId, projectId: undefined, kind: "secret", style: "live", name, scopes: ["*"] } as const;
  const key = await insertKey(db, { ...common, expiresAt: undefined, createdBy: undefined }, secret);
  return { id: key.id, value: secret.value };
}

async function openReplicas(count: number, through: Database = db): Promise<KeyVerifier[]> {
  const replicas = Array.from({ length: count }, () => new KeyVerifier({ url: database.url, db: through, pepper }));
  await Promise.all(replicas.map((replica) => replica.open()));
  return replicas;
}

const closeAll = (replicas: KeyVerifier[]) => Promise.all(replicas.map((replica) => replica.close()));

/** A change made through one replica, as its routes make it. */
function changeThrough<T>(
  replica: KeyVerifier,
  work: Parameters<ReturnType<typeof createAuditedTransaction>>[1],
): Promise<T> {
  return createAuditedTransaction(db, replica)(testAuthor(organizationId), work) as Promise<T>;
}

function revoke(replica: KeyVerifier, id: string) {
  return changeThrough(replica, (tx) => revokeKey(tx, { organizationId }, "secret", id, { revokedBy: id }));
}

function counting(real: Database): Database & { statements: number } {
  const counted = {
    ...real,
    statements: 0,
    query<Row>(statement: Parameters<Database["query"]>[0]) {
      counted.statements += 1;
      return real.query<Row>(statement);
    },
  };
  return counted;
}

/** Lets each statement wait before and after it runs, mostly briefly, now and then longer than a revocation takes. */
function jittery(real: Database): Database {
  const delay = () => sleep(Math.random() * (Math.random() < 0.1 ? 60 : 3));
  return {
    ...real,
    async query<Row>(statement: Parameters<Database["query"]>[0]) {
      await delay();
      const result = await real.query<Row>(statement);
      await delay();
      return result;
    },
  };
}

describe("the cache", () => {
  test("a key is asked of the database once, also when many ask at the same time", async () => {
    const counted = counting(db);
    const replicas = await openReplicas(1, counted);
    const [replica] = replicas as [KeyVerifier];
    const { id, value } = await makeKey();
    counted.statements = 0;
    const found = await Promise.all(Array.from({ length: 50 }, () => replica.find(value)));
    expect(found.every((record) => record?.keyId === id)).toBe(true);
    expect(replica.find(value)).toMatchObject({ keyId: id, revoked: false });
    expect(counted.statements).toBe(1);
    await closeAll(replicas);
  });

  test("a key stored under a retired pepper is found, and stored under the current one from then on", async () => {
    const { id, value } = await makeKey();
    const fresh = newKeyring().current;
    const rotated: Keyring = {
      current: { ...fresh, version: 2 },
      entries: [{ ...fresh, version: 2 }, pepper.current],
    };
    const replica = new KeyVerifier({ url: database.url, db, pepper: rotated });
    await replica.open();
    expect(await replica.find(value)).toMatchObject({ keyId: id });
    await expect
      .poll(async () => {
        const { rows } = await db.query<{ pepper_version: number }>(
          sql`select pepper_version from key_secrets where key_id = ${id}`,
        );
        return rows[0]?.pepper_version;
      })
      .toBe(2);
    await replica.close();
    const withoutOld = new KeyVerifier({
      url: database.url,
      db,
      pepper: { current: rotated.current, entries: [rotated.current] },
    });
    expect(await withoutOld.find(value)).toMatchObject({ keyId: id });
  });
});

describe("revocation on every replica, before the call returns", () => {
  test("a key that is in every cache is dead on all of them when revoke answers", async () => {
    const replicas = await openReplicas(3);
    for (let round = 0; round < 50; round++) {
      const { id, value } = await makeKey();
      for (const replica of replicas) expect(await replica.find(value)).toMatchObject({ revoked: false });
      await revoke(replicas[round % 3] as KeyVerifier, id);
      for (const replica of replicas) expect(await replica.find(value)).toMatchObject({ revoked: true });
    }
    await closeAll(replicas);
  });

  test("10,000 look-ups that race revocations, re-scopes and renames: none brings the old state back", async () => {
    const replicas = await openReplicas(3, jittery(db));
    const anyReplica = () => replicas[Math.floor(Math.random() * replicas.length)] as KeyVerifier;
    let lookups = 0;
    const stale: string[] = [];

    async function raceOneKey(): Promise<void> {
      const { id, value } = await makeKey("version 0");
      // What a look-up that starts now must see at least.
      let version = 0;
      let revoked = false;
      let over = false;
      const readers = Array.from({ length: 6 }, async () => {
        while (!over) {
          const replica = anyReplica();
          const atLeast = { version, revoked };
          const record = await replica.find(value);
          lookups += 1;
          if (Number(record?.keyName.split(" ")[1]) < atLeast.version) stale.push(`${id} was renamed`);
          if (atLeast.revoked && !record?.revoked) stale.push(`${id} was revoked`);
          await sleep(Math.random() * 4);
        }
      });
      for (let next = 1; next <= 3; next++) {
        await sleep(Math.random() * 6);
        const change = { name: `version ${next}` };
        await changeThrough(anyReplica(), (tx) => updateKey(tx, { organizationId }, "secret", id, change));
        version = next;
      }
      await revoke(anyReplica(), id);
      revoked = true;
      await sleep(8);
      over = true;
      await Promise.all(readers);
    }

    while (lookups < 10_000) await Promise.all(Array.from({ length: 10 }, raceOneKey));
    expect(stale).toEqual([]);
    await closeAll(replicas);
  }, 120_000);

  test("a change to an organization is forgotten for all of its keys", async () => {
    const replicas = await openReplicas(2);
    const other = (await insertOrganization(db, { name: "p", slug: "p" }))?.id as string;
    const secret = newSecret(pepper, "secret", "live");
    const common = { projectId: undefined, kind: "secret", style: "live", name: "k", scopes: ["*"] } as const;
    await insertKey(db, { ...common, organizationId: other, expiresAt: undefined, createdBy: undefined }, secret);
    for (const replica of replicas) expect(await replica.find(secret.value)).toMatchObject({ revoked: false });
    await changeThrough(replicas[0] as KeyVerifier, (tx) =>
      tx.query(sql`update organizations set disabled_at = now() where id = ${other}`),
    );
    for (const replica of replicas) expect(await replica.find(secret.value)).toMatchObject({ revoked: true });
    await closeAll(replicas);
  });
});

describe("the lease", () => {
  test("a replica whose connection is cut begins again with an empty cache and is not waited for", async () => {
    const replicas = await openReplicas(2);
    const { id, value } = await makeKey();
    for (const replica of replicas) await replica.find(value);
    await db.query(
      sql`select pg_terminate_backend(pid) from pg_stat_activity
          where application_name = 'sazabi replica' and datname = current_database()`,
    );
    await revoke(replicas[0] as KeyVerifier, id);
    for (const replica of replicas) expect(await replica.find(value)).toMatchObject({ revoked: true });
    await expect.poll(() => replicas.every((replica) => replica.leaseHeld), { timeout: 5000 }).toBe(true);
    await closeAll(replicas);
  });

  test("a row that a killed process left behind delays a revocation once, and by no more than a lease", async () => {
    const replicas = await openReplicas(1);
    const [replica] = replicas as [KeyVerifier];
    await db.query(sql`insert into replicas (id, acknowledged) values (gen_random_uuid(), 0)`);
    const first = await makeKey();
    const startedAt = performance.now();
    await revoke(replica, first.id);
    const waitedMs = performance.now() - startedAt;
    expect(waitedMs).toBeGreaterThan(leaseMs / 2);
    const second = await makeKey();
    const again = performance.now();
    await revoke(replica, second.id);
    expect(performance.now() - again).toBeLessThan(waitedMs / 2);
    await closeAll(replicas);
    await db.query(sql`delete from replicas`);
  }, 30_000);

  test("without a lease, each look-up asks the database", async () => {
    let stopped = false;
    const clock = {
      monotonic: () => performance.now() + (stopped ? 60_000 : 0),
      wall: () => Date.now(),
    };
    const counted = counting(db);
    const replica = new KeyVerifier({ url: database.url, db: counted, pepper, clock });
    await replica.open();
    const { value } = await makeKey();
    counted.statements = 0;
    await replica.find(value);
    await replica.find(value);
    expect(counted.statements).toBe(1);
    stopped = true;
    expect(replica.leaseHeld).toBe(false);
    await replica.find(value);
    await replica.find(value);
    expect(counted.statements).toBe(3);
    await replica.close();
  });

  test.each([
    ["the wall clock jumps ahead, as after a machine slept", { wall: 7_000, monotonic: 0 }],
    ["the monotonic clock says so, whatever the wall clock was set to", { wall: -3_600_000, monotonic: 7_000 }],
  ])("the lease ends when %s", async (_, jump) => {
    let jumped = false;
    const clock = {
      monotonic: () => performance.now() + (jumped ? jump.monotonic : 0),
      wall: () => Date.now() + (jumped ? jump.wall : 0),
    };
    const replica = new KeyVerifier({ url: database.url, db, pepper, clock });
    await replica.open();
    expect(replica.leaseHeld).toBe(true);
    jumped = true;
    expect(replica.leaseHeld).toBe(false);
    await replica.close();
  });

  test("a replica's clock is never behind the database's, also when it stands still while a renewal is answered", async () => {
    let standStill = false;
    const clock = {
      monotonic: () => performance.now(),
      // Read when a renewal is about to be sent; the pause comes when it is on its way.
      wall: () => {
        if (standStill) setImmediate(() => blockFor(700));
        standStill = false;
        return Date.now();
      },
    };
    const replica = new KeyVerifier({ url: database.url, db, pepper, clock });
    await replica.open();
    standStill = true;
    await expect.poll(() => standStill, { timeout: 5_000 }).toBe(false);
    for (let look = 0; look < 20; look++) {
      await sleep(50);
      const before = Date.now(); // The database runs on this machine, by the same clock.
      expect(replica.now()).toBeGreaterThanOrEqual(before - 1);
    }
    await replica.close();
  });

  test("a replica that stops in good order leaves no row to wait for", async () => {
    await closeAll(await openReplicas(3));
    const { rows } = await db.query<{ count: number }>(sql`select count(*)::int as count from replicas`);
    expect(rows[0]?.count).toBe(0);
  });
});

function blockFor(ms: number): void {
  const end = performance.now() + ms;
  while (performance.now() < end);
}
