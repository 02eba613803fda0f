import { SazabiAdmin } from "@sazabi/sdk";
import { afterAll, beforeAll, expect, test } from "vitest";
import { bearer, queryDatabase, send, startTestService, type TestService } from "./support/index.ts";

let service: TestService;
let replica: TestService;
let admin: SazabiAdmin;
beforeAll(async () => {
  service = await startTestService();
  replica = await startTestService({ databaseUrl: service.databaseUrl, ...service.keyrings });
  admin = new SazabiAdmin({ baseUrl: service.url, secretKey: service.secretKey });
});
afterAll(async () => {
  await replica.close();
  await service.close();
});

const cities = ["Berlin", "Paris", "Tokyo", "Lagos", "Oslo", "Lima", "Cairo"];

function entries(count: number, from: number): readonly object[] {
  return Array.from({ length: count }, (_, place) => {
    const index = from + place;
    if (index % 3 === 0) return { message: `user logged in from ${cities[index % cities.length]}`, service: "auth" };
    if (index % 3 === 1) return { message: `cache ${index % 2 ? "hit" : "miss"} for key k${index}`, service: "web" };
    return { message: `payment of ${index} cents failed after ${index % 7} tries`, service: "pay", level: "error" };
  });
}

async function store(to: TestService, body: readonly object[]): Promise<void> {
  const answer = await send(to, "POST /v1/logs", { headers: { "x-sazabi-key": service.publicKey }, body });
  expect(answer.status).toBe(202);
}

test("every entry is counted once, in the pattern that its template has become, whichever process learned it", async () => {
  // Small requests, by turns, so that both processes learn the templates while they are stored.
  // With times of their own: the clocks of two processes may differ by milliseconds.
  const start = Date.now() - 1_000;
  for (let at = 0; at < 420; at += 21) {
    const timed = entries(21, at).map((entry, place) => ({ ...entry, timestamp: start + at + place }));
    await store(at % 2 === 0 ? service : replica, timed);
  }
  const { patterns, meta } = await admin.logs.patterns({ limit: 100 });
  expect(meta).toMatchObject({ backendId: "postgresql", count: patterns.length });
  const counts = Object.fromEntries(patterns.map(({ pattern, occurrences }) => [pattern, occurrences]));
  expect(counts).toEqual({
    "user logged in from <*>": 140,
    "cache hit for key <*>": 70,
    "cache miss for key <*>": 70,
    "payment of <*> cents failed after <*> tries": 140,
  });
  const payment = patterns.find(({ serviceName }) => serviceName === "pay");
  expect(payment).toMatchObject({ severity: "ERROR", fingerprint: expect.stringMatching(/^[0-9a-f]{8}$/) });
  const newest = await send(service, `GET /v1/logs/${payment?.representativeId}`, {
    headers: bearer(service.secretKey),
  });
  expect(newest.body.log.message).toBe("payment of 419 cents failed after 6 tries");
  expect(newest.body.log.timestamp).toBe(payment?.lastSeen);
});

test("patterns are those of what was asked for: a query, a severity, a window, so many", async () => {
  const ofErrors = await admin.logs.patterns({ severity: "ERROR" });
  expect(ofErrors.patterns.map(({ serviceName }) => serviceName)).toEqual(["pay"]);
  const ofWeb = await admin.logs.patterns({ query: "service:web hit" });
  expect(ofWeb.patterns).toEqual([expect.objectContaining({ occurrences: 70 })]);
  const one = await admin.logs.patterns({ limit: 1 });
  expect(one.patterns).toHaveLength(1);
  const past = await admin.logs.patterns({ startDate: "2020-01-01T00:00:00Z", endDate: "2020-01-02T00:00:00Z" });
  expect(past.patterns).toEqual([]);
});

test("what was stored before there were patterns is counted too", async () => {
  await queryDatabase(service.databaseUrl, "update logs set pattern_id = null where service = 'auth'");
  const { patterns } = await admin.logs.patterns({ query: "service:auth" });
  expect(patterns).toEqual([expect.objectContaining({ pattern: "<*>", occurrences: 140 })]);
});

test.each([
  { limit: 0 },
  { limit: 101 },
  { query: "" },
  { query: "x".repeat(501) },
  { startDate: "soon" },
  { sort: 1 },
])("%j is refused", async (body) => {
  const answer = await send(service, "POST /v1/logs/patterns", { headers: bearer(service.secretKey), body });
  expect(answer).toMatchObject({ status: 400, body: { operationId: "logs.patterns" } });
});

test("a template that nobody met for as long as logs are kept is forgotten", async () => {
  await queryDatabase(
    service.databaseUrl,
    "insert into log_patterns (project_number, pattern_id, template, seen_on) values (1, 1, 'old', current_date - 40)",
  );
  const other = await startTestService({ databaseUrl: service.databaseUrl, ...service.keyrings });
  await other.close();
  const { rows } = await queryDatabase(service.databaseUrl, "select template from log_patterns where pattern_id = 1");
  expect(rows).toEqual([]);
});
