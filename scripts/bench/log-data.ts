// The rows that log-reads.ts searches, identical in PostgreSQL, in ClickHouse and in a file.
import { once } from "node:events";
import { createWriteStream } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { openDatabase } from "../../packages/service/src/db/database.ts";
import { migrate } from "../../packages/service/src/db/migrate.ts";
import { sql } from "../../packages/service/src/db/sql.ts";
import { openClickHouseLogStore } from "../../packages/service/src/logs/engines/clickhouse/store.ts";
import { PartitionIndexBuilder } from "../../packages/service/src/logs/engines/postgres/partition-index-builder.ts";
import { openPostgresLogStore } from "../../packages/service/src/logs/engines/postgres/store.ts";
import { type NormalisedEntry, normaliseEntry } from "../../packages/service/src/logs/ingest/entry.ts";
import type { LogStore } from "../../packages/service/src/logs/log-store.ts";
import type { TestClickHouse } from "../../packages/service/test/support/clickhouse.ts";
import { seeded } from "../../packages/service/test/support/seeded.ts";
import { startSubject } from "./harness.ts";
import { rowOf } from "./log-rows.ts";

export const dayMs = 86_400_000;
export const today = Math.floor(Date.now() / dayMs) * dayMs;
const retentionDays = 30;
const batchRows = 5_000;
/** One more than the number of batches that ClickHouse commits together. */
const batchesUnderWay = 8;

/** The project of the rows of three past days, and the project of today's rows. */
export const projects = {
  postgres: { sealed: 101, today: 103 },
  clickHouse: { sealed: 102, today: 104 },
} as const;

export interface Stores {
  readonly postgres: LogStore;
  /** Undefined if its engine is not installed. */
  readonly clickHouse: LogStore | undefined;
}

export interface LogData {
  readonly day: number;
  readonly sealedRows: number;
  readonly todayRows: number;
  /** The size of the lines of the sealed rows, in bytes. */
  readonly rawBytes: number;
  readonly withClickHouse: boolean;
  /** A key of the organization that owns the projects. */
  readonly secretKey: string;
}

export async function openStores(databaseUrl: string, clickHouse: TestClickHouse | undefined): Promise<Stores> {
  return {
    postgres: openPostgresLogStore({ url: databaseUrl, retentionDays }),
    clickHouse:
      clickHouse && (await openClickHouseLogStore({ address: clickHouse.address, databaseUrl, retentionDays })),
  };
}

/** Fills the stores like intake does and seals the past days, unless an earlier run has done so. */
export async function fillStores({
  databaseUrl,
  dataDir,
  rows,
  clickHouse,
}: {
  readonly databaseUrl: string;
  readonly dataDir: string;
  readonly rows: number;
  readonly clickHouse: TestClickHouse | undefined;
}): Promise<LogData> {
  const manifest = join(dataDir, "rows.json");
  const wanted = {
    day: today,
    sealedRows: rows,
    todayRows: Math.min(rows, 1_000_000),
    withClickHouse: clickHouse !== undefined,
  };
  const found = await readFile(manifest, "utf8").then(
    (text) => JSON.parse(text) as LogData,
    () => undefined,
  );
  if (found) {
    await migrate(databaseUrl, () => {});
    for (const [name, value] of Object.entries(wanted)) {
      if (found[name as keyof LogData] !== value) throw new Error(`${dataDir} has other rows (${name}). Remove it.`);
    }
    return found;
  }
  const secretKey = await makeProjects(databaseUrl, dataDir);
  const stores = await openStores(databaseUrl, clickHouse);
  const rawBytes = await fill(stores, "sealed", {
    count: rows,
    from: today - 3 * dayMs,
    to: today,
    file: linesFile(dataDir),
  });
  await seal(databaseUrl);
  // Merges the parts, as ClickHouse would do over time.
  await clickHouse?.query("optimize table logs final");
  await fill(stores, "today", { count: wanted.todayRows, from: today, to: Math.max(Date.now(), today + 60_000) });
  await wordsMapped(databaseUrl);
  await Promise.all([stores.postgres.close(), stores.clickHouse?.close()]);
  const data = { ...wanted, rawBytes, secretKey };
  await writeFile(manifest, JSON.stringify(data), { mode: 0o600 });
  return data;
}

/** Returns the path of the file with the lines of the sealed rows. */
export function linesFile(dataDir: string): string {
  return join(dataDir, "rows.ndjson");
}

async function makeProjects(databaseUrl: string, dataDir: string): Promise<string> {
  const program = new URL("intake-service.mjs", import.meta.url);
  const service = await startSubject(program, { DATABASE_URL: databaseUrl, DATA_DIR: dataDir });
  const { secretKey } = service.started["firstKeys"] as { secretKey: string };
  await service.close();
  const db = openDatabase({ url: databaseUrl, connections: 1 });
  const numbers = Object.values(projects).flatMap((of) => Object.values(of));
  await db.query(sql`
    insert into projects (organization_id, name, region, number) overriding system value
    select id, 'bench ' || n, 'us-west-2', n from organizations cross join unnest(${numbers}::int[]) as n`);
  await db.close();
  return secretKey;
}

interface Filling {
  readonly count: number;
  readonly from: number;
  readonly to: number;
  readonly file?: string;
}

/** Returns the size of the lines in bytes. */
async function fill(stores: Stores, which: "sealed" | "today", { count, from, to, file }: Filling): Promise<number> {
  const startedAt = performance.now();
  const lines = file === undefined ? undefined : createWriteStream(file);
  const random = seeded(which === "sealed" ? 101 : 103);
  const underWay = new Set<Promise<unknown>>();
  let raw = 0;
  for (let at = 0; at < count; at += batchRows) {
    const entries: NormalisedEntry[] = [];
    let text = "";
    for (let index = at; index < Math.min(count, at + batchRows); index++) {
      const row = rowOf("realistic", index, Math.floor(from + ((to - from) * index) / count), random);
      text += `${JSON.stringify(row)}\n`;
      entries.push(normaliseEntry(row, Date.now(), retentionDays * dayMs) as NormalisedEntry);
    }
    raw += Buffer.byteLength(text);
    if (lines && !lines.write(text)) await once(lines, "drain");
    const batch = { entries, bytes: text.length, result: { accepted: entries.length } };
    const stored = Promise.all([
      stores.postgres.append({ ...batch, projectNumber: projects.postgres[which] }),
      stores.clickHouse?.append({ ...batch, projectNumber: projects.clickHouse[which] }),
    ]).finally(() => underWay.delete(stored));
    underWay.add(stored);
    if (underWay.size >= batchesUnderWay) await Promise.race(underWay);
  }
  await Promise.all(underWay);
  if (lines) await new Promise<void>((resolve) => lines.end(resolve));
  console.log(
    `stored   ${count} rows ${which}, ${(raw / count).toFixed(0)} bytes each, in ${secondsSince(startedAt)} s`,
  );
  return raw;
}

async function seal(databaseUrl: string): Promise<void> {
  const startedAt = performance.now();
  const db = openDatabase({ url: databaseUrl, connections: 1 });
  const sealer = new PartitionIndexBuilder({ url: databaseUrl, db, onNotice: console.log });
  await sealer.seal();
  await sealer.close();
  await db.close();
  console.log(`sealed   in ${secondsSince(startedAt)} s`);
}

/** Waits until the background word index is complete, because searches are measured in that state. */
async function wordsMapped(databaseUrl: string): Promise<void> {
  const startedAt = performance.now();
  const db = openDatabase({ url: databaseUrl, connections: 1 });
  for (let unmapped = Number.POSITIVE_INFINITY; unmapped > 2 * batchRows; await sleep(500)) {
    const { rows } = await db.query<{ unmapped: string }>(sql`
      select max(h.last_id - coalesce(m.last_id, 0)) as unmapped
      from log_heads h
      left join lateral (
        select last_id from log_word_maps m where m.project_number = h.project_number order by first_id desc limit 1
      ) m on true
      where h.project_number = any(${Object.values(projects.postgres)}::int[])`);
    unmapped = Number(rows[0]?.unmapped);
  }
  await db.close();
  console.log(`mapped   words, ${secondsSince(startedAt)} s after the last row`);
}

function secondsSince(startedAt: number): string {
  return ((performance.now() - startedAt) / 1000).toFixed(0);
}
