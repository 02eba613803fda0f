import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { bearer, send, startTestService, type TestService } from "./support/index.ts";

/* A read that takes long, because the database does: what it finds is not handed to a key that was revoked meanwhile. */

let service: TestService;
let admin: Record<string, string>;
let blocker: pg.Client;
beforeAll(async () => {
  service = await startTestService();
  admin = bearer(service.secretKey);
  const entry = { headers: { "x-sazabi-key": service.publicKey }, body: { message: "kept" } };
  expect(await send(service, "POST /v1/logs", entry)).toMatchObject({ status: 202 });
});
afterAll(() => service.close());
beforeEach(async () => {
  blocker = new pg.Client({ connectionString: service.databaseUrl });
  await blocker.connect();
});
afterEach(() => blocker.end());

/* Native queries are not among them: they wait for a lock for a second at most. */
const reads: readonly { readonly request: string; readonly body?: unknown; readonly table: string }[] = [
  { request: "GET /v1/queries", table: "saved_queries" },
  { request: "GET /v1/threads", table: "threads" },
  { request: "POST /v1/logs/query", body: {}, table: "logs" },
  { request: "POST /v1/logs/facets", body: { field: "level" }, table: "logs" },
];

async function newKey(): Promise<{ id: string; value: string }> {
  const made = await send(service, "POST /v1/secret-keys", { headers: admin, body: { name: "reader" } });
  return made.body.secretKey;
}

const takings: Record<string, (id: string) => Promise<{ status: number }>> = {
  "is revoked": (id) => send(service, `DELETE /v1/secret-keys/${id}`, { headers: admin }),
  "is narrowed": (id) =>
    send(service, `PATCH /v1/secret-keys/${id}`, { headers: admin, body: { scopes: ["read:audit"] } }),
};

/** Until `count` statements wait for the lock. */
async function waitForBlocked(count: number): Promise<void> {
  for (;;) {
    const { rows } = await blocker.query(
      "select count(*)::int as n from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'",
    );
    if (rows[0].n >= count) return;
    await sleep(10);
  }
}

describe.each(Object.entries(takings))("a key that %s", (_, take) => {
  test.each(reads)("gets no answer to $request, which waited for the database", async ({ request, body, table }) => {
    const { id, value } = await newKey();
    const headers = bearer(value);
    expect(await send(service, request, { headers, body })).toMatchObject({ status: 200 });
    await blocker.query(`begin; lock table sazabi.${table} in access exclusive mode`);
    const answer = send(service, request, { headers, body });
    await waitForBlocked(1);
    expect((await take(id)).status).toBeLessThan(300);
    await blocker.query("rollback");
    const { status, text } = await answer;
    expect([401, 403]).toContain(status);
    expect(text).not.toContain("kept");
  });

  test("runs no search that waited for its turn", async () => {
    const { id, value } = await newKey();
    await blocker.query("begin; lock table sazabi.logs in access exclusive mode");
    const search = (key: string) => send(service, "POST /v1/logs/query", { headers: bearer(key), body: {} });
    const running = [search(service.secretKey), search(service.secretKey)];
    // Both have their turn by then; they may wait for one statement.
    await waitForBlocked(1);
    await sleep(300);
    const waiting = search(value);
    await sleep(300);
    expect((await take(id)).status).toBeLessThan(300);
    await blocker.query("rollback");
    expect([401, 403]).toContain((await waiting).status);
    for (const answer of await Promise.all(running)) expect(answer.status).toBe(200);
  });
});
