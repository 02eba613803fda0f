// Measures one project's small requests while another project sends the worst load. Each attack runs beside a victim of
// another project, whose times with and without it are printed. `-- --only bomb` selects by name, `-- --ms 5000` runs
// longer.
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openEmbeddedPostgres } from "../../packages/service/src/embedded-postgres.ts";
import { type AttackerKeys, hostileBodies, senderOf } from "../../packages/service/test/support/hostile-bodies.ts";
import { hostileRequests } from "../../packages/service/test/support/hostile-requests.ts";
import { type Subject, type SubjectProcess, startSubject } from "./harness.ts";

interface Attack {
  readonly name: string;
  /** Prepares the requests before the measurement. Returns the attack, which runs until the signal aborts. */
  readonly prepare: () => (url: string, keys: AttackerKeys, signal: AbortSignal) => Promise<unknown>;
}

/** Each body is sent repeatedly over this many connections. */
const connections = 4;

const withBodies: readonly Attack[] = hostileBodies.map((hostile) => ({
  name: hostile.name,
  prepare() {
    const send = senderOf(hostile);
    return async (url, keys, signal) => {
      const statuses = new Map<number, number>();
      const repeat = async () => {
        while (!signal.aborted) {
          const status = await send(url, keys);
          statuses.set(status, (statuses.get(status) ?? 0) + 1);
          if (status === 429 || status === 503) await rest(20);
        }
      };
      await Promise.all(Array.from({ length: connections }, repeat));
      return counted(statuses);
    };
  },
}));

const withRequests: readonly Attack[] = hostileRequests.map(({ name, attack }) => ({
  name,
  prepare: () => async (url, keys, signal) => {
    const statuses = new Map<number, number>();
    for (const status of await attack(url, keys, signal)) statuses.set(status, (statuses.get(status) ?? 0) + 1);
    return counted(statuses);
  },
}));

const attacks = [...withBodies, ...withRequests];

function counted(statuses: ReadonlyMap<number, number>): string {
  return [...statuses].map(([status, count]) => `${count} × ${status}`).join(", ");
}

const only = argument("--only") ?? "";
const durationMs = Number(argument("--ms") ?? 2_500);
const dataDir = await mkdtemp(join(tmpdir(), "sazabi-bench-"));
const postgres = await openEmbeddedPostgres({ dataDir });
try {
  const env = { DATABASE_URL: postgres.url, DATA_DIR: dataDir };
  const subject = await startSubject(new URL("intake-service.mjs", import.meta.url), env);
  const keys = subject.started["firstKeys"] as AttackerKeys;
  const victim = await newProject(subject.url, keys.secretKey);
  const worst: number[] = [];
  const p99s: number[] = [];
  await measure(subject, victim, rest(durationMs)); // Warm-up.
  for (const { name, prepare } of attacks.filter(({ name }) => name.includes(only))) {
    const attack = prepare();
    await rest(300); // Time for closed connections to be detected.
    const idle = await measure(subject, victim, rest(durationMs));
    await subject.loopDelay();
    const stop = new AbortController();
    const attacking = attack(subject.url, keys, stop.signal);
    const attacked = await measure(subject, victim, rest(durationMs));
    const { loopP99Ms, loopWorstMs } = await subject.loopDelay();
    stop.abort();
    const how = await attacking;
    p99s.push(attacked.p99);
    worst.push(attacked.worst);
    const loop = `loop p99 ${loopP99Ms.toFixed(0)} worst ${loopWorstMs.toFixed(0)} ms`;
    const line = [
      name.padEnd(46),
      `idle ${describe(idle)}`,
      `attacked ${describe(attacked)}`,
      loop,
      await memory(subject),
      how,
    ];
    console.log(line.join("   "));
  }
  console.log(`largest p99 ${Math.max(...p99s).toFixed(0)} ms, worst ${Math.max(...worst).toFixed(0)} ms`);
  await subject.close();
} finally {
  await postgres.close();
  await rm(dataDir, { recursive: true, force: true });
}

interface Times {
  readonly p50: number;
  readonly p99: number;
  readonly worst: number;
  readonly requests: number;
}

/**
 * Sends small requests of the victim's key, checks and intake alternately, until `end` resolves. Fails if a request
 * fails.
 */
async function measure({ url }: Subject, keys: AttackerKeys, end: Promise<unknown>): Promise<Times> {
  let isOver = false;
  void end.then(() => {
    isOver = true;
  });
  const times: number[] = [];
  const client = async () => {
    for (let turn = 0; !isOver; turn++) {
      const startedAt = performance.now();
      const answer =
        turn % 2 === 0
          ? await fetch(`${url}/v1/me`, { headers: { authorization: `Bearer ${keys.secretKey}` } })
          : await fetch(`${url}/v1/logs`, {
              method: "POST",
              headers: { "x-sazabi-key": keys.publicKey, "content-type": "application/json" },
              body: JSON.stringify({ message: "of the victim", turn }),
            });
      await answer.arrayBuffer();
      times.push(performance.now() - startedAt);
      if (!answer.ok) throw new Error(`The victim was answered ${answer.status}.`);
      await rest(10);
    }
  };
  await Promise.all([client(), client(), client()]);
  times.sort((a, b) => a - b);
  const quantile = (part: number) => times[Math.floor(part * (times.length - 1))] as number;
  return { p50: quantile(0.5), p99: quantile(0.99), worst: quantile(1), requests: times.length };
}

function describe({ p50, p99, worst }: Times): string {
  return `p50 ${p50.toFixed(1)} p99 ${p99.toFixed(0)} worst ${worst.toFixed(0)} ms`;
}

async function memory({ pid }: SubjectProcess): Promise<string> {
  const status = await readFile(`/proc/${pid}/status`, "utf8").catch(() => "");
  const mebibytes = (name: string) => Math.round(Number(new RegExp(`${name}:\\s+(\\d+) kB`).exec(status)?.[1]) / 1024);
  return `${mebibytes("VmRSS")} MiB, peak ${mebibytes("VmHWM")}`;
}

async function newProject(url: string, secretKey: string): Promise<AttackerKeys> {
  const post = async (path: string, body: object) => {
    const answer = await fetch(url + path, {
      method: "POST",
      headers: { authorization: `Bearer ${secretKey}`, "content-type": "application/json" },
      body: JSON.stringify(body),
    });
    // biome-ignore lint/suspicious/noExplicitAny: an answer of the API.
    return (await answer.json()) as any;
  };
  const { project } = await post("/v1/projects", { name: "victim" });
  const { publicKey } = await post("/v1/public-keys", { name: "victim", projectId: project.id });
  const created = await post("/v1/secret-keys", { name: "victim" });
  return { publicKey: publicKey.value, secretKey: created.secretKey.value };
}

function rest(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

function argument(name: string): string | undefined {
  const at = process.argv.indexOf(name);
  return at === -1 ? undefined : process.argv[at + 1];
}
