import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, expect, test } from "vitest";
import { bearer, send, startTestService, type TestService } from "./support/index.ts";

/*
 * What those who manage keys are told: of limits, uses, pages and names.
 */

let service: TestService;
let headers: Record<string, string>;
beforeAll(async () => {
  service = await startTestService();
  headers = bearer(service.secretKey);
});
afterAll(() => service.close());

const create = (body: object, kind = "secret") => send(service, `POST /v1/${kind}-keys`, { headers, body });

async function lastEvent() {
  const { body } = await send(service, "GET /v1/audit?limit=1", { headers });
  return body.events[0];
}

test("the record says which limit a key was made with, and what a change replaced", async () => {
  for (const kind of ["secret", "public"]) {
    const { body } = await create({ name: "limited", requestsPerMinute: 7 }, kind);
    const { id } = body[`${kind}Key`];
    expect((await lastEvent()).details).toMatchObject({ requestsPerMinute: 7 });
    await send(service, `PATCH /v1/${kind}-keys/${id}`, { headers, body: { requestsPerMinute: null, name: "free" } });
    expect((await lastEvent()).details).toEqual({
      requestsPerMinute: null,
      name: "free",
      before: { requestsPerMinute: 7, name: "limited" },
    });
  }
});

test("the uses of a window are those of every minute that it touches, and the answer says which", async () => {
  const { body } = await create({ name: "used" });
  const { secretKey } = body;
  const start = Date.now();
  for (let i = 0; i < 3; i++) await send(service, "GET /v1/me", { headers: bearer(secretKey.value) });
  const usage = async (query: string) =>
    (await send(service, `GET /v1/keys/${secretKey.id}/usage?${query}`, { headers })).body;
  const accepted = ({ points }: { points: { accepted: number }[] }) =>
    points.reduce((sum, point) => sum + point.accepted, 0);
  const window = { from: new Date(start).toISOString(), to: new Date(Date.now() + 1).toISOString() };
  const query = new URLSearchParams({ ...window, interval: "1m" });
  await expect.poll(async () => accepted(await usage(`${query}`)), { timeout: 30_000 }).toBe(3);
  const { from, to } = await usage(`${query}`);
  expect([from, to].map((time: string) => time.slice(17))).toEqual(["00.000Z", "00.000Z"]);
  expect(Date.parse(from)).toBeLessThanOrEqual(Date.parse(window.from));
  expect(Date.parse(to)).toBeGreaterThanOrEqual(Date.parse(window.to));
});

test("a cursor that no page gave is refused, by every list", async () => {
  const publicKey = (await create({ name: "web" }, "public")).body.publicKey.id;
  for (const cursor of [randomUUID(), publicKey]) {
    for (const list of ["secret-keys", "queries", "threads", ...(cursor === publicKey ? [] : ["public-keys"])]) {
      const { status, body } = await send(service, `GET /v1/${list}?cursor=${cursor}`, { headers });
      expect({ list, status, path: body.issues?.[0].path }).toEqual({ list, status: 400, path: "cursor" });
    }
  }
});

test("a list without pages refuses what asks for a page", async () => {
  const { id } = (await create({ name: "counted" })).body.secretKey;
  for (const list of ["projects", "organizations", `keys/${id}/usage`]) {
    for (const [name, value] of [
      ["cursor", randomUUID()],
      ["cursor", ""],
      ["limit", "1"],
    ]) {
      const { status, body } = await send(service, `GET /v1/${list}?${name}=${value}`, { headers });
      expect({ list, status, path: body.issues?.[0].path }).toEqual({ list, status: 400, path: name });
      expect(body.message).toContain("has no pages");
    }
    expect((await send(service, `GET /v1/${list}`, { headers })).status).toBe(200);
  }
  const own = `GET /v1/projects?organizationId=${service.organizationId}`;
  expect((await send(service, own, { headers })).body.projects).toHaveLength(1);
});

test("a cursor of the audit log is the number of one of its events", async () => {
  for (const cursor of ["99999999", "x", "0", "1.5", ""]) {
    const { status, body } = await send(service, `GET /v1/audit?cursor=${cursor}`, { headers });
    expect({ cursor, status, path: body.issues?.[0].path }).toEqual({ cursor, status: 400, path: "cursor" });
    expect(body.message).not.toContain("NaN");
  }
  const { body } = await send(service, "GET /v1/audit?limit=1", { headers });
  expect((await send(service, `GET /v1/audit?cursor=${body.head.seq}`, { headers })).status).toBe(200);
});

test("who uses a key that is dead is counted, and shown", async () => {
  const { id, value } = (await create({ name: "leaver" }, "secret")).body.secretKey;
  await send(service, `DELETE /v1/secret-keys/${id}`, { headers });
  for (let use = 0; use < 3; use++) {
    expect((await send(service, "GET /v1/me", { headers: bearer(value) })).status).toBe(401);
  }
  const usage = await send(service, `GET /v1/keys/${id}/usage`, { headers });
  expect(usage.body).toMatchObject({ points: [{ accepted: 0, refused: 3 }] });
});

test("a cursor of the last item is the end of the list, also when its key was revoked meanwhile", async () => {
  const keys = (await send(service, "GET /v1/secret-keys?limit=100", { headers })).body.secretKeys;
  const last = keys.at(-1).id;
  expect((await send(service, `GET /v1/secret-keys?cursor=${last}`, { headers })).body).toMatchObject({
    secretKeys: [],
    nextCursor: null,
  });
  const { id } = (await create({ name: "gone" })).body.secretKey;
  await send(service, `DELETE /v1/secret-keys/${id}`, { headers });
  expect((await send(service, `GET /v1/secret-keys?cursor=${id}`, { headers })).status).toBe(200);
});

test.each([
  ["a space of no width", "\u200b"],
  ["a word joiner", "\u2060"],
  ["a blank letter of Hangul", "\u3164"],
  ["blank Braille", "\u2800"],
  ["a soft hyphen", "\u00ad"],
  ["a combining mark alone", "\u0301"],
  ["an override of direction", "ci\u202egnp"],
  ["an isolate", "\u2066ci\u2069"],
])("a name that is %s is refused", async (_, name) => {
  expect((await create({ name })).status).toBe(400);
  expect((await create({ name }, "public")).status).toBe(400);
  expect((await send(service, "POST /v1/projects", { headers, body: { name } })).status).toBe(400);
  expect((await send(service, "POST /v1/queries", { headers, body: { name, query: "a" } })).status).toBe(400);
});

test("a name that is an id is refused: no command could name the key", async () => {
  const { status, body } = await create({ name: randomUUID() });
  expect({ status, message: body.message }).toEqual({
    status: 400,
    message: expect.stringContaining("look like an id"),
  });
});

test.each(["👩‍👩‍👧‍👦", "नमस्ते", "שלום", "日本", "-", "…", "한글"])("the name %s is taken", async (name) => {
  expect((await create({ name })).status).toBe(201);
});
