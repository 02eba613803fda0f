// Logs stored durably, over the same handler that stores nothing, and over PostgreSQL's COPY alone.
import { copyColumns } from "../../packages/service/src/logs/postgres/copy-text.ts";
import { openDatabase } from "../../packages/service/src/store/database.ts";
import { sql } from "../../packages/service/src/store/sql.ts";
import { seeded } from "../../packages/service/test/support/seeded.ts";
import { type Contestant, describe, interleave, median, singleEntries, startSubject } from "./harness.ts";
import { rotate } from "./load.ts";
import { rowOf } from "./log-rows.ts";

const rounds = 3;
const batchRows = 500;
const clients = 8;

export interface IntakeOptions {
  readonly databaseUrl: string;
  readonly dataDir: string;
  /** Of each round of each contestant. */
  readonly durationMs: number;
}

/** Batches of 500 lines and single entries, stored and not; and the same rows by COPY alone, from one process. */
export async function benchIntake({
  databaseUrl,
  dataDir,
  durationMs,
}: IntakeOptions): Promise<Record<string, number>> {
  const env = { DATABASE_URL: databaseUrl, DATA_DIR: dataDir };
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
  const copied = await bareCopy(databaseUrl);
  const durableRows = rate("batches, durable") * batchRows;
  console.log(
    `rows/s   durable ${durableRows.toFixed(0)}   parsed ${(rate("batches, parsed") * batchRows).toFixed(0)}   bare COPY ${copied.toFixed(0)}`,
  );
  return {
    durableBatchToParsed: rate("batches, durable") / rate("batches, parsed"),
    durableBatchToBareCopy: durableRows / copied,
    durableSingleToNothing: rate("single, durable") / rate("single, nothing"),
  };
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
async function bareCopy(databaseUrl: string): Promise<number> {
  const db = openDatabase({ url: databaseUrl, connections: 2 });
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
        const rows = values.map((value, row) => bareText(at * batchRows + row, value)).join("");
        await db.transaction((tx) =>
          tx.finish([{ copy: `copy bare (${copyColumns}) from stdin`, rows: [Buffer.from(rows)] }]),
        );
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
  return `${id}\t1\t${timestamp}\t2\t${service}\t\\N\t\\N\t\\N\t${message}\t${JSON.stringify(attributes)}\t0\n`;
}
