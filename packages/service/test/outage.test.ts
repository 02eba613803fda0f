import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { leaseMs } from "../src/auth/revocation/lease.ts";
import { openDatabase } from "../src/db/database.ts";
import { sql } from "../src/db/sql.ts";
import { type FreshDatabase, freshDatabase } from "./support/database.ts";
import { bearer, queryDatabase, send, startTestService, type TestService } from "./support/index.ts";
import { newKeyring } from "./support/keyring.ts";
import { type CuttableProxy, openCuttableProxy } from "./support/proxy.ts";

let database: FreshDatabase;
let proxy: CuttableProxy;
/** Reaches the database through the proxy. */
let fragile: TestService;
/** Reaches it directly. */
let steady: TestService;

beforeAll(async () => {
  database = await freshDatabase();
  proxy = await openCuttableProxy(database.url);
  const keyrings = { keyPepper: newKeyring(), masterKey: newKeyring() };
  steady = await startTestService({ databaseUrl: database.url, ...keyrings });
  const second = await startTestService({ databaseUrl: proxy.url, ...keyrings });
  fragile = { ...second, secretKey: steady.secretKey, publicKey: steady.publicKey };
});
afterAll(async () => {
  proxy.restore();
  await fragile.close();
  await steady.close();
  await proxy.close();
  await database.drop();
});

const list = (service: TestService, key: string) => send(service, "GET /v1/projects", { headers: bearer(key) });
const intake = (service: TestService, message: string) =>
  send(service, "POST /v1/logs", { headers: { "x-sazabi-key": service.publicKey }, body: { message } });

async function newKey(name: string): Promise<{ id: string; value: string }> {
  const made = await send(steady, "POST /v1/secret-keys", { headers: bearer(steady.secretKey), body: { name } });
  return made.body.secretKey;
}

test("while the database is away the answer is 503 with Retry-After, and it is back by itself", async () => {
  expect((await intake(fragile, "before the outage")).status).toBe(202);
  proxy.cut();
  const refused = await intake(fragile, "during the outage");
  expect(refused).toMatchObject({ status: 503, body: { code: "UNAVAILABLE" } });
  expect(refused.headers.get("retry-after")).toBe("1");
  expect(await list(fragile, fragile.secretKey)).toMatchObject({ status: 503 });
  expect((await send(fragile, "GET /healthz")).status).toBe(200);
  expect(await send(fragile, "GET /readyz")).toMatchObject({ status: 503, body: { code: "UNAVAILABLE" } });
  proxy.restore();
  await expect.poll(async () => (await intake(fragile, "after the outage")).status, { timeout: 10_000 }).toBe(202);
  expect((await list(fragile, fragile.secretKey)).status).toBe(200);
  const { rows } = await queryDatabase(database.url, "select message from logs order by id");
  expect(rows.map(({ message }) => message)).toEqual(["before the outage", "after the outage"]);
}, 30_000);

test("a replica that cannot renew its lease still answers, but sends the load balancer elsewhere", async () => {
  const ready = async () => (await send(steady, "GET /readyz")).status;
  await expect.poll(ready, { timeout: 10_000 }).toBe(200);
  const lock = new pg.Client({ connectionString: database.url });
  await lock.connect();
  await lock.query("begin");
  await lock.query("lock table sazabi.replicas in access exclusive mode");
  await expect.poll(ready, { timeout: 10_000 }).toBe(503);
  expect((await list(steady, steady.secretKey)).status).toBe(200);
  await lock.query("rollback");
  await lock.end();
  await expect.poll(ready, { timeout: 10_000 }).toBe(200);
}, 30_000);

test("a replica that is cut off while a key is revoked does not accept the key after the call has answered", async () => {
  const key = await newKey("cut");
  expect((await list(fragile, key.value)).status).toBe(200);
  proxy.cut();
  const startedAt = performance.now();
  const revoked = await send(steady, `DELETE /v1/secret-keys/${key.id}`, { headers: bearer(steady.secretKey) });
  expect(revoked.status).toBe(204);
  expect(performance.now() - startedAt).toBeLessThan(leaseMs + 2_000);
  for (let attempt = 0; attempt < 20; attempt++) {
    expect((await list(fragile, key.value)).status).toBe(503);
    await sleep(10);
  }
  proxy.restore();
  await expect.poll(async () => (await list(fragile, key.value)).status, { timeout: 10_000 }).toBe(401);
}, 30_000);

test("a network that swallows everything delays a revocation by no more than a lease, and fences the replica", async () => {
  const key = await newKey("frozen");
  await expect.poll(async () => (await list(fragile, key.value)).status, { timeout: 10_000 }).toBe(200);
  proxy.freeze();
  const startedAt = performance.now();
  await send(steady, `DELETE /v1/secret-keys/${key.id}`, { headers: bearer(steady.secretKey) });
  expect(performance.now() - startedAt).toBeLessThan(leaseMs + 2_000);
  const late = list(fragile, key.value);
  const verdict = await Promise.race([late.then(({ status }) => status), sleep(1_000)]);
  expect(verdict === undefined || verdict >= 400).toBe(true);
  proxy.restore();
  expect((await late).status).toBeGreaterThanOrEqual(400);
  await expect.poll(async () => (await list(fragile, key.value)).status, { timeout: 10_000 }).toBe(401);
}, 40_000);

test("a process that froze in the middle of a change does not stop the changes of all others for good", async () => {
  const frozen = new pg.Client({
    connectionString: database.url,
    options: "-c search_path=sazabi -c idle_in_transaction_session_timeout=5000",
  });
  frozen.on("error", () => {});
  await frozen.connect();
  await frozen.query("begin; update key_change_head set seq = seq");
  const key = await newKey("behind a frozen process");
  const revoked = await send(steady, `DELETE /v1/secret-keys/${key.id}`, { headers: bearer(steady.secretKey) });
  expect(revoked.status).toBe(204);
  expect((await list(steady, key.value)).status).toBe(401);
  await frozen.end().catch(() => {});
}, 30_000);

test("every session that holds locks gives them up when its process stands still", async () => {
  const { rows } = await queryDatabase(
    database.url,
    "select setting from pg_settings where name = 'idle_in_transaction_session_timeout'",
  );
  expect(rows[0].setting).toBe("0"); // The server's default; ours is set by each of our sessions.
  const db = openDatabase({ url: database.url, connections: 1 });
  const own = await db.query<{ setting: string }>(
    sql`select setting from pg_settings where name = 'idle_in_transaction_session_timeout'`,
  );
  await db.close();
  expect(own.rows[0]?.setting).toBe("5000");
});
