// Compares durable log intake with the same handler without storage, and with PostgreSQL's COPY alone.

import { openDatabase } from "../../packages/service/src/db/database.ts";
import { sql } from "../../packages/service/src/db/sql.ts";
import { copyColumns } from "../../packages/service/src/logs/engines/postgres/copy-text.ts";
import { seeded } from "../../packages/service/test/support/seeded.ts";
import {
  byThroughput,
  type Contestant,
  describe,
  interleave,
  type Measured,
  type Subject,
  singleEntries,
  startSubject,
} from "./harness.ts";
import { rotate } from "./load.ts";
import { rowOf } from "./log-rows.ts";

const rounds = 7;
const batchRows = 500;
const clients = 8;

export interface IntakeOptions {
  readonly databaseUrl: string;
  readonly dataDir: string;
  /** The duration of each round of single entries. Rounds of batches end when each batch was sent once. */
  readonly durationMs: number;
}

/**
 * Measures batches of 500 lines and single entries, stored and not stored. Also measures the same rows by COPY alone,
 * from one process and from a service that does nothing else.
 */
export async function benchIntake({
  databaseUrl,
  dataDir,
  durationMs,
}: IntakeOptions): Promise<Record<string, number>> {
  const env = { DATABASE_URL: databaseUrl, DATA_DIR: dataDir };
  const program = new URL("intake-service.mjs", import.meta.url);
  const durable = await startSubject(program, env);
  const nothing = await startSubject(program, { ...env, STORE: "nothing" });
  const copying = await startSubject(program, { ...env, STORE: "copy" });
  const { publicKey } = durable.started["firstKeys"] as { publicKey: string };
  const bodies = batchBodies();
  const batches = (name: string, subject: Subject): Contestant => ({
    name,
    subject,
    run: () => {
      const requests = bodies.map((body, index) =>
        requestOf(subject.url, body, {
          "x-sazabi-key": publicKey,
          "idempotency-key": `${Date.now()}-${index}`,
        }),
      );
      return rotate({
        url: subject.url,
        requests,
        connections: clients,
        durationMs,
        sleeps: true,
        expectedStatus: 202,
        once: true,
      });
    },
  });
  const single = (name: string, subject: Subject) =>
    singleEntries(name, subject, { publicKey, durationMs, entry: () => rowOf("small", 1, Date.now(), seeded(1)) });
  const copy = await openBareCopy(databaseUrl, bodies);
  const measured = await interleave(
    [
      batches("batches, durable", durable),
      { name: "batches, COPY", subject: thisProcess, run: copy.run },
      batches("batches, copied", copying),
      batches("batches, parsed", nothing),
      single("single, durable", durable),
      single("single, nothing", nothing),
    ],
    rounds,
  );
  await copy.close();
  await durable.close();
  await nothing.close();
  await copying.close();
  for (const [name, measurement] of measured) console.log(`median   ${describe(name, measurement)}`);
  const of = (name: string) => measured.get(name) as Measured;
  const rows = ["durable", "COPY", "copied", "parsed"].map(
    (name) => `${name} ${(of(`batches, ${name}`).requestsPerSecond * batchRows).toFixed(0)}`,
  );
  console.log(`rows/s   ${rows.join("   ")}`);
  return {
    durableBatchToParsed: byThroughput(of("batches, durable"), of("batches, parsed")),
    durableBatchToBareCopy: byThroughput(of("batches, durable"), of("batches, COPY")),
    copiedBatchToBareCopy: byThroughput(of("batches, copied"), of("batches, COPY")),
    durableSingleToNothing: byThroughput(of("single, durable"), of("single, nothing")),
  };
}

/** Returns batches with different rows and current times. */
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

const thisProcess: Subject = {
  url: "",
  started: {},
  async cpuMicros() {
    const { user, system } = process.cpuUsage();
    return user + system;
  },
  async close() {},
};

/**
 * Parses JSON lines and stores them by COPY, in transactions of one round trip each, two at a time, and nothing else.
 */
async function openBareCopy(
  databaseUrl: string,
  bodies: readonly string[],
): Promise<{ readonly run: Contestant["run"]; readonly close: () => Promise<void> }> {
  const db = openDatabase({ url: databaseUrl, connections: 2 });
  await db.query(sql`create table bare (like logs)`);
  await db.query(sql`create index on bare (project_number, ts, id)`);
  let id = 0;
  return {
    async run() {
      const startedAt = performance.now();
      const latencies: number[] = [];
      let next = 0;
      const lane = async () => {
        for (let at = next++; at < bodies.length; at = next++) {
          const beganAt = performance.now();
          const values = (bodies[at] as string).split("\n").map((line) => JSON.parse(line) as Record<string, unknown>);
          const rows = Buffer.from(values.map((value) => bareText(id++, value)).join(""));
          await db.transaction((tx) => tx.finish([{ copy: `copy bare (${copyColumns}) from stdin`, rows: [rows] }]));
          latencies.push(performance.now() - beganAt);
        }
      };
      await Promise.all([lane(), lane()]);
      const requestsPerSecond = (bodies.length * 1000) / (performance.now() - startedAt);
      latencies.sort((a, b) => a - b);
      const quantile = (part: number) => latencies[Math.floor(part * (latencies.length - 1))] ?? Number.NaN;
      return { requests: bodies.length, requestsPerSecond, p50Ms: quantile(0.5), p99Ms: quantile(0.99) };
    },
    async close() {
      await db.query(sql`drop table bare`);
      await db.close();
    },
  };
}

function bareText(
  id: number,
  { timestamp, service, message, level: _, ...attributes }: Record<string, unknown>,
): string {
  return `${id}\t1\t${timestamp}\t2\t${service}\t\\N\t\\N\t\\N\t${message}\t${JSON.stringify(attributes)}\t0\n`;
}
