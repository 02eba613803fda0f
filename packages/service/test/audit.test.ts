import { createHash } from "node:crypto";
import { type AuditEvent, auditActions, auditText, firstPreviousHash } from "@sazabi/sdk/protocol";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { bearer, queryDatabase, send, startTestService, type TestService } from "./support/index.ts";

let service: TestService;
let headers: Record<string, string>;
beforeAll(async () => {
  service = await startTestService();
  headers = bearer(service.secretKey);
});
afterAll(() => service.close());

async function trail(
  query = "limit=1000",
): Promise<{ events: AuditEvent[]; nextCursor: string | null; head: { seq: number; hash: string } }> {
  return (await send(service, `GET /v1/audit?${query}`, { headers })).body;
}

test("each change of a key is on record: who, what, from where, by which request", async () => {
  const requestHeaders = { ...headers, "x-request-id": "audited-request" };
  const made = await send(service, "POST /v1/secret-keys", { headers: requestHeaders, body: { name: "recorded" } });
  const { id } = made.body.secretKey;
  await send(service, `PATCH /v1/secret-keys/${id}`, { headers, body: { name: "renamed" } });
  await send(service, `POST /v1/secret-keys/${id}/rotate`, { headers, body: { graceSeconds: 60 } });
  await send(service, `POST /v1/secret-keys/${id}/rotate/finish`, { headers });
  await send(service, `DELETE /v1/secret-keys/${id}?reason=leaked`, { headers });
  await send(service, `DELETE /v1/secret-keys/${id}`, { headers });
  const { events } = await trail(`targetId=${id}`);
  expect(events.map(({ action }) => action)).toEqual([
    "secret_key.revoked",
    "secret_key.rotation_finished",
    "secret_key.rotated",
    "secret_key.updated",
    "secret_key.created",
  ]);
  expect(events[0]).toMatchObject({ details: { reason: "leaked" }, target: { id, name: "renamed" } });
  expect(events.at(-1)).toMatchObject({
    actor: { kind: "key", name: "first secret key" },
    address: expect.stringContaining("127.0.0.1"),
    requestId: "audited-request",
    details: { scopes: ["*"] },
  });
});

test("the first start is on record too", async () => {
  const { events } = await trail();
  expect(events.slice(-4).map(({ action, actor }) => [action, actor.kind])).toEqual([
    ["public_key.created", "system"],
    ["secret_key.created", "system"],
    ["project.created", "system"],
    ["organization.created", "system"],
  ]);
});

test("the chain verifies, also when many change things at once; and a row that was altered or cut out shows", async () => {
  await Promise.all(
    Array.from({ length: 30 }, (_, index) =>
      send(service, "POST /v1/public-keys", { headers, body: { name: `key ${index}` } }),
    ),
  );
  const { events, head } = await trail();
  const oldestFirst = [...events].reverse();
  expect(faultsOf(oldestFirst, head)).toEqual([]);
  const altered = oldestFirst.map((event) =>
    event.seq === 5 ? { ...event, target: { ...event.target, name: "x" } } : event,
  );
  expect(faultsOf(altered, head)).not.toEqual([]);
  expect(
    faultsOf(
      oldestFirst.filter(({ seq }) => seq !== 5),
      head,
    ),
  ).not.toEqual([]);
  expect(faultsOf(oldestFirst.slice(0, -1), head)).not.toEqual([]);
});

test("the chain verifies after a change of every member that can be changed, times among them", async () => {
  const made = await send(service, "POST /v1/secret-keys", { headers, body: { name: "all members" } });
  const { id } = made.body.secretKey;
  const expiresAt = new Date(Date.now() + 86_400_000).toISOString();
  const body = {
    name: "changed",
    expiresAt,
    scopes: ["read:logs"],
    requestsPerMinute: 5,
    allowedAddresses: ["10.0.0.0/8"],
  };
  expect((await send(service, `PATCH /v1/secret-keys/${id}`, { headers, body })).status).toBe(200);
  const { events, head } = await trail();
  expect(events[0]?.details).toMatchObject({ expiresAt });
  expect(faultsOf([...events].reverse(), head)).toEqual([]);
});

test("a change that fails leaves no record", async () => {
  const before = (await trail()).head.seq;
  await send(service, "POST /v1/projects", { headers, body: { name: "default" } });
  await send(service, "POST /v1/secret-keys", { headers, body: { name: "" } });
  expect((await trail()).head.seq).toBe(before);
});

test("a key that is narrowed to a project does not read the record of the whole organization", async () => {
  const body = { name: "narrow", projectId: service.projectId };
  const made = await send(service, "POST /v1/secret-keys", { headers, body });
  const answer = await send(service, "GET /v1/audit", { headers: bearer(made.body.secretKey.value) });
  expect(answer).toMatchObject({ status: 403, body: { reason: "project_mismatch" } });
});

test("pages hold every event once, newest first", async () => {
  const all = (await trail()).events.map(({ seq }) => seq);
  const seen: number[] = [];
  let cursor = "";
  do {
    const page = await trail(`limit=7${cursor}`);
    seen.push(...page.events.map(({ seq }) => seq));
    cursor = page.nextCursor ? `&cursor=${page.nextCursor}` : "";
  } while (cursor);
  expect(seen).toEqual(all);
});

describe("the filter for an action", () => {
  test.each([
    ["secret_key.create", ["secret_key.created", "secret_key.rotation_finished"], ["public_key.created"]],
    ["key.created", ["secret_key.created", "public_key.created", "project.created"], ["secret_key.revoked"]],
    ["public_key.deactivated", ["public_key.revoked", "public_key.revealed"], ["secret_key.revoked"]],
    ["SECRET_KEY.CREATED", ["secret_key.created", "query.deleted"], []],
    ["", ["secret_key.created", "query.deleted"], []],
  ])("refuses %s and names the near ones", async (action, named, unnamed) => {
    const { status, body } = await send(service, `GET /v1/audit?action=${action}`, { headers });
    expect({ status, path: body.issues?.[0].path }).toEqual({ status: 400, path: "action" });
    for (const name of named) expect(body.message).toContain(name);
    for (const name of unnamed) expect(body.message).not.toContain(name);
  });

  test("takes every action that there is, and finds only its events", async () => {
    const all = (await trail()).events;
    for (const action of auditActions) {
      expect((await trail(`limit=1000&action=${action}`)).events).toEqual(
        all.filter((event: AuditEvent) => event.action === action),
      );
    }
    expect(new Set(auditActions).size).toBe(auditActions.length);
  });
});

test("no event holds a key", async () => {
  const { rows } = await queryDatabase(
    service.databaseUrl,
    "select count(*)::int as hits from audit_events e where e::text ~ '[sp]k_live_[0-9A-Za-z]{30}'",
  );
  expect(rows[0].hits).toBe(0);
});

function faultsOf(events: readonly AuditEvent[], head: { seq: number; hash: string }): string[] {
  const faults: string[] = [];
  let previous = { seq: 0, hash: firstPreviousHash };
  for (const event of events) {
    if (event.seq !== previous.seq + 1) faults.push(`${event.seq} does not follow ${previous.seq}`);
    if (event.previousHash !== previous.hash) faults.push(`${event.seq} is not chained`);
    if (createHash("sha256").update(auditText(event)).digest("hex") !== event.hash)
      faults.push(`${event.seq} was altered`);
    previous = event;
  }
  if (previous.hash !== head.hash) faults.push("the end is missing");
  return faults;
}
