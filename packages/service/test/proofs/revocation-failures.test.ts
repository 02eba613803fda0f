import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { leaseMs } from "../../src/auth/revocation/lease.ts";
import { bearer, queryDatabase, send } from "../support/index.ts";
import { type OwnPostgres, openOwnPostgres } from "../support/own-postgres.ts";
import { openCuttableProxy } from "../support/proxy.ts";
import { firstSecretKey, newServerSecrets, type Replica, startReplica, startReplicas } from "../support/replica.ts";
import { scaled } from "../support/scale.ts";
import { anyOf, type Storm, startStorm } from "../support/storm.ts";

const secrets = newServerSecrets();
let postgres: OwnPostgres;
let replicas: [Replica, Replica, Replica];
let admin: string;
let storm: Storm | undefined;

beforeAll(async () => {
  postgres = await openOwnPostgres();
  replicas = (await startReplicas(3, { databaseUrl: postgres.url, secrets })) as typeof replicas;
  admin = firstSecretKey(replicas[0]);
});
afterEach(async () => {
  for (const replica of replicas) replica.process.kill("SIGCONT");
  await storm?.stop();
  storm = undefined;
});
afterAll(async () => {
  await Promise.all(replicas.map((replica) => replica.stop()));
  await postgres.close();
});

const storming = (keys: number, clients: number) =>
  startStorm({ replicas, secrets, databaseUrl: postgres.url, admin, keys, clients });

test("a process that is stopped for ten seconds delays a revocation by its lease at most, and accepts nothing stale when it goes on", async () => {
  storm = await storming(30, 16);
  const [steady, other, stopped] = replicas;
  const stoppedAt = performance.now();
  stopped.process.kill("SIGSTOP");
  const { tookMs } = await storm.revokeNext(steady);
  // These requests start after the answer, and wait in the stopped process's sockets for it to go on.
  storm.strike(stopped, 32);
  const stillMs = () => 10_000 - (performance.now() - stoppedAt);
  for (const _ of storm.keys.slice(1)) {
    if (stillMs() <= 0) break;
    await storm.revokeNext(anyOf([steady, other]));
    await sleep(200);
  }
  await sleep(Math.max(0, stillMs()));
  stopped.process.kill("SIGCONT");
  await sleep(3_000);
  await storm.stop();

  expect(tookMs).toBeLessThan(leaseMs + 3_000);
  expect(storm.stale).toEqual([]);
  expect(storm.tallies.get(stopped.name)?.refusedRevoked).toBeGreaterThan(0);
}, 90_000);

test("while a process loses its database connections again and again, no revoked key works", async () => {
  storm = await storming(scaled({ committed: 10, full: 100 }), 16);
  const [, , cut] = replicas;
  let over = false;
  const cutting = (async () => {
    while (!over) {
      await queryDatabase(
        postgres.url,
        "select pg_terminate_backend(pid) from pg_stat_activity where application_name = $1",
        [cut.name],
      );
      await sleep(400 + Math.random() * 800);
    }
  })();
  for (const _ of storm.keys) {
    await storm.revokeNext(anyOf(replicas));
    await sleep(50);
  }
  over = true;
  await cutting;
  await sleep(500);
  await storm.stop();

  expect(storm.stale).toEqual([]);
  for (const { acceptedLive, refusedRevoked } of storm.tallies.values()) {
    expect(acceptedLive).toBeGreaterThan(0);
    expect(refusedRevoked).toBeGreaterThan(0);
  }
}, 180_000);

test.each([
  ["is restarted", "SIGINT"],
  ["crashes and recovers", "SIGKILL"],
] as const)(
  "while PostgreSQL %s, no revoked key works",
  async (_, signal) => {
    storm = await storming(12, 16);
    for (let index = 0; index < 4; index++) await storm.revokeNext(anyOf(replicas));
    const restarted = postgres.restart(signal);
    for (let index = 0; index < 4; index++) await storm.revokeNext(anyOf(replicas));
    await restarted;
    for (let index = 0; index < 4; index++) await storm.revokeNext(anyOf(replicas));
    await sleep(500);
    await storm.stop();

    expect(storm.stale).toEqual([]);
    for (const { refusedRevoked } of storm.tallies.values()) expect(refusedRevoked).toBeGreaterThan(0);
  },
  120_000,
);

test("a revocation that is repeated while the first is not answered yet does not answer before it", async () => {
  const proxy = await openCuttableProxy(postgres.url);
  const blind = await startReplica({ databaseUrl: proxy.url, secrets, name: "blind" });
  try {
    const use = async (key: string) => (await send(blind, "GET /v1/secret-keys/none", { headers: bearer(key) })).status;
    const created = await send(replicas[0], "POST /v1/secret-keys", {
      headers: bearer(admin),
      body: { name: "twice" },
    });
    const { id, value } = created.body.secretKey;
    expect(await use(value)).toBe(404);
    // It hears of nothing from here on, and holds its lease for some seconds more.
    proxy.freeze();
    const revoke = () => send(replicas[0], `DELETE /v1/secret-keys/${id}`, { headers: bearer(admin) });
    const first = revoke();
    await sleep(500);
    expect((await revoke()).status).toBe(204);
    const late = await Promise.race([use(value), sleep(1_000, 503)]);
    expect(late).not.toBe(404);
    await first;
  } finally {
    proxy.restore();
    await blind.kill();
    await proxy.close();
  }
}, 60_000);
