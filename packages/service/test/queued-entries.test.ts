import pg from "pg";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { bearer, readMetric, send, startTestService, type TestService } from "./support/index.ts";

/*
 * What happens to entries that wait for their commit. Another session holds the row of one project, so that its commits
 * wait, as they would behind a long queue.
 */

let service: TestService;
let blocker: pg.Client;
let other: { readonly id: string; readonly key: string };

beforeAll(async () => {
  service = await startTestService({ metrics: { host: "127.0.0.1", port: 0 } });
  blocker = new pg.Client({ connectionString: service.databaseUrl });
  await blocker.connect();
  const { body } = await asAdmin("POST /v1/projects", { name: "other", region: "us-west-2" });
  other = { id: body.project.id, key: (await newPublicKey(body.project.id)).value };
  for (const key of [service.publicKey, other.key]) await sendLogs(key, "first");
});
beforeEach(async () => {
  await blocker.query("begin");
  await blocker.query(
    `select from sazabi.log_heads h join sazabi.projects p on p.number = h.project_number
     where p.id = $1 for update of h`,
    [service.projectId],
  );
});
afterEach(async () => {
  await blocker.query("rollback");
});
afterAll(async () => {
  await blocker.end();
  await service.close();
});

async function asAdmin(route: string, body?: object) {
  return send(service, route, { headers: bearer(service.secretKey), ...(body && { body }) });
}

async function newPublicKey(projectId: string): Promise<{ readonly id: string; readonly value: string }> {
  return (await asAdmin("POST /v1/public-keys", { name: "shipper", projectId })).body.publicKey;
}

async function sendLogs(key: string, ...messages: string[]) {
  return send(service, "POST /v1/logs", { headers: bearer(key), body: messages.map((message) => ({ message })) });
}

async function countLogs(message: string): Promise<number> {
  const { rows } = await blocker.query("select count(*)::int as found from sazabi.logs where message = $1", [message]);
  return rows[0].found;
}

const waiting = () => readMetric(service, "sazabi_intake_queue_requests");

test("entries that wait when their key is revoked are not stored, and their neighbours' are", async () => {
  const leaked = await newPublicKey(service.projectId);
  // Waits for the row; what comes after it waits in the queue.
  const first = sendLogs(service.publicKey, "ahead");
  await expect.poll(() => blocked()).toBe(1);
  const theirs = Promise.all(Array.from({ length: 3 }, () => sendLogs(leaked.value, "leaked")));
  const ours = sendLogs(service.publicKey, "behind");
  await expect.poll(waiting).toBe(4);
  expect((await asAdmin(`POST /v1/public-keys/${leaked.id}/deactivate`)).status).toBe(200);
  await blocker.query("rollback");
  expect((await first).status).toBe(202);
  expect((await ours).status).toBe(202);
  for (const { status, body } of await theirs) {
    expect({ status, reason: body.reason }).toEqual({
      status: 401,
      reason: "revoked_api_key",
    });
  }
  expect(await countLogs("leaked")).toBe(0);
  expect(await countLogs("behind")).toBe(1);
  expect(await waiting()).toBe(0);
});

test("a _bulk request that waits for its commit does not keep the bodies of others waiting", async () => {
  const lines = Array.from({ length: 300 }, () => `{"create":{}}\n{"message":"${"x".repeat(100)}"}\n`).join("");
  const bulk = send(service, "POST /_bulk", {
    headers: { ...bearer(service.publicKey), "content-type": "application/x-ndjson" },
    body: lines,
  });
  await expect.poll(() => blocked()).toBe(1);
  const answer = await sendLogs(other.key, ...Array.from({ length: 300 }, () => "y".repeat(100)));
  expect(answer.status).toBe(202);
  await blocker.query("rollback");
  expect((await bulk).status).toBe(200);
});

/** Commits that wait for the row. */
async function blocked(): Promise<number> {
  const { rows } = await blocker.query(
    "select count(*)::int as found from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'",
  );
  return rows[0].found;
}
