import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { isUnavailable, openDatabase } from "../src/db/database.ts";
import { sql } from "../src/db/sql.ts";
import { type EmbeddedPostgres, openEmbeddedPostgres } from "../src/embedded-postgres.ts";
import { dayMicros, listPartitions, newPartition, partitionDays } from "../src/logs/engines/postgres/days.ts";
import { PartitionIndexBuilder } from "../src/logs/engines/postgres/partition-index-builder.ts";
import { Partitions } from "../src/logs/engines/postgres/partitions.ts";
import { freshDatabase } from "./support/database.ts";
import { bearer, queryDatabase, send, startTestService, type TestService } from "./support/index.ts";

const dayMs = 86_400_000;
const micros = (day: number) => day * dayMicros;

describe("ten years of logs, on a PostgreSQL with the settings it comes with", () => {
  let dataDir: string;
  let postgres: EmbeddedPostgres;
  let service: TestService;

  beforeAll(async () => {
    dataDir = await mkdtemp(join(tmpdir(), "sazabi-test-"));
    postgres = await openEmbeddedPostgres({ dataDir, settings: { fsync: "off", full_page_writes: "off" } });
    service = await startTestService({ databaseUrl: postgres.url, logRetentionDays: 3650 });
  });
  afterAll(async () => {
    await service.close();
    await postgres.close();
    await rm(dataDir, { recursive: true, force: true });
  });

  const ask = (request: string, body?: unknown) =>
    send(service, request, { headers: bearer(service.secretKey), ...(body !== undefined && { body }) });

  test("one request for 3,600 days makes a bounded number of partitions, and searches of all times answer", async () => {
    const entries = Array.from({ length: 3_600 }, (_, daysAgo) => ({
      message: `entry ${daysAgo}`,
      timestamp: Date.now() - daysAgo * dayMs,
      user: `u${daysAgo}`,
    }));
    const sent = await send(service, "POST /v1/logs", {
      headers: { "x-sazabi-key": service.publicKey },
      body: entries,
    });
    expect(sent).toMatchObject({ status: 202, body: { data: { accepted: 3_600 } } });
    const { rows } = await queryDatabase(
      service.databaseUrl,
      "select count(*)::int as partitions from pg_inherits where inhparent = 'logs'::regclass",
    );
    expect(rows[0].partitions).toBeLessThan(190);

    const from = new Date(Date.now() - 3_640 * dayMs).toISOString();
    const all = [{ field: "timestamp", op: "gte", value: from }];
    const endDate = new Date(Date.now() + dayMs).toISOString();
    // More at once than the service runs.
    const answers = await Promise.all(
      Array.from({ length: 2 }, () => [
        ask("POST /v1/logs/query", { filters: all, search: { query: "user:u3599" } }),
        ask("POST /v1/logs/query", { filters: all, search: { query: "nowhere" } }),
        ask("POST /v1/logs/volume", { startDate: from, endDate, interval: "1d" }),
        ask("POST /v1/logs/volume", { startDate: from, endDate, interval: "1d", query: "entry" }),
        ask("POST /v1/logs/facets", { filters: all, field: "user" }),
        ask("POST /v1/logs/patterns", { startDate: from, endDate }),
        ask("GET /v1/logs/1800?before=5&after=5"),
        ask("POST /v1/logs/native-query", { query: "select count(*) from logs" }),
      ]).flat(),
    );
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200));
    const [found, , volume, counted, , patterns, context, native] = answers.map(({ body }) => body);
    expect(found.data).toMatchObject([{ message: "entry 3599" }]);
    expect(volume.total).toBe(3_600);
    expect(counted.total).toBe(3_600);
    expect(patterns.patterns).toMatchObject([{ occurrences: 3_600 }]);
    expect([context.before.length, context.after.length]).toEqual([5, 5]);
    expect(native.result).toContain("3600");
  });
});

describe("partitions", () => {
  test.each([
    [1, 1],
    [30, 1],
    [180, 1],
    [181, 2],
    [365, 3],
    [3650, 21],
  ])("a retention of %i days has partitions of %i", (retention, days) => {
    expect(partitionDays(retention)).toBe(days);
  });

  test("a new one never overlaps another, whatever the lengths were before", () => {
    let seed = 7;
    const random = (below: number) => {
      seed = (seed * 48_271) % 2_147_483_647;
      return seed % below;
    };
    for (let round = 0; round < 200; round++) {
      const made: ReturnType<typeof newPartition>[] = [];
      for (let at = 0; at < 60; at++) {
        const day = 20_000 + random(200);
        if (made.some(({ fromDay, toDay }) => fromDay <= day && day < toDay)) continue;
        const one = newPartition(day, 1 + random(21), made);
        expect(one.fromDay <= day && day < one.toDay, JSON.stringify(one)).toBe(true);
        for (const other of made) expect(one.toDay <= other.fromDay || other.toDay <= one.fromDay).toBe(true);
        made.push(one);
      }
    }
  });

  test("those of a day go on when the retention becomes longer, and back; none is dropped before its last day", async () => {
    const today = Math.floor(Date.now() / dayMs);
    const database = await freshDatabase();
    const db = openDatabase({ url: database.url, connections: 2 });
    try {
      const daily = new Partitions(db, 30);
      await daily.ensure([micros(today - 5), micros(today - 2), micros(today)]);
      await new Partitions(db, 3650).ensure(Array.from({ length: 100 }, (_, day) => micros(today + 1 - day)));
      const partitions = await listPartitions(db);
      for (let day = today - 98; day <= today + 1; day++) {
        expect(partitions.filter(({ fromDay, toDay }) => fromDay <= day && day < toDay)).toHaveLength(1);
      }
      expect(
        partitions.filter(({ fromDay, toDay }) => toDay === fromDay + 1 && toDay <= today + 1).length,
      ).toBeGreaterThanOrEqual(3);
      expect(partitions.length).toBeLessThan(15);
      // The database agrees with the names.
      await db.query(sql`
        insert into logs (project_number, ts, id, level, service, message, attributes)
        select 1, to_timestamp(d * 86400), d, 0, '', '', '{}' from generate_series(${today - 98}::int, ${today + 1}::int) d`);
      const sealer = new PartitionIndexBuilder({ url: database.url, db, onNotice: () => {} });
      await sealer.seal(micros(today) + dayMicros / 2);
      const underWay = partitions.find(({ toDay }) => toDay > today);
      expect((await sealer.sealed()).beforeMicros).toBe(micros(underWay?.fromDay as number));
      await sealer.close();

      await daily.dropExpired();
      const { rows } = await db.query<{ oldest: number }>(
        sql`select (min(extract(epoch from ts)) / 86400)::int as oldest from logs`,
      );
      expect(rows[0]?.oldest).toBeLessThanOrEqual(today - 30);
      expect(rows[0]?.oldest).toBeGreaterThan(today - 30 - 21);
    } finally {
      await db.close();
      await database.drop();
    }
  });
});

test("a database without resources to spare is unavailable, and says so", async () => {
  const of = (code: string) => Object.assign(new pg.DatabaseError("no", 2, "error"), { code });
  for (const code of ["53000", "53100", "53200", "53300", "53400"]) expect(isUnavailable(of(code))).toBe(true);
  for (const code of ["22021", "23505", "42601"]) expect(isUnavailable(of(code))).toBe(false);
});
