// Compares how fast logs are found and how much space they take. PostgreSQL runs against the same rows in ClickHouse's
// engine and against a program that searches a file. Both stores run the service's own queries.
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { parseQuery } from "@sazabi/sdk/protocol";
import { openDatabase } from "../../packages/service/src/db/database.ts";
import { sql } from "../../packages/service/src/db/sql.ts";
import type { LogScope, LogStore } from "../../packages/service/src/logs/log-store.ts";
import {
  clickHouseMissing,
  startClickHouse,
  type TestClickHouse,
} from "../../packages/service/test/support/clickhouse.ts";
import { startSubject, timedInTurns } from "./harness.ts";
import { dayMs, fillStores, type LogData, linesFile, openStores, projects, type Stores, today } from "./log-data.ts";
import { planted } from "./log-rows.ts";

const run = promisify(execFile);
const rounds = 9;
const limit = 100;

/** Each with the file search that finds the same lines; both ignore case if the search does. */
const searches = {
  rareWord: { query: planted.rareWord, inFile: ["-i", planted.rareWord] },
  rareAttribute: {
    query: `${planted.rareAttribute.key}:${planted.rareAttribute.value}`,
    inFile: [`"${planted.rareAttribute.key}":"${planted.rareAttribute.value}"`],
  },
  lastErrors: { query: "level:error", inFile: ['"level":"error"'] },
} as const;

export interface ReadsOptions {
  readonly databaseUrl: string;
  readonly dataDir: string;
  /** The number of sealed rows. */
  readonly rows: number;
}

export async function benchReads({ databaseUrl, dataDir, rows }: ReadsOptions): Promise<Record<string, number>> {
  if (clickHouseMissing)
    console.log("ClickHouse's engine is not installed (npm run install:chdb): not compared with it.");
  const clickHouse = clickHouseMissing ? undefined : await startClickHouse(join(dataDir, "clickhouse"));
  try {
    const data = await fillStores({ databaseUrl, dataDir, rows, clickHouse });
    const sizes = await compareSizes(databaseUrl, clickHouse, data);
    const stores = await openStores(databaseUrl, clickHouse);
    const found = await compareSearches(stores, linesFile(dataDir));
    const volume = await compareVolume(stores);
    const unsealed = await compareToday(stores, data);
    const endToEnd = await timeCommandLine(stores, { databaseUrl, dataDir, secretKey: data.secretKey });
    await Promise.all([stores.postgres.close(), stores.clickHouse?.close()]);
    return { ...found, ...volume, ...unsealed, ...sizes, ...endToEnd };
  } finally {
    await clickHouse?.stop();
  }
}

/** Compares the size of the sealed days, with all indexes, with the size of the lines that were sent. */
async function compareSizes(
  databaseUrl: string,
  clickHouse: TestClickHouse | undefined,
  { sealedRows, todayRows, rawBytes }: LogData,
): Promise<Record<string, number>> {
  const db = openDatabase({ url: databaseUrl, connections: 1 });
  const { rows: relations } = await db.query<{ kind: string; bytes: string }>(sql`
    select kind, sum(pg_relation_size(oid))::text as bytes
    from (
      select c.oid, 'rows' as kind from pg_inherits i join pg_class c on c.oid = i.inhrelid
      where i.inhparent = 'logs'::regclass and c.relname < ${partition(today)}
      union all
      select x.indexrelid, regexp_replace(n.relname, '^logs_[0-9]+_', '') from pg_inherits i
      join pg_class c on c.oid = i.inhrelid join pg_index x on x.indrelid = c.oid join pg_class n on n.oid = x.indexrelid
      where i.inhparent = 'logs'::regclass and c.relname < ${partition(today)}
      union all
      select c.reltoastrelid, 'long values' from pg_inherits i join pg_class c on c.oid = i.inhrelid
      where i.inhparent = 'logs'::regclass and c.relname < ${partition(today)} and c.reltoastrelid <> 0
    ) r group by kind order by sum(pg_relation_size(oid)) desc`);
  // Tables for all days, which ClickHouse does not have.
  const { rows: beside } = await db.query<{ kind: string; bytes: string }>(sql`
    select name as kind, pg_total_relation_size(name::regclass)::text as bytes
    from unnest('{log_volume,log_volume_added,log_word_maps}'::text[]) as t(name)`);
  await db.close();
  const share = sealedRows / (sealedRows + todayRows);
  const parts = [
    ...relations.map(({ kind, bytes }) => [kind, Number(bytes)] as const),
    ...beside.map(({ kind, bytes }) => [kind, Number(bytes) * share] as const),
  ];
  const postgresBytes = parts.reduce((sum, [, bytes]) => sum + bytes, 0);
  const aRow = (bytes: number) => (bytes / sealedRows).toFixed(1);
  console.log(
    `bytes    a row of ${aRow(rawBytes)}: PostgreSQL ${aRow(postgresBytes)} (${parts.map(([kind, bytes]) => `${kind} ${aRow(bytes)}`).join(", ")})`,
  );
  const ratios: Record<string, number> = { postgresBytesToRaw: postgresBytes / rawBytes };
  if (clickHouse) {
    const before = new Date(today).toISOString().slice(0, 10);
    const [table] = await clickHouse.query<{ bytes: string }>(`
      select sum(bytes_on_disk) as total, toString(total) as bytes from system.parts
      where table = 'logs' and active and toDate(partition) < '${before}' format JSONEachRow`);
    const columns = await clickHouse.query<{ name: string; bytes: string }>(`
      select column as name, sum(column_data_compressed_bytes + column_marks_bytes) as total, toString(total) as bytes
      from system.parts_columns where table = 'logs' and active and toDate(partition) < '${before}'
      group by name order by total desc format JSONEachRow`);
    const clickHouseBytes = Number(table?.bytes);
    console.log(
      `bytes    ClickHouse ${aRow(clickHouseBytes)} (${columns.map(({ name, bytes }) => `${name} ${aRow(Number(bytes))}`).join(", ")}, indexes the rest)`,
    );
    ratios["clickHouseBytesToRaw"] = clickHouseBytes / rawBytes;
  }
  return ratios;
}

/** Searches the newest hundred matches of the sealed rows. A file search for the last lines reads the whole file. */
async function compareSearches({ postgres, clickHouse }: Stores, file: string): Promise<Record<string, number>> {
  const grep = (await hasProgram("rg")) ? "rg" : "grep";
  console.log(`files    searched with ${grep === "rg" ? "rg" : "grep, since rg is not installed"}`);
  const ratios: Record<string, number> = {};
  for (const [name, { query, inFile }] of Object.entries(searches)) {
    await checkAnswers({ postgres, clickHouse }, "sealed", query);
    const ms = await timedInTurns(
      {
        postgres: () => search(postgres, projects.postgres.sealed, query),
        clickHouse: clickHouse && (() => search(clickHouse, projects.clickHouse.sealed, query)),
        file: () => searchFile(grep, inFile, file),
      },
      rounds,
    );
    print(name, ms);
    if (clickHouse) ratios[`${name}ToClickHouse`] = ms.postgres / ms.clickHouse;
    ratios[`${name}ToFile`] = ms.postgres / ms.file;
  }
  return ratios;
}

async function compareVolume({ postgres, clickHouse }: Stores): Promise<Record<string, number>> {
  const volume = (logs: LogStore, project: number) =>
    logs.volume({ ...scopeOf(project, ""), bucketMicros: 60_000_000, groupBy: "level" });
  const ms = await timedInTurns(
    {
      postgres: () => volume(postgres, projects.postgres.sealed),
      clickHouse: clickHouse && (() => volume(clickHouse, projects.clickHouse.sealed)),
    },
    rounds,
  );
  print("volume", ms);
  return clickHouse ? { volumeToClickHouse: ms.postgres / ms.clickHouse } : {};
}

async function compareToday({ postgres, clickHouse }: Stores, { todayRows }: LogData): Promise<Record<string, number>> {
  const { query } = searches.rareWord;
  await checkAnswers({ postgres, clickHouse }, "today", query);
  const ms = await timedInTurns(
    {
      postgres: () => search(postgres, projects.postgres.today, query),
      clickHouse: clickHouse && (() => search(clickHouse, projects.clickHouse.today, query)),
    },
    rounds,
  );
  print(`rareWord, ${todayRows} rows of today`, ms);
  return clickHouse ? { unsealedRareWordToClickHouse: ms.postgres / ms.clickHouse } : {};
}

/** Times the built command line as a process. The same request and the same search are timed separately. */
async function timeCommandLine(
  { postgres }: Stores,
  { databaseUrl, dataDir, secretKey }: { databaseUrl: string; dataDir: string; secretKey: string },
): Promise<Record<string, number>> {
  const program = new URL("intake-service.mjs", import.meta.url);
  const service = await startSubject(program, { DATABASE_URL: databaseUrl, DATA_DIR: dataDir });
  const bin = fileURLToPath(new URL("../../packages/cli/bin/sazabi.cjs", import.meta.url));
  const project = await projectId(databaseUrl, projects.postgres.sealed);
  const env = {
    PATH: process.env.PATH,
    HOME: dataDir,
    SAZABI_API_URL: service.url,
    SAZABI_SECRET_KEY: secretKey,
    SAZABI_PROJECT_ID: project,
  };
  const { query } = searches.lastErrors;
  const startTime = new Date(Date.now() - 5 * dayMs).toISOString();
  const body = JSON.stringify({
    projectId: project,
    search: { query },
    filters: [{ field: "timestamp", op: "gte", value: startTime }],
    pagination: { limit },
  });
  const ask = async () => {
    const headers = { "content-type": "application/json", authorization: `Bearer ${secretKey}` };
    const answer = await fetch(`${service.url}/v1/logs/query`, { method: "POST", headers, body });
    const { data } = (await answer.json()) as { data: unknown[] | null };
    if (data?.length !== limit) throw new Error(`The service found ${data?.length} entries: status ${answer.status}.`);
  };
  const ms = await timedInTurns(
    {
      node: () => run(process.execPath, ["-e", "0"], { env }),
      cli: () => run(process.execPath, [bin, "logs", "query", query, "--since", "5d", "--limit", `${limit}`], { env }),
      request: ask,
      store: () => search(postgres, projects.postgres.sealed, query),
    },
    2 * rounds,
  );
  await service.close();
  const own = ms.cli - ms.node - ms.request;
  console.log(
    `logs query  ${ms.cli.toFixed(1)} ms for ${limit} entries: Node's start ${ms.node.toFixed(1)}, the command line ${own.toFixed(1)}, ` +
      `the service ${(ms.request - ms.store).toFixed(1)}, the store ${ms.store.toFixed(1)}`,
  );
  return { logsQueryToNode: ms.cli / ms.node };
}

async function projectId(databaseUrl: string, number: number): Promise<string> {
  const db = openDatabase({ url: databaseUrl, connections: 1 });
  const { rows } = await db.query<{ id: string }>(sql`select id from projects where number = ${number}`);
  await db.close();
  return (rows[0] as { id: string }).id;
}

/** Checks that both stores return the same non-empty result before they are timed. */
async function checkAnswers({ postgres, clickHouse }: Stores, which: "sealed" | "today", query: string): Promise<void> {
  const lines = async (logs: LogStore, project: number) =>
    (await search(logs, project, query)).map(({ position, message }) => `${position.micros} ${message}`).sort();
  const inPostgres = await lines(postgres, projects.postgres[which]);
  if (inPostgres.length === 0) throw new Error(`${query} is nowhere.`);
  if (!clickHouse) return;
  const inClickHouse = await lines(clickHouse, projects.clickHouse[which]);
  // Entries of the same time are ordered by id, which may differ between the stores, so the last entry may differ.
  const different = inPostgres.filter((line, index) => line !== inClickHouse[index]).length;
  if (inPostgres.length !== inClickHouse.length || different > 1) throw new Error(`The stores differ about ${query}.`);
}

function scopeOf(project: number, query: string): LogScope {
  const fromMicros = (today - 10 * dayMs) * 1000;
  return { projectNumbers: [project], query: parseQuery(query).ast, fromMicros, toMicros: (today + 2 * dayMs) * 1000 };
}

async function search(logs: LogStore, project: number, query: string) {
  return (await logs.search({ ...scopeOf(project, query), direction: "desc", limit, after: undefined })).logs;
}

async function searchFile(grep: "rg" | "grep", pattern: readonly string[], file: string): Promise<void> {
  const flags = grep === "rg" ? ["--no-config", "-F"] : ["-F"];
  const script = `"$@" | tail -n ${limit}`;
  const child = spawn("sh", ["-c", script, "sh", grep, ...flags, ...pattern, file], {
    env: { ...process.env, LC_ALL: "C" },
    stdio: ["ignore", "pipe", "inherit"],
  });
  let bytes = 0;
  child.stdout.on("data", (chunk: Buffer) => {
    bytes += chunk.length;
  });
  const [code] = await once(child, "close");
  if (code !== 0 || bytes === 0) throw new Error(`${grep} found nothing.`);
}

async function hasProgram(name: string): Promise<boolean> {
  return run(name, ["--version"]).then(
    () => true,
    () => false,
  );
}

function print(name: string, ms: Readonly<Record<string, number | undefined>>): void {
  const times = Object.entries(ms).map(([who, time]) => `${who} ${time?.toFixed(1)} ms`);
  console.log(`${name.padEnd(14)} ${times.join("   ")}`);
}

function partition(ms: number): string {
  return `logs_${new Date(ms).toISOString().slice(0, 10).replaceAll("-", "")}`;
}
