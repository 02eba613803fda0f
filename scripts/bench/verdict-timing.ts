// Tests whether the time of a refusal reveals its reason. Unknown, revoked and expired keys are sent in random order
// over one connection and compared by Welch's t-test. `-- --samples 10000` makes a shorter run.
import { randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openDatabase } from "../../packages/service/src/db/database.ts";
import { migrate } from "../../packages/service/src/db/migrate.ts";
import { sql } from "../../packages/service/src/db/sql.ts";
import { openEmbeddedPostgres } from "../../packages/service/src/embedded-postgres.ts";
import { insertKeys, newKeyValues } from "./bench-keys.ts";
import { startSubject } from "./harness.ts";

const samples = Number(process.argv[process.argv.indexOf("--samples") + 1]) || 100_000;
const known = 1_000;
const kinds = ["unknown", "revoked", "expired"] as const;
type Kind = (typeof kinds)[number];

const dataDir = await mkdtemp(join(tmpdir(), "sazabi-bench-"));
const postgres = await openEmbeddedPostgres({ dataDir });
try {
  await migrate(postgres.url);
  const pepper = randomBytes(32);
  const warm = await makeKeys(pepper, known);
  const cold = await makeKeys(pepper, Math.min(samples, 10_000));
  const ring = `1:${pepper.toString("base64")}`;
  const bench = JSON.stringify({ databaseUrl: postgres.url, dataDir, pepper: ring, masterKey: ring });
  const subject = await startSubject(new URL("keys-service.mjs", import.meta.url), {
    SUBJECT: "verdicts",
    BENCH: bench,
  });
  report("each key once", await measure(subject.url, cold, cold.unknown.length));
  await measure(subject.url, warm, 5_000);
  report("keys that come again and again", await measure(subject.url, warm, samples));
  await subject.close();
} finally {
  await postgres.close();
  await rm(dataDir, { recursive: true, force: true });
}

type Keys = Readonly<Record<Kind, readonly string[]>>;

async function makeKeys(pepper: Buffer, count: number): Promise<Keys> {
  const [revoked, expired] = [
    await insertKeys(postgres.url, pepper, count),
    await insertKeys(postgres.url, pepper, count),
  ] as const;
  const db = openDatabase({ url: postgres.url, connections: 1, statementTimeoutMs: 0 });
  await db.query(sql`update keys set revoked_at = now() where id = any(${revoked.map(({ id }) => id)}::uuid[])`);
  await db.query(sql`update keys set expires_at = now() where id = any(${expired.map(({ id }) => id)}::uuid[])`);
  await db.close();
  const values = (keys: readonly { value: string }[]) => keys.map(({ value }) => value);
  return { unknown: newKeyValues(count), revoked: values(revoked), expired: values(expired) };
}

/** Returns microseconds from the first byte sent to the last byte received, by kind. */
async function measure(url: string, keys: Keys, count: number): Promise<Record<Kind, number[]>> {
  const { hostname, port } = new URL(url);
  const socket = connect({ host: hostname, port: Number(port), noDelay: true });
  const taken: Record<Kind, number[]> = { unknown: [], revoked: [], expired: [] };
  for (let turn = 0; turn < count; turn++) {
    for (const kind of [...kinds].sort(() => Math.random() - 0.5)) {
      const key = keys[kind][turn % keys[kind].length] as string;
      const request = Buffer.from(`GET /v1/validated HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer ${key}\r\n\r\n`);
      taken[kind].push(await ask(socket, request));
    }
  }
  socket.destroy();
  return taken;
}

function ask(socket: Socket, request: Buffer): Promise<number> {
  return new Promise((resolve, reject) => {
    const startedAt = process.hrtime.bigint();
    socket.once("error", reject);
    socket.once("data", (answer) => {
      const micros = Number(process.hrtime.bigint() - startedAt) / 1000;
      socket.removeListener("error", reject);
      if (answer.toString("latin1", 9, 12) !== "401") reject(new Error(answer.toString()));
      resolve(micros);
    });
    socket.write(request);
  });
}

/** Leaves out the slowest 5 %: other programs cause them for all kinds alike, and they hide the effect. */
function report(title: string, taken: Record<Kind, number[]>): void {
  const all = kinds.flatMap((kind) => taken[kind]).sort((a, b) => a - b);
  const limit = all[Math.floor(all.length * 0.95)] as number;
  const kept = kinds.map((kind) => ({ kind, ...statistics(taken[kind].filter((micros) => micros <= limit)) }));
  console.log(`${title}: ${taken.unknown.length} of each`);
  for (const { kind, mean, median } of kept) {
    console.log(`  ${kind.padEnd(8)} mean ${mean.toFixed(1)} µs   median ${median.toFixed(1)} µs`);
  }
  for (const [a, b] of [
    [0, 1],
    [0, 2],
    [1, 2],
  ] as const) {
    const [one, other] = [kept[a], kept[b]] as [(typeof kept)[number], (typeof kept)[number]];
    const t = (one.mean - other.mean) / Math.sqrt(one.variance / one.count + other.variance / other.count);
    console.log(`  ${one.kind} against ${other.kind}: t ${t.toFixed(1)}`);
  }
}

function statistics(values: readonly number[]): { count: number; mean: number; median: number; variance: number } {
  const count = values.length;
  const mean = values.reduce((sum, value) => sum + value, 0) / count;
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (count - 1);
  const median = [...values].sort((a, b) => a - b)[Math.floor(count / 2)] as number;
  return { count, mean, median, variance };
}
