import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { availableParallelism, loadavg } from "node:os";
import { type LoadResult, load } from "./load.ts";

/** A server under test, in a separate process that answers `cpu` with its processor time. */
export interface Subject {
  readonly url: string;
  /** The message that it sent when it was ready. */
  readonly started: Readonly<Record<string, unknown>>;
  /** User and system processor time used so far, in microseconds. */
  cpuMicros(): Promise<number>;
  close(): Promise<void>;
}

/** A subject in a separate process. */
export interface SubjectProcess extends Subject {
  readonly pid: number | undefined;
  /** The event loop delay since the last call. */
  loopDelay(): Promise<LoopDelay>;
}

interface LoopDelay {
  readonly loopP99Ms: number;
  readonly loopWorstMs: number;
}

/** Runs a built program that sends `{ url }` when it listens, and `{ cpuMicros }` for each message. */
export async function startSubject(program: URL, env: Readonly<Record<string, string>>): Promise<SubjectProcess> {
  const child = fork(program, { execArgv: [], env: { ...process.env, ...env } });
  const started = await nextMessage<{ url: string }>(child);
  return {
    url: started.url,
    pid: child.pid,
    started: { ...started },
    async cpuMicros() {
      child.send("cpu");
      return (await nextMessage<{ cpuMicros: number }>(child)).cpuMicros;
    },
    loopDelay() {
      child.send("cpu");
      return nextMessage<LoopDelay>(child);
    },
    async close() {
      child.disconnect();
      if (child.exitCode === null) await once(child, "exit");
    },
  };
}

async function nextMessage<T>(child: ChildProcess): Promise<T> {
  const ended = new AbortController();
  const exit = once(child, "exit", { signal: ended.signal }).then(() => {
    throw new Error("The server under test ended.");
  });
  const message = once(child, "message", { signal: ended.signal }).then(([value]) => value as T);
  try {
    return await Promise.race([message, exit]);
  } finally {
    ended.abort();
    await Promise.allSettled([message, exit]);
  }
}

export interface Measurement extends LoadResult {
  readonly cpuMicrosPerRequest: number;
}

export interface Contestant {
  readonly name: string;
  readonly subject: Subject;
  readonly run: () => Promise<LoadResult>;
}

/** Sends one entry per request, from 64 clients. */
export function singleEntries(
  name: string,
  subject: Subject,
  { publicKey, durationMs, entry }: { publicKey: string; durationMs: number; entry: () => unknown },
): Contestant {
  const run = () =>
    load({
      url: `${subject.url}/v1/logs`,
      method: "POST",
      headers: { "content-type": "application/json", "x-sazabi-key": publicKey },
      body: JSON.stringify(entry()),
      connections: 64,
      durationMs,
      sleeps: true,
      expectedStatus: 202,
    });
  return { name, subject, run };
}

/** The round with the median throughput, and all rounds in order. */
export interface Measured extends Measurement {
  readonly rounds: readonly Measurement[];
}

/** Runs the contestants alternately, round after round, so that other load on the machine affects all of them. */
export async function interleave(contestants: readonly Contestant[], rounds: number): Promise<Map<string, Measured>> {
  const [busy = 0] = loadavg();
  if (busy > availableParallelism() / 2) console.log(`This machine is busy (load ${busy.toFixed(1)}): expect noise.`);
  for (const { run } of contestants) await run(); // Warm up: compile code, open connections, fill caches.
  const measured = new Map<string, Measurement[]>(contestants.map(({ name }) => [name, []]));
  for (let round = 1; round <= rounds; round++) {
    const turns: { readonly cpuBefore: number; readonly result: LoadResult }[] = [];
    for (const { subject, run } of contestants)
      turns.push({ cpuBefore: await subject.cpuMicros(), result: await run() });
    for (const [index, { name, subject }] of contestants.entries()) {
      const { cpuBefore, result } = turns[index] as (typeof turns)[number];
      // Work that a server does after its responses counts as well, until its next turn.
      const next = contestants.findIndex((other, turn) => turn > index && other.subject === subject);
      const cpuAfter = turns[next]?.cpuBefore ?? (await subject.cpuMicros());
      const measurement = { ...result, cpuMicrosPerRequest: (cpuAfter - cpuBefore) / result.requests };
      measured.get(name)?.push(measurement);
      console.log(`round ${round}  ${describe(name, measurement)}`);
    }
  }
  return new Map([...measured].map(([name, results]) => [name, measuredIn(results)]));
}

/** Merges the measurements of several runs of the same contestants. */
export function together(runs: readonly Map<string, Measured>[]): Map<string, Measured> {
  const names = [...(runs[0]?.keys() ?? [])];
  return new Map(names.map((name) => [name, measuredIn(runs.flatMap((run) => run.get(name)?.rounds ?? []))]));
}

function measuredIn(rounds: readonly Measurement[]): Measured {
  return { ...middle(rounds, ({ requestsPerSecond }) => requestsPerSecond), rounds };
}

/**
 * Returns how much more work per processor time `one` does than `baseline`. The ratio is the median over the rounds,
 * because other load varies more between rounds than within one.
 */
export function byProcessorTime(one: Measured, baseline: Measured): number {
  const ratios = one.rounds.map(({ cpuMicrosPerRequest }, round) => {
    const beside = baseline.rounds[round] as Measurement;
    return beside.cpuMicrosPerRequest / cpuMicrosPerRequest;
  });
  return middle(ratios, (ratio) => ratio);
}

/** Returns how many more requests or rows per second `one` handles than `baseline`, as the median of the rounds. */
export function byThroughput(one: Measured, baseline: Measured): number {
  const ratios = one.rounds.map(({ requestsPerSecond }, round) => {
    const beside = baseline.rounds[round] as Measurement;
    return requestsPerSecond / beside.requestsPerSecond;
  });
  return middle(ratios, (ratio) => ratio);
}

export function describe(name: string, { requestsPerSecond, p50Ms, p99Ms, cpuMicrosPerRequest }: Measurement): string {
  return [
    name.padEnd(16),
    `${requestsPerSecond.toFixed(0).padStart(7)} requests/s`,
    `p50 ${p50Ms.toFixed(2)} ms`,
    `p99 ${p99Ms.toFixed(2)} ms`,
    `${cpuMicrosPerRequest.toFixed(0)} µs of the service's processor time a request`,
  ].join("   ");
}

/** Rounds that are not counted, in which code is compiled and caches are filled. */
const warmUpRounds = 10;

/** Returns the median milliseconds of each over `rounds` alternating rounds; NaN for an undefined entry. */
export async function timedInTurns<Name extends string>(
  contestants: Readonly<Record<Name, (() => Promise<unknown>) | undefined>>,
  rounds: number,
): Promise<Record<Name, number>> {
  const names = Object.keys(contestants) as Name[];
  const times = new Map<Name, number[]>(names.map((name) => [name, []]));
  for (let round = -warmUpRounds; round < rounds; round++) {
    for (const name of names) {
      const startedAt = performance.now();
      await contestants[name]?.();
      if (round >= 0 && contestants[name]) times.get(name)?.push(performance.now() - startedAt);
    }
  }
  const medians = names.map((name) => [name, median(times.get(name) ?? [])]);
  return Object.fromEntries(medians) as Record<Name, number>;
}

export function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}

/** With `--json` the last line is machine-readable. */
export function printRatios(ratios: Readonly<Record<string, number>>): void {
  for (const [name, ratio] of Object.entries(ratios)) console.log(`${name}  ${ratio.toFixed(3)}`);
  if (process.argv.includes("--json")) {
    const rounded = Object.entries(ratios).map(([name, ratio]) => [name, Number(ratio.toFixed(4))]);
    console.log(JSON.stringify({ ratios: Object.fromEntries(rounded) }));
  }
}

function middle<T>(values: readonly T[], by: (value: T) => number): T {
  const sorted = [...values].sort((a, b) => by(a) - by(b));
  return sorted[Math.floor(sorted.length / 2)] as T;
}
