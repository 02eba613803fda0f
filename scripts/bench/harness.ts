import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { availableParallelism, loadavg } from "node:os";
import { type LoadResult, load } from "./load.ts";

/** A server under test, in a process of its own that answers `cpu` with the time it has used. */
export interface Subject {
  readonly url: string;
  /** All that it said when it was ready. */
  readonly started: Readonly<Record<string, unknown>>;
  /** Processor microseconds used so far, in user and system. */
  cpuMicros(): Promise<number>;
  close(): Promise<void>;
}

/** A subject in a process of its own. */
export interface SubjectProcess extends Subject {
  readonly pid: number | undefined;
  /** How late its event loop came to what was due since it was asked last. */
  loopDelay(): Promise<LoopDelay>;
}

interface LoopDelay {
  readonly loopP99Ms: number;
  readonly loopWorstMs: number;
}

/** Runs a built program that sends `{ url }` when it listens and `{ cpuMicros }` whenever it gets a message. */
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

/** One entry a request, from 64 clients. */
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

/** The round in the middle by throughput, and all of them in order. */
export interface Measured extends Measurement {
  readonly rounds: readonly Measurement[];
}

/** One after the other, round after round, so that whatever else the machine does meets all of them. */
export async function interleave(contestants: readonly Contestant[], rounds: number): Promise<Map<string, Measured>> {
  const [busy = 0] = loadavg();
  if (busy > availableParallelism() / 2) console.log(`This machine is busy (load ${busy.toFixed(1)}): expect noise.`);
  for (const { run } of contestants) await run(); // Warm: compiled code, open connections, filled caches.
  const measured = new Map<string, Measurement[]>(contestants.map(({ name }) => [name, []]));
  for (let round = 1; round <= rounds; round++) {
    const turns: { readonly cpuBefore: number; readonly result: LoadResult }[] = [];
    for (const { subject, run } of contestants)
      turns.push({ cpuBefore: await subject.cpuMicros(), result: await run() });
    for (const [index, { name, subject }] of contestants.entries()) {
      const { cpuBefore, result } = turns[index] as (typeof turns)[number];
      // What a server goes on to do when its requests are answered is counted too, until its next turn.
      const next = contestants.findIndex((other, turn) => turn > index && other.subject === subject);
      const cpuAfter = turns[next]?.cpuBefore ?? (await subject.cpuMicros());
      const measurement = { ...result, cpuMicrosPerRequest: (cpuAfter - cpuBefore) / result.requests };
      measured.get(name)?.push(measurement);
      console.log(`round ${round}  ${describe(name, measurement)}`);
    }
  }
  return new Map([...measured].map(([name, results]) => [name, measuredIn(results)]));
}

/** What several runs of the same contestants measured, as one. */
export function together(runs: readonly Map<string, Measured>[]): Map<string, Measured> {
  const names = [...(runs[0]?.keys() ?? [])];
  return new Map(names.map((name) => [name, measuredIn(runs.flatMap((run) => run.get(name)?.rounds ?? []))]));
}

function measuredIn(rounds: readonly Measurement[]): Measured {
  return { ...middle(rounds, ({ requestsPerSecond }) => requestsPerSecond), rounds };
}

/**
 * How much more a processor does of `one` than of `baseline`, by the processor time of a request: the ratio in the middle of
 * those of each round, since what else the machine does changes from round to round more than within one.
 */
export function byProcessorTime(one: Measured, baseline: Measured): number {
  const ratios = one.rounds.map(({ cpuMicrosPerRequest }, round) => {
    const beside = baseline.rounds[round] as Measurement;
    return beside.cpuMicrosPerRequest / cpuMicrosPerRequest;
  });
  return middle(ratios, (ratio) => ratio);
}

/** How much more requests or rows `one` gets through than `baseline`, likewise. */
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

/** Before anything counts: a service that has run for a while has its code compiled, and its caches filled. */
const warmUpRounds = 10;

/** Milliseconds of each, the median of `rounds` in which all take their turn; of one that is undefined, NaN. */
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

/** With `--json` the last line is for a program. */
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
