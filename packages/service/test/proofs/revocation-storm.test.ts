import { afterAll, beforeAll, expect, test } from "vitest";
import { type FreshDatabase, freshDatabase } from "../support/database.ts";
import { firstSecretKey, newServerSecrets, type Replica, startReplicas } from "../support/replica.ts";
import { scaled } from "../support/scale.ts";
import { anyOf, startStorm } from "../support/storm.ts";

const secrets = newServerSecrets();
let database: FreshDatabase;
let replicas: Replica[];

beforeAll(async () => {
  database = await freshDatabase();
  replicas = await startReplicas(3, { databaseUrl: database.url, secrets });
});
afterAll(async () => {
  await Promise.all(replicas.map((replica) => replica.stop()));
  await database.drop();
});

test("keys revoked one after the other, through any of three processes under load, work on none of them once the call has answered", async () => {
  const storm = await startStorm({
    replicas,
    secrets,
    databaseUrl: database.url,
    admin: firstSecretKey(replicas[0] as Replica),
    keys: scaled({ committed: 30, full: 500 }),
    clients: 64,
  });
  const times: number[] = [];
  while (times.length < storm.keys.length) times.push((await storm.revokeNext(anyOf(replicas))).tookMs);
  await storm.stop();

  times.sort((a, b) => a - b);
  const quantile = (part: number) => (times[Math.floor(part * (times.length - 1))] as number).toFixed(1);
  console.log(
    `${times.length} revocations beside ${storm.answered} requests: p50 ${quantile(0.5)} ms, p99 ${quantile(0.99)} ms`,
  );
  expect(storm.stale).toEqual([]);
  for (const { acceptedLive, refusedRevoked } of storm.tallies.values()) {
    expect(acceptedLive).toBeGreaterThan(storm.keys.length);
    expect(refusedRevoked).toBeGreaterThan(storm.keys.length);
  }
}, 900_000);
