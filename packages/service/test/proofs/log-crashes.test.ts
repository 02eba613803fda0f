import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { openClickHouseLogStore } from "../../src/logs/engines/clickhouse/store.ts";
import type { StoredLog } from "../../src/logs/log-store.ts";
import { clickHouseMissing, startClickHouse } from "../support/clickhouse.ts";
import { queryDatabase, send } from "../support/index.ts";
import { type OwnPostgres, openOwnPostgres } from "../support/own-postgres.ts";
import { newServerSecrets, type Replica, startReplica } from "../support/replica.ts";
import { scaled } from "../support/scale.ts";

const kills = scaled({ committed: 4, full: 50 });
const clients = 8;
const secrets = newServerSecrets();
let postgres: OwnPostgres;
let publicKey: string;

beforeAll(async () => {
  postgres = await openOwnPostgres();
  const first = await startReplica({ databaseUrl: postgres.url, secrets });
  publicKey = /public key {2}(\S+)/.exec(first.output().stdout)?.[1] as string;
  await first.stop();
});
afterAll(() => postgres.close());

interface Target {
  /** Where the service listens now; undefined while there is none. */
  url: string | undefined;
}

/** Senders that repeat each request until it is answered, whatever happens in between. */
class Senders {
  /** The messages that were answered 202. */
  readonly acknowledged: string[] = [];
  /** Requests that had to be sent more than once. */
  repeated = 0;
  readonly #target: Target;
  readonly #running: Promise<unknown>;
  #over = false;

  constructor(target: Target) {
    this.#target = target;
    this.#running = Promise.all(Array.from({ length: clients }, (_, index) => this.#send(index)));
  }

  /** Every request that was begun is answered first. */
  async stop(): Promise<void> {
    this.#over = true;
    await this.#running;
  }

  /** Some name the request, some each entry by its uid, some by its id and time. */
  async #send(index: number): Promise<void> {
    while (!this.#over) {
      const messages = Array.from({ length: 1 + Math.floor(Math.random() * 30) }, () => randomUUID());
      const timestamp = new Date().toISOString();
      const body = messages.map((message) => ({
        message,
        ...(index % 3 === 1 && { "log.record.uid": message }),
        ...(index % 3 === 2 && { id: "the same", timestamp }),
      }));
      const headers = { "x-sazabi-key": publicKey, ...(index % 3 === 0 && { "idempotency-key": randomUUID() }) };
      for (let attempt = 1; ; attempt++) {
        const { url } = this.#target;
        const answer = url ? await send({ url }, "POST /v1/logs", { headers, body }).catch(() => undefined) : undefined;
        if (answer?.status === 202) {
          expect(answer.body.data.accepted).toBe(messages.length);
          if (attempt > 1) this.repeated += 1;
          this.acknowledged.push(...messages);
          break;
        }
        // Gone, or 503 while the database is: nothing else may happen.
        expect([undefined, 503]).toContain(answer?.status);
        await sleep(20);
      }
    }
  }
}

/** What is not there exactly once, and what is there and was not acknowledged. */
async function wrong({ acknowledged }: Senders): Promise<unknown> {
  const { rows } = await queryDatabase(
    postgres.url,
    `with promised as (select unnest($1::text[]) as message),
          held as (select message, count(*)::int as times from logs group by message)
     select count(*) filter (where held.message is null)::int as lost,
            count(*) filter (where held.times > 1)::int as twice,
            count(*) filter (where promised.message is null)::int as unasked
     from promised full join held using (message)`,
    [acknowledged],
  );
  return rows[0];
}

/** The counts per minute, and the ids of each commit, agree with the entries. */
async function expectAgreement(): Promise<void> {
  const { rows } = await queryDatabase(
    postgres.url,
    `select (select sum(entries)::int from log_volume_complete) as counted, count(*)::int as held, count(distinct id)::int as ids,
            (select sum(last_id - first_id + 1)::int from (select distinct last_id, first_id from log_commits) c) as committed,
            (select last_id::int from log_heads) as last
     from logs`,
  );
  const { held } = rows[0];
  expect(rows[0]).toEqual({ counted: held, held, ids: held, committed: held, last: held });
}

const aWhile = () => sleep(50 + Math.random() * 200);

test(`a service killed under load, ${kills} times: every acknowledged entry is there once, and no other`, async () => {
  await queryDatabase(
    postgres.url,
    "truncate logs, log_volume, log_volume_added, log_commits, log_batches, log_entry_uids; update log_heads set last_id = 0",
  );
  const target: Target = { url: undefined };
  const senders = new Senders(target);
  for (let kill = 0; kill < kills; kill++) {
    const before = senders.acknowledged.length;
    const service: Replica = await startReplica({ databaseUrl: postgres.url, secrets });
    target.url = service.url;
    await expect.poll(() => senders.acknowledged.length, { timeout: 20_000, interval: 5 }).toBeGreaterThan(before);
    await aWhile();
    await service.kill();
  }
  const last = await startReplica({ databaseUrl: postgres.url, secrets });
  target.url = last.url;
  await senders.stop();
  await last.stop();
  expect(await wrong(senders)).toEqual({ lost: 0, twice: 0, unasked: 0 });
  expect(senders.repeated).toBeGreaterThan(0);
  await expectAgreement();
  console.log(
    `the service killed ${kills} times: ${senders.acknowledged.length} entries acknowledged, each there once; ${senders.repeated} requests sent again`,
  );
}, 900_000);

test(`PostgreSQL killed under load, ${kills} times: every acknowledged entry is there once, and no other`, async () => {
  await queryDatabase(
    postgres.url,
    "truncate logs, log_volume, log_volume_added, log_commits, log_batches, log_entry_uids; update log_heads set last_id = 0",
  );
  const service = await startReplica({ databaseUrl: postgres.url, secrets });
  const senders = new Senders({ url: service.url });
  for (let kill = 0; kill < kills; kill++) {
    const before = senders.acknowledged.length;
    await expect.poll(() => senders.acknowledged.length, { timeout: 30_000, interval: 5 }).toBeGreaterThan(before);
    await aWhile();
    await postgres.restart("SIGKILL");
  }
  await senders.stop();
  await service.stop();
  expect(await wrong(senders)).toEqual({ lost: 0, twice: 0, unasked: 0 });
  expect(senders.repeated).toBeGreaterThan(0);
  await expectAgreement();
  console.log(
    `PostgreSQL killed ${kills} times: ${senders.acknowledged.length} entries acknowledged, each there once; ${senders.repeated} requests sent again`,
  );
}, 900_000);

// Last: from here on the database has its logs elsewhere.
test.skipIf(clickHouseMissing !== "")(
  `with logs in ClickHouse: the service, PostgreSQL and ClickHouse killed under load, ${kills} times in turn${clickHouseMissing}`,
  async () => {
    await queryDatabase(
      postgres.url,
      "truncate logs, log_volume, log_volume_added, log_commits, log_batches, log_entry_uids; update log_heads set last_id = 0",
    );
    const clickHouse = await startClickHouse();
    const env = { SAZABI_LOG_STORE: clickHouse.url };
    const start = () => startReplica({ databaseUrl: postgres.url, secrets, env });
    let service = await start();
    const target: Target = { url: service.url };
    const senders = new Senders(target);
    for (let kill = 0; kill < kills; kill++) {
      const before = senders.acknowledged.length;
      await expect.poll(() => senders.acknowledged.length, { timeout: 60_000, interval: 5 }).toBeGreaterThan(before);
      await aWhile();
      if (kill % 3 === 0) {
        await service.kill();
        service = await start();
        target.url = service.url;
      } else if (kill % 3 === 1) {
        await clickHouse.kill();
        await clickHouse.restart();
      } else {
        await postgres.restart("SIGKILL");
      }
    }
    await senders.stop();
    await service.stop();

    const store = await openClickHouseLogStore({
      address: clickHouse.address,
      databaseUrl: postgres.url,
      retentionDays: 30,
    });
    const { rows } = await queryDatabase(postgres.url, "select project_number from log_heads where last_id > 0");
    const projectNumbers: number[] = rows.map((row) => row.project_number);
    const query = { kind: "everything" } as const;
    const followed: StoredLog[] = [];
    for (let after: ReadonlyMap<number, bigint> = new Map(), more = true; more; ) {
      const next = await store.follow({ projectNumbers, query, after, limit: 1000 });
      followed.push(...next.logs);
      ({ after, more } = next);
    }
    const window = { fromMicros: 0, toMicros: (Date.now() + 60_000) * 1000 };
    const hour = 3_600_000_000;
    const volume = await store.volume({ projectNumbers, query, ...window, bucketMicros: hour, groupBy: undefined });
    await store.close();
    await clickHouse.stop();
    expect(followed.map(({ message }) => message).sort()).toEqual([...senders.acknowledged].sort());
    expect(volume.reduce((sum, { entries }) => sum + entries, 0)).toBe(followed.length);
    expect(senders.repeated).toBeGreaterThan(0);
    console.log(
      `with ClickHouse, ${kills} kills: ${followed.length} entries acknowledged, each there once; ${senders.repeated} requests sent again`,
    );
  },
  1_800_000,
);
