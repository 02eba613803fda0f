import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { LocalRateLimiter } from "../src/auth/rate-limit/rate-limit.ts";
import { bearer, send, startTestService, type TestService } from "./support/index.ts";

let service: TestService;
let owner: { headers: Record<string, string> };
beforeAll(async () => {
  service = await startTestService();
  owner = { headers: bearer(service.secretKey) };
});
afterAll(() => service.close());

const names = ["x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"] as const;

function told({ headers }: { headers: Headers }) {
  const [limit, remaining, reset] = names.map((name) => headers.get(name));
  return { limit, remaining, reset };
}

async function keyWith(body: object): Promise<{ id: string; headers: Record<string, string> }> {
  const made = await send(service, "POST /v1/secret-keys", { ...owner, body: { name: "limited", ...body } });
  return { id: made.body.secretKey.id, headers: bearer(made.body.secretKey.value) };
}

const nobody = "00000000-0000-4000-8000-000000000000";

test("every answer to a live key tells how its limit stands, also when the request fails afterwards", async () => {
  const { id, headers } = await keyWith({ requestsPerMinute: 10 });
  const requests: [string, number, { body?: unknown; headers?: Record<string, string> }?][] = [
    ["GET /v1/projects", 200],
    ["GET /projects", 200],
    ["GET /v1/secret-keys/not-an-id", 404],
    [`GET /v1/secret-keys/${nobody}`, 404],
    ["GET /v1/secret-keys?limit=0", 400],
    ["POST /v1/secret-keys", 400, { body: { name: "" } }],
    ["POST /v1/secret-keys", 400, { body: "{", headers: { "content-type": "application/json" } }],
    ["POST /v1/secret-keys", 415, { body: "x", headers: { "content-type": "text/plain" } }],
    ["POST /v1/secret-keys", 413, { body: { name: "x".repeat(300_000) } }],
    [`DELETE /v1/secret-keys/${id}`, 204],
  ];
  for (const [index, [request, status, { body, headers: more } = {}]] of requests.entries()) {
    const answer = await send(service, request, { headers: { ...headers, ...more }, body });
    expect([request, answer.status, told(answer)]).toEqual([
      request,
      status,
      { limit: "10", remaining: String(11 - index), reset: expect.stringMatching(/^\d{10}$/) },
    ]);
  }
});

test("a refusal for want of a scope uses up the limit like any other request", async () => {
  const { headers } = await keyWith({ requestsPerMinute: 10, scopes: ["read:projects"] });
  for (let sent = 1; sent <= 12; sent++) {
    const refused = await send(service, "GET /v1/secret-keys", { headers });
    expect(refused).toMatchObject({ status: 403, body: { reason: "missing_scope" } });
    expect(told(refused)).toMatchObject({ limit: "10", remaining: String(12 - sent) });
  }
  for (const path of ["/v1/secret-keys", "/v1/projects"]) {
    expect(await send(service, `GET ${path}`, { headers })).toMatchObject({ status: 429 });
  }
});

test("the reset is when the full burst is there again, and then it is", async () => {
  const { headers } = await keyWith({ requestsPerMinute: 120 });
  for (let sent = 0; sent < 3; sent++) await send(service, "GET /v1/me", { headers });
  const last = told(await send(service, "GET /v1/me", { headers }));
  const resetInMs = Number(last.reset) * 1000 - Date.now();
  expect(resetInMs).toBeGreaterThan(0);
  expect(resetInMs).toBeLessThan(3_100);
  await sleep(resetInMs);
  expect(told(await send(service, "GET /v1/me", { headers }))).toMatchObject({ remaining: "143" });
});

test("over the limit: 429 with the same headers, and Retry-After is enough", async () => {
  const { headers } = await keyWith({ requestsPerMinute: 60 });
  const fill = await Promise.all(Array.from({ length: 100 }, () => send(service, "GET /v1/me", { headers })));
  const refused = fill.filter(({ status }) => status === 429);
  expect(refused.length).toBeGreaterThan(10);
  for (const answer of refused) expect(told(answer)).toMatchObject({ limit: "60", remaining: "0" });
  const again = await send(service, "GET /v1/me", { headers });
  if (again.status === 429) await sleep(Number(again.headers.get("retry-after")) * 1000);
  expect((await send(service, "GET /v1/me", { headers })).status).toBe(200);
});

test("an answer to nobody's key tells no limit", async () => {
  const answer = await send(service, "GET /v1/me", { headers: bearer("sk_live_nonsense") });
  expect(answer.status).toBe(401);
  expect(told(answer)).toEqual({ limit: null, remaining: null, reset: null });
});

test("a public key has a limit only when given one; a page may read it", async () => {
  const log = (key: string) =>
    send(service, "POST /v1/logs", { headers: { "x-sazabi-key": key }, body: { message: "hello" } });
  expect(told(await log(service.publicKey))).toEqual({ limit: null, remaining: null, reset: null });
  const made = await send(service, "POST /v1/public-keys", { ...owner, body: { name: "slow", requestsPerMinute: 5 } });
  const key = made.body.publicKey.value;
  const answers = [];
  for (let sent = 0; sent < 7; sent++) answers.push(await log(key));
  expect(answers.map(({ status }) => status)).toEqual([202, 202, 202, 202, 202, 202, 429]);
  expect(told(answers[0] as (typeof answers)[0])).toMatchObject({ limit: "5", remaining: "5" });
  for (const name of names) expect(answers[6]?.headers.get("access-control-expose-headers")).toContain(name);
});

test.each([1, 3, 7, 55, 1000, 999_983])(
  "a limit of %i admits 1.2 times as many at once, then as many a minute",
  (limit) => {
    let now = 0;
    const limiter = new LocalRateLimiter(() => now);
    const admittedNow = () => {
      let count = 0;
      while (limiter.bucket("key").take(limit, now).allowed) count += 1;
      return count;
    };
    expect(admittedNow()).toBe(Math.floor(1.2 * limit + 1e-9));
    let admitted = 0;
    for (let tick = 0; tick < 6_000; tick++) {
      now += 10;
      admitted += admittedNow();
    }
    expect(Math.abs(admitted - limit)).toBeLessThanOrEqual(1);
  },
);
