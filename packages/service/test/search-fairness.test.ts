import { SazabiAdmin } from "@sazabi/sdk";
import { afterAll, beforeAll, expect, test } from "vitest";
import { bearer, queryDatabase, send, startTestService, type TestService } from "./support/index.ts";

let service: TestService;
let admin: SazabiAdmin;
let otherProject: string;
let narrowedKey: string;

beforeAll(async () => {
  service = await startTestService();
  admin = new SazabiAdmin({ secretKey: service.secretKey, baseUrl: service.url });
  otherProject = (await admin.projects.create({ name: "other", region: "us-west-2" })).id;
  ({ value: narrowedKey } = await admin.secretKeys.create({
    name: "narrowed",
    projectId: otherProject,
    scopes: ["read:logs", "execute:queries"],
  }));
});
afterAll(() => service.close());

const slow = "select sum(ln(1.000123::numeric(1000,900) + g)) from generate_series(1,100000000) g";
const slowStatements = async () => {
  const { rows } = await queryDatabase(
    service.databaseUrl,
    `select count(*)::int as running from pg_stat_activity
     where datname = current_database() and state = 'active' and query_start < now() - interval '300 ms'`,
  );
  return rows[0].running as number;
};

test("slow queries of a key that is narrowed to a project refuse nobody else, and leave with their clients", async () => {
  const gone = new AbortController();
  const attack = Array.from({ length: 18 }, () =>
    fetch(`${service.url}/v1/logs/native-query`, {
      method: "POST",
      headers: { ...bearer(narrowedKey), "content-type": "application/json" },
      body: JSON.stringify({ query: slow }),
      signal: gone.signal,
    }).catch(() => undefined),
  );
  await expect.poll(slowStatements, { timeout: 10_000 }).toBeGreaterThan(0);
  const scope = { projectId: service.projectId };
  for (let round = 0; round < 10; round++) {
    const answers = await Promise.all([
      send(service, "POST /v1/logs/query", { headers: bearer(service.secretKey), body: scope }),
      send(service, "POST /v1/logs/volume", { headers: bearer(service.secretKey), body: scope }),
      send(service, "POST /v1/logs/patterns", { headers: bearer(service.secretKey), body: scope }),
      send(service, "POST /v1/logs/schema", { headers: bearer(service.secretKey), body: scope }),
      send(service, "POST /v1/logs/facets", { headers: bearer(service.secretKey), body: { ...scope, field: "level" } }),
      send(service, "POST /v1/logs/native-query", {
        headers: bearer(service.secretKey),
        body: { ...scope, query: "select count(*) from logs" },
      }),
    ]);
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200, 200]);
  }
  gone.abort();
  await Promise.all(attack);
  // Neither what ran nor what waited is left.
  await expect.poll(slowStatements, { timeout: 10_000 }).toBe(0);
  const answer = await send(service, "POST /v1/logs/native-query", {
    headers: bearer(narrowedKey),
    body: { query: "select count(*) from logs" },
  });
  expect(answer.status).toBe(200);
  expect(await slowStatements()).toBe(0);
});

test("with more services than an answer can hold, the largest have a series, and all others share the last", async () => {
  const hour = Math.floor(Date.now() / 3_600_000) * 3_600_000;
  await queryDatabase(
    service.databaseUrl,
    `insert into log_volume (project_number, minute, level, service, environment, entries)
     select number, to_timestamp($2), 2, 's' || n, '', case n when 7 then 9 else 1 end
     from projects, generate_series(1, 100001) n where id = $1
     on conflict do nothing`,
    [otherProject, hour / 1000],
  );
  const volume = await admin.logs.volume({
    projectId: otherProject,
    startDate: new Date(hour).toISOString(),
    endDate: new Date(hour + 1_800_000).toISOString(),
    // Without it, a shorter one is chosen in the first half of an hour, and only the rows can tell that.
    interval: "1m",
    groupBy: "service",
  });
  expect(volume.total).toBe(100_009);
  expect(volume.series[0]).toMatchObject({ group: "s7", total: 9 });
  expect(volume.series).toHaveLength(1_001);
  expect(volume.series.at(-1)).toMatchObject({ group: "other", otherGroups: 99_001, total: 99_001 });
});
