// Logs in depth: what it costs to store them durably, and how fast sealed ones are found. Rows are those of log-rows.ts.
import { execFile } from "node:child_process";
import { once } from "node:events";
import { createWriteStream } from "node:fs";
import { mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs, promisify } from "node:util";
import { parseQuery } from "@sazabi/sdk/protocol";
import { openEmbeddedPostgres } from "../../packages/service/src/embedded-postgres.ts";
import { type NormalisedEntry, normaliseEntry } from "../../packages/service/src/logs/entry.ts";
import { copyColumns } from "../../packages/service/src/logs/postgres/copy-text.ts";
import { Sealer } from "../../packages/service/src/logs/postgres/sealing.ts";
import { openPostgresLogStore } from "../../packages/service/src/logs/postgres/store.ts";
import type { LogScope, LogStore } from "../../packages/service/src/logs/store.ts";
import { openDatabase } from "../../packages/service/src/store/database.ts";
import { sql } from "../../packages/service/src/store/sql.ts";
import { seeded } from "../../packages/service/test/support/seeded.ts";
import { type Contestant, describe, interleave, printRatios, singleEntries, startSubject } from "./harness.ts";
import { rotate } from "./load.ts";
import { planted, type RowKind, rowOf } from "./log-rows.ts";

const run = promisify(execFile);
const { values: options } = parseArgs({
  options: {
    rows: { type: "string", default: "1000000" },
    seconds: { type: "string", default: "5" },
    json: { type: "boolean" },
  },
});
const rows = Number(options.rows);
const durationMs = Number(options.seconds) * 1000;
const rounds = 3;
const repetitions = 7;
const batchRows = 500;
const clients = 8;
const dayMs = 86_400_000;
const today = Math.floor(Date.now() / dayMs) * dayMs;

const ratios: Record<string, number> = {};
const dataDir = await mkdtemp(join(tmpdir(), "sazabi-bench-"));
const postgres = await openEmbeddedPostgres({ dataDir });
try {
  await benchIntake();
  await benchSearch();
  printRatios(ratios);
} finally {
  await postgres.close();
  await rm(dataDir, { recursive: true, force: true });
}

/** Batches of 500 lines and single entries, stored and not; and the same rows by COPY alone, from one process. */
async function benchIntake(): Promise<void> {
  const env = { DATABASE_URL: postgres.url, DATA_DIR: dataDir };
  const program = new URL("intake-service.mjs", import.meta.url);
  const durable = await startSubject(program, env);
  const nothing = await startSubject(program, { ...env, STORE: "nothing" });
  const { publicKey } = durable.started["firstKeys"] as { publicKey: string };
  const bodies = batchBodies();
  const batches = (name: string, subject: typeof durable): Contestant => ({
    name,
    subject,
    run: () => {
      const requests = bodies.map((body, index) =>
        requestOf(subject.url, body, {
          "x-sazabi-key": publicKey,
          "idempotency-key": `${Date.now()}-${index}`,
        }),
      );
      return rotate({ url: subject.url, requests, connections: clients, durationMs, expectedStatus: 202, once: true });
    },
  });
  const single = (name: string, subject: typeof durable) =>
    singleEntries(name, subject, { publicKey, durationMs, entry: () => rowOf("small", 1, Date.now(), seeded(1)) });
  const measured = await interleave(
    [
      batches("batches, durable", durable),
      batches("batches, parsed", nothing),
      single("single, durable", durable),
      single("single, nothing", nothing),
    ],
    rounds,
  );
  await durable.close();
  await nothing.close();
  for (const [name, measurement] of measured) console.log(`median   ${describe(name, measurement)}`);
  const rate = (name: string) => measured.get(name)?.requestsPerSecond ?? Number.NaN;
  const copied = await bareCopy();
  const durableRows = rate("batches, durable") * batchRows;
  console.log(
    `rows/s   durable ${durableRows.toFixed(0)}   parsed ${(rate("batches, parsed") * batchRows).toFixed(0)}   bare COPY ${copied.toFixed(0)}`,
  );
  ratios["durableBatchToParsed"] = rate("batches, durable") / rate("batches, parsed");
  ratios["durableBatchToBareCopy"] = durableRows / copied;
  ratios["durableSingleToNothing"] = rate("single, durable") / rate("single, nothing");
}

/** Different rows in each, with the times of now. */
function batchBodies(): readonly string[] {
  const random = seeded(2);
  const now = Date.now();
  return Array.from({ length: 300 }, (_, batch) =>
    Array.from({ length: batchRows }, (_, row) =>
      JSON.stringify(rowOf("small", batch * batchRows + row, now, random)),
    ).join("\n"),
  );
}

function requestOf(url: string, body: string, headers: Readonly<Record<string, string>>): Buffer {
  const { host } = new URL(url);
  const all = {
    host,
    "content-type": "application/x-ndjson",
    "content-length": String(Buffer.byteLength(body)),
    ...headers,
  };
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
  return Buffer.from(`POST /v1/logs HTTP/1.1\r\n${lines.join("")}\r\n${body}`);
}

/** Rows a second of JSON lines parsed and stored by COPY in transactions of 500, two at a time, with nothing beside. */
async function bareCopy(): Promise<number> {
  const db = openDatabase({ url: postgres.url, connections: 2 });
  await db.query(sql`create table bare (like logs)`);
  await db.query(sql`create index on bare (project_number, ts, id)`);
  const bodies = batchBodies();
  const rates: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const startedAt = performance.now();
    let next = 0;
    const lane = async () => {
      for (let at = next++; at < bodies.length; at = next++) {
        const values = (bodies[at] as string).split("\n").map((line) => JSON.parse(line) as Record<string, unknown>);
        const text = values.map((value, row) => bareText(at * batchRows + row, value)).join("");
        await db.transaction((tx) => tx.copyIn(`copy bare (${copyColumns}) from stdin`, [text]));
      }
    };
    await Promise.all([lane(), lane()]);
    rates.push((bodies.length * batchRows * 1000) / (performance.now() - startedAt));
  }
  await db.query(sql`drop table bare`);
  await db.close();
  return median(rates);
}

function bareText(
  id: number,
  { timestamp, service, message, level: _, ...attributes }: Record<string, unknown>,
): string {
  return `1\t${timestamp}\t${id}\t2\t${service}\t\\N\t\\N\t\\N\t${message}\t${JSON.stringify(attributes)}\t0\n`;
}

/** Small rows of three days that are over, sealed; realistic ones for their size; and a day that is not over. */
async function benchSearch(): Promise<void> {
  const file = join(dataDir, "rows.ndjson");
  const raw = await fill("small", rows, { project: 101, from: today - 3 * dayMs, to: today, file });
  const realRows = Math.min(rows, 300_000);
  const realRaw = await fill("realistic", realRows, { project: 102, from: today - 9 * dayMs, to: today - 8 * dayMs });
  const db = openDatabase({ url: postgres.url, connections: 2, statementTimeoutMs: 3_600_000 });
  const sealer = new Sealer({ url: postgres.url, db, onNotice: console.log });
  const sealedAt = performance.now();
  await sealer.seal();
  console.log(`sealed   ${rows + realRows} rows in ${((performance.now() - sealedAt) / 1000).toFixed(0)} s`);
  const size = async (from: number, to: number) => {
    const { rows: found } = await db.query<{ bytes: string }>(sql`
      select sum(pg_total_relation_size(c.oid))::text as bytes from pg_inherits i join pg_class c on c.oid = i.inhrelid
      where i.inhparent = 'logs'::regclass and c.relname >= ${partition(from)} and c.relname < ${partition(to)}`);
    return Number(found[0]?.bytes);
  };
  ratios["bytesSmallToRaw"] = (await size(today - 3 * dayMs, today)) / raw;
  ratios["bytesRealisticToRaw"] = (await size(today - 9 * dayMs, today - 8 * dayMs)) / realRaw;
  await sealer.close();
  await db.close();

  const todayRows = Math.min(rows, 1_000_000);
  await fill("small", todayRows, { project: 103, from: today, to: Math.max(Date.now(), today + 60_000) });
  const logs = openPostgresLogStore({ url: postgres.url, retentionDays: 30 });
  const searches = {
    rareWord: planted.rareWord,
    rareAttribute: `${planted.rareAttribute.key}:${planted.rareAttribute.value}`,
    lastErrors: "level:error",
  };
  // Each with what finds the same lines in the file, without case where the search is without case.
  const inFile = {
    rareWord: ["-i", planted.rareWord],
    rareAttribute: [`"${planted.rareAttribute.key}":"${planted.rareAttribute.value}"`],
    lastErrors: ['"level":"error"'],
  };
  const grep = await hasProgram("rg");
  console.log(`files    searched with ${grep ? "rg" : "grep, since rg is not installed"}`);
  for (const [name, query] of Object.entries(searches) as [keyof typeof searches, string][]) {
    const sealedMs = await timed(() => search(logs, 101, query));
    const fileMs = await timed(() => searchFile(grep, inFile[name], file));
    console.log(`${name.padEnd(14)} sealed ${sealedMs.toFixed(1)} ms   file ${fileMs.toFixed(1)} ms`);
    ratios[`${name}ToFile`] = sealedMs / fileMs;
  }
  const unsealedMs = await timed(() => search(logs, 103, planted.rareWord));
  console.log(`rareWord       ${todayRows} rows of today, not sealed: ${unsealedMs.toFixed(1)} ms`);
  const volumeMs = await timed(() => logs.volume({ ...scopeOf(101, ""), bucketMicros: 60_000_000, groupBy: "level" }));
  console.log(`volume         per minute and level, all days: ${volumeMs.toFixed(1)} ms`);
  const patternsMs = await timed(() => logs.patterns({ ...scopeOf(101, ""), limit: 25 }));
  console.log(`patterns       of all days: ${patternsMs.toFixed(1)} ms`);
  await logs.close();
}

/** Stores rows as intake does, and says how many bytes their lines are. Writes the lines to `file` too. */
async function fill(
  kind: RowKind,
  count: number,
  { project, from, to, file }: { project: number; from: number; to: number; file?: string },
): Promise<number> {
  const db = openDatabase({ url: postgres.url, connections: 1 });
  await db.query(sql`
    insert into projects (organization_id, name, region, number) overriding system value
    select id, ${`bench ${project}`}, 'us-west-2', ${project} from organizations limit 1 on conflict do nothing`);
  await db.close();
  const logs = openPostgresLogStore({ url: postgres.url, retentionDays: 30 });
  const lines = file === undefined ? undefined : createWriteStream(file);
  const random = seeded(project);
  let raw = 0;
  for (let at = 0; at < count; at += 5_000) {
    const entries: NormalisedEntry[] = [];
    let text = "";
    for (let index = at; index < Math.min(count, at + 5_000); index++) {
      const row = rowOf(kind, index, Math.floor(from + ((to - from) * index) / count), random);
      text += `${JSON.stringify(row)}\n`;
      entries.push(normaliseEntry(row, Date.now(), 30 * dayMs) as NormalisedEntry);
    }
    raw += Buffer.byteLength(text);
    if (lines && !lines.write(text)) await once(lines, "drain");
    await logs.append({ projectNumber: project, entries, bytes: text.length, result: { accepted: entries.length } });
  }
  if (lines) await new Promise<void>((resolve) => lines.end(resolve));
  await logs.close();
  return raw;
}

function scopeOf(project: number, query: string): LogScope {
  const fromMicros = (today - 10 * dayMs) * 1000;
  return { projectNumbers: [project], query: parseQuery(query).ast, fromMicros, toMicros: (today + 2 * dayMs) * 1000 };
}

function search(logs: LogStore, project: number, query: string): Promise<unknown> {
  return logs.search({ ...scopeOf(project, query), direction: "desc", limit: 100, after: undefined });
}

/** Whoever asks a file for the last lines reads all of it. */
async function searchFile(rg: boolean, pattern: readonly string[], file: string): Promise<void> {
  const flags = rg ? ["--no-config", "-F"] : ["-F"];
  const { size } = await stat(file);
  await run(rg ? "rg" : "grep", [...flags, ...pattern, file], { maxBuffer: size + 1 }).catch(
    (error: { code?: unknown }) => {
      if (error.code !== 1) throw error;
    },
  );
}

async function hasProgram(name: string): Promise<boolean> {
  return run(name, ["--version"]).then(
    () => true,
    () => false,
  );
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  await work();
  const times: number[] = [];
  for (let round = 0; round < repetitions; round++) {
    const startedAt = performance.now();
    await work();
    times.push(performance.now() - startedAt);
  }
  return median(times);
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}

function partition(ms: number): string {
  return `logs_${new Date(ms).toISOString().slice(0, 10).replaceAll("-", "")}`;
}
