// Compares validated requests with the same handler unguarded, with better-auth's API keys, and with a query per
// request. Also measures how long a revocation takes with three processes under load.
import { randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { migrate } from "../../packages/service/src/db/migrate.ts";
import { openEmbeddedPostgres } from "../../packages/service/src/embedded-postgres.ts";
import { type BenchKey, insertKeys } from "./bench-keys.ts";
import {
  byProcessorTime,
  type Contestant,
  describe,
  interleave,
  type Measured,
  type Subject,
  startSubject,
  together,
} from "./harness.ts";
import { type LoadResult, type RotationOptions, rotate } from "./load.ts";

/**
 * Processes per server, run one after the other, because processes of the same code differ by a few per cent; and
 * rounds per process.
 */
const processes = 3;
const rounds = 5;
const durationMs = 2_000;
const connections = 64;
const keysInRotation = 10_000;
const coldRounds = 3;
const revocations = 300;

const dataDir = await mkdtemp(join(tmpdir(), "sazabi-bench-"));
const postgres = await openEmbeddedPostgres({ dataDir });
const pepper = randomBytes(32);
const keyring = (secret: Buffer) => `1:${secret.toString("base64")}`;
const bench = { databaseUrl: postgres.url, dataDir, pepper: keyring(pepper), masterKey: keyring(randomBytes(32)) };
const subjects: Subject[] = [];

try {
  await migrate(postgres.url);
  // One slice of keys for the warm comparison. The cold one needs a slice per round, and one to warm up the code.
  const keys = await insertKeys(postgres.url, pepper, keysInRotation * (1 + coldRounds + 1));
  const warm = await measureWarm(keys.slice(0, keysInRotation));
  const cold = await measureCold(keys.slice(keysInRotation));
  const revokeMs = await measureRevocations();
  print(warm, cold, revokeMs);
} finally {
  for (const subject of subjects) await subject.close();
  await postgres.close();
  await rm(dataDir, { recursive: true, force: true });
}

async function measureWarm(keys: readonly BenchKey[]): Promise<Map<string, Measured>> {
  const betterAuth = await start("keys-peers/better-auth.mjs", {});
  const theirs = betterAuth.started["keys"] as readonly string[];
  const values = keys.map(({ value }) => value);
  const measured: Map<string, Measured>[] = [];
  for (let process = 0; process < processes; process++) {
    const bare = await start("keys-service.mjs", { SUBJECT: "bare" });
    const validated = await start("keys-service.mjs", { SUBJECT: "validated" });
    await ask(validated, requestsOf("/v1/validated", values), { once: true });
    const contestants = [
      contestant("bare", bare, "/v1/bare", values),
      contestant("validated", validated, "/v1/validated", values),
      contestant("better-auth", betterAuth, "/validated", theirs),
    ];
    measured.push(await interleave(contestants, rounds));
    for (const subject of [bare, validated]) await stop(subject);
  }
  return together(measured);
}

/** Uses each key once, so that no cache holds it. The naive implementation has no cache. */
async function measureCold(keys: readonly BenchKey[]): Promise<Map<string, Measured>> {
  const once = (name: string, subject: Subject, path: string): Contestant => {
    let round = 0;
    const run = () => {
      const slice = keys.slice(round * keysInRotation, (round + 1) * keysInRotation);
      round += 1;
      return ask(
        subject,
        requestsOf(
          path,
          slice.map(({ value }) => value),
        ),
        { once: true, sleeps: true },
      );
    };
    return { name, subject, run };
  };
  const cold = await start("keys-service.mjs", { SUBJECT: "cold" });
  const naive = await start("keys-service.mjs", { SUBJECT: "naive" });
  return interleave([once("cold", cold, "/v1/validated"), once("naive", naive, "/v1/naive")], coldRounds);
}

/** Runs 64 clients on each of three replicas, at a thousand requests per second each, below the machine's limit. */
async function measureRevocations(): Promise<{ p50: number; p99: number }> {
  for (const subject of [...subjects]) await stop(subject);
  const replicas: Subject[] = [];
  for (let index = 0; index < 3; index++) replicas.push(await start("keys-service.mjs", { SUBJECT: "replica" }));
  const keys = await insertKeys(postgres.url, pepper, revocations + 100);
  const admin = keys.at(-1)?.value as string;
  const live = keys.slice(revocations).map(({ value }) => value);
  const over = new AbortController();
  const load = Promise.all(
    replicas.map((replica) =>
      ask(replica, requestsOf("/v1/secret-keys/none", live), {
        restMs: connections,
        expectedStatus: 404,
        durationMs: Number.POSITIVE_INFINITY,
        signal: over.signal,
      }),
    ),
  );
  load.catch(() => {}); // It is awaited below; until then a failure must not end the process before the servers are stopped.
  await sleep(3_000);
  const times: number[] = [];
  for (const [index, { id }] of keys.slice(0, revocations).entries()) {
    const startedAt = performance.now();
    const answer = await fetch(`${replicas[index % 3]?.url}/v1/secret-keys/${id}`, {
      method: "DELETE",
      headers: { authorization: `Bearer ${admin}` },
    });
    if (answer.status !== 204) throw new Error(await answer.text());
    times.push(performance.now() - startedAt);
  }
  over.abort();
  await load;
  times.sort((a, b) => a - b);
  const quantile = (part: number) => Number((times[Math.floor(part * (times.length - 1))] as number).toFixed(2));
  return { p50: quantile(0.5), p99: quantile(0.99) };
}

function print(warm: Map<string, Measured>, cold: Map<string, Measured>, revokeMs: { p50: number; p99: number }) {
  for (const [name, measurement] of [...warm, ...cold]) console.log(`median   ${describe(name, measurement)}`);
  const ratio = (measured: Map<string, Measured>, name: string, baseline: string) =>
    Number(byProcessorTime(measured.get(name) as Measured, measured.get(baseline) as Measured).toFixed(4));
  const ratios = {
    validated: ratio(warm, "validated", "bare"),
    betterAuthFastest: ratio(warm, "validated", "better-auth"),
    coldOverNaive: ratio(cold, "cold", "naive"),
  };
  for (const [name, ratio] of Object.entries(ratios)) console.log(`${name}  ${ratio}`);
  console.log(`a revocation  p50 ${revokeMs.p50} ms  p99 ${revokeMs.p99} ms`);
  if (process.argv.includes("--json")) console.log(JSON.stringify({ ratios, revokeMs }));
}

async function start(program: string, env: Readonly<Record<string, string>>): Promise<Subject> {
  const subject = await startSubject(new URL(program, import.meta.url), {
    ...env,
    BENCH: JSON.stringify(bench),
    KEYS: String(keysInRotation),
  });
  subjects.push(subject);
  return subject;
}

async function stop(subject: Subject): Promise<void> {
  subjects.splice(subjects.indexOf(subject), 1);
  await subject.close();
}

function contestant(name: string, subject: Subject, path: string, values: readonly string[]): Contestant {
  const requests = requestsOf(path, values);
  return { name, subject, run: () => ask(subject, requests, {}) };
}

function requestsOf(path: string, values: readonly string[]): readonly Buffer[] {
  return values.map((value) =>
    Buffer.from(
      `GET ${path} HTTP/1.1\r\nhost: 127.0.0.1\r\nuser-agent: bench\r\nauthorization: Bearer ${value}\r\n\r\n`,
    ),
  );
}

function ask({ url }: Subject, requests: readonly Buffer[], options: Partial<RotationOptions>): Promise<LoadResult> {
  return rotate({ url, requests, connections, durationMs, expectedStatus: 200, ...options });
}
