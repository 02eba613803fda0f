import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type FreshDatabase, freshDatabase } from "../support/database.ts";
import { bearer, queryDatabase, send } from "../support/index.ts";
import { firstSecretKey, newServerSecrets, type Replica, startReplica } from "../support/replica.ts";

const hourMs = 3_600_000;
const skews = [-2 * hourMs, 0, 2 * hourMs];
/**
 * A replica knows the database's clock as well as its last renewal tells: within half of the time that took, a
 * millisecond here, and more when the machine is busy. The test's own uncertainty is measured and added.
 */
const toleranceMs = 150;

const secrets = newServerSecrets();
let database: FreshDatabase;
let replicas: Replica[];
let admin: string;

beforeAll(async () => {
  database = await freshDatabase();
  replicas = [];
  for (const skewMs of skews) {
    replicas.push(await startReplica({ databaseUrl: database.url, secrets, skewMs, name: `${skewMs / hourMs} h` }));
  }
  admin = firstSecretKey(replicas[0] as Replica);
});
afterAll(async () => {
  await Promise.all(replicas.map((replica) => replica.stop()));
  await database.drop();
});

/** The database's clock by ours: at the best of many tries it is read in the middle of a short question. */
async function measureDatabaseClock(): Promise<{ offsetMs: number; uncertaintyMs: number }> {
  const client = new pg.Client({ connectionString: database.url });
  await client.connect();
  let best = { offsetMs: 0, uncertaintyMs: Number.POSITIVE_INFINITY };
  for (let attempt = 0; attempt < 50; attempt++) {
    const askedAt = performance.now();
    const { rows } = await client.query("select extract(epoch from clock_timestamp()) * 1000 as now");
    const answeredAt = performance.now();
    const uncertaintyMs = (answeredAt - askedAt) / 2;
    if (uncertaintyMs < best.uncertaintyMs) {
      best = { offsetMs: Number(rows[0].now) - (askedAt + answeredAt) / 2, uncertaintyMs };
    }
  }
  await client.end();
  return best;
}

interface Use {
  readonly replica: string;
  readonly accepted: boolean;
  /** By our monotonic clock. */
  readonly askedAt: number;
  readonly answeredAt: number;
}

async function use(replica: Replica, key: string): Promise<Use> {
  const askedAt = performance.now();
  const { status } = await send(replica, "GET /v1/secret-keys/none", { headers: bearer(key) });
  return { replica: replica.name, accepted: status === 404, askedAt, answeredAt: performance.now() };
}

async function makeKey(body: object = {}) {
  const made = await send(replicas[1] as Replica, "POST /v1/secret-keys", {
    headers: bearer(admin),
    body: { name: "k", ...body },
  });
  return made.body.secretKey;
}

/** Uses a key on every replica, over and over, until a moment of the database's clock. */
async function useUntil(key: string, untilMs: number): Promise<readonly Use[]> {
  const uses: Use[] = [];
  await Promise.all(
    replicas.map(async (replica) => {
      while (performance.now() < untilMs) {
        uses.push(await use(replica, key));
        await sleep(2);
      }
    }),
  );
  return uses;
}

test.each([
  [
    "the secret before a rotation ends at its deadline",
    async () => {
      const key = await makeKey();
      await Promise.all(replicas.map((replica) => use(replica, key.value)));
      await send(replicas[0] as Replica, `POST /v1/secret-keys/${key.id}/rotate`, {
        headers: bearer(admin),
        body: { graceSeconds: 3 },
      });
      const { rows } = await queryDatabase(
        database.url,
        "select extract(epoch from retires_at) * 1000 as at from key_secrets where key_id = $1 and generation = 1",
        [key.id],
      );
      return { value: key.value, deadlineMs: Number(rows[0].at) };
    },
  ],
  [
    "a key ends at its expiry",
    async () => {
      const expiresAt = new Date(Date.now() + 3_000);
      const { value } = await makeKey({ expiresAt });
      return { value, deadlineMs: expiresAt.getTime() };
    },
  ],
])(
  "on replicas two hours behind, right, and two hours ahead, %s, by the database's clock",
  async (_, begin) => {
    const { value, deadlineMs } = await begin();
    const clock = await measureDatabaseClock();
    const deadline = deadlineMs - clock.offsetMs;
    const uses = await useUntil(value, deadline + 1_000);
    const slack = toleranceMs + clock.uncertaintyMs;

    for (const { name } of replicas) {
      const own = uses.filter(({ replica }) => replica === name);
      const lastAccepted = Math.max(...own.filter(({ accepted }) => accepted).map(({ askedAt }) => askedAt));
      const firstRefused = Math.min(...own.filter(({ accepted }) => !accepted).map(({ answeredAt }) => answeredAt));
      console.log(
        `${name}: accepted until ${(lastAccepted - deadline).toFixed(0)} ms, refused from ${(firstRefused - deadline).toFixed(0)} ms`,
      );
      expect(own.filter(({ accepted, askedAt }) => accepted && askedAt > deadline + slack)).toEqual([]);
      expect(own.filter(({ accepted, answeredAt }) => !accepted && answeredAt < deadline - slack)).toEqual([]);
      expect(own.some(({ accepted }) => accepted)).toBe(true);
      expect(own.some(({ accepted }) => !accepted)).toBe(true);
    }
  },
  60_000,
);

test("a duration such as 1h is an hour from now, whichever replica makes or changes the key", async () => {
  for (const replica of replicas) {
    const made = await send(replica, "POST /v1/secret-keys", {
      headers: bearer(admin),
      body: { name: "k", expiresIn: "1h" },
    });
    const changed = await send(replica, `PATCH /v1/secret-keys/${made.body.secretKey.id}`, {
      headers: bearer(admin),
      body: { expiresIn: "2h" },
    });
    for (const [hours, answer] of [
      [1, made],
      [2, changed],
    ] as const) {
      const lastsMs = Date.parse(answer.body.secretKey.expiresAt) - Date.now();
      expect(Math.abs(lastsMs - hours * hourMs), `${replica.name}: ${lastsMs / hourMs} h`).toBeLessThan(10_000);
    }
  }
});

test("when a key was last used is told by the database's clock", async () => {
  for (const replica of replicas) {
    const { id, value } = await makeKey();
    await use(replica, value);
    const lastUsedAt = async () =>
      (await send(replica, `GET /v1/secret-keys/${id}`, { headers: bearer(admin) })).body.secretKey.lastUsedAt;
    await expect.poll(lastUsedAt, { timeout: 10_000 }).not.toBeNull();
    expect(Math.abs(Date.parse(await lastUsedAt()) - Date.now()), replica.name).toBeLessThan(20_000);
  }
});

test.each([
  ["40 days behind", -40 * 24 * hourMs],
  ["a year ahead", 366 * 24 * hourMs],
])(
  "a replica %s stores entries by the database's clock, and finds those of today",
  async (name, skewMs) => {
    const replica = await startReplica({ databaseUrl: database.url, secrets, skewMs, name });
    try {
      const made = await send(replica, "POST /v1/public-keys", { headers: bearer(admin), body: { name } });
      const said = new Date(Date.now() - 60_000).toISOString();
      const sent = await send(replica, "POST /v1/logs", {
        headers: { "x-sazabi-key": made.body.publicKey.value },
        body: [
          { message: "arrived", service: name },
          { message: "said", service: name, timestamp: said },
        ],
      });
      expect(sent.status).toBe(202);
      for (const reader of [replica, replicas[1] as Replica]) {
        const found = await send(reader, "POST /v1/logs/query", {
          headers: bearer(admin),
          body: { search: { query: `service:"${name}"` } },
        });
        const times = new Map(
          found.body.data.map(({ message, timestamp }: { message: string; timestamp: string }) => [
            message,
            Date.parse(timestamp),
          ]),
        );
        expect([...times.keys()].sort(), reader.name).toEqual(["arrived", "said"]);
        expect(Math.abs((times.get("arrived") as number) - Date.now()), reader.name).toBeLessThan(hourMs);
        expect(times.get("said"), reader.name).toBe(Date.parse(said));
      }
    } finally {
      await replica.stop();
    }
  },
  60_000,
);
