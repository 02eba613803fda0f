import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import { OpenTransaction, sessionSettings, type Transaction } from "./database.ts";

export interface BoundedSessionOptions {
  readonly url: string;
  /** How it is called in `pg_stat_activity`. */
  readonly name: string;
  /** The server stops a statement after it. */
  readonly timeMs: number;
  /** How long after it the server may take to do so; also how long a cancelled statement may take to end. */
  readonly graceMs: number;
  /** Aborted when nobody wants the result any more. */
  readonly signal?: AbortSignal | undefined;
  /** What the result is rejected with when the time is over. */
  readonly overdue: () => Error;
}

export interface BoundedRun<T> {
  /** Settles when the time is over or the signal is aborted, whatever the server does. */
  readonly result: Promise<T>;
  /** Resolves when the server process is gone, and with it what it holds in memory. Never rejects. */
  readonly ended: Promise<void>;
}

/** A server process that does not end for so long is given up: its machine is gone. */
const abandonAfterMs = 300_000;

/**
 * Runs work in a transaction, on a connection of its own that is closed after it: nothing of the work stays, neither what
 * it did nor what it holds. Work that does not end in time is cancelled, and then its server process is terminated.
 */
export function runBounded<T>(options: BoundedSessionOptions, work: (tx: Transaction) => Promise<T>): BoundedRun<T> {
  const client = new pg.Client({
    connectionString: options.url,
    application_name: options.name,
    connectionTimeoutMillis: 5_000,
    keepAlive: true,
    options: sessionSettings(options.timeMs),
  });
  client.on("error", () => {}); // The statement under way fails, and so does every later one.
  const gone = new Promise<void>((resolve) => client.once("end", resolve));
  const connected = client.connect();
  const running = connected.then(() => runWithin(client, options, work, gone));
  const failed = connected.then(
    () => gone,
    () => undefined,
  );
  return { result: untilAborted(running, options.signal), ended: failed };
}

/** Also while the connection is being made, which takes seconds when the database is away. */
async function untilAborted<T>(running: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return running;
  let onAbort = () => {};
  const aborted = new Promise<never>((_, reject) => {
    onAbort = () => reject(signal.reason);
    signal.addEventListener("abort", onAbort, { once: true });
    if (signal.aborted) onAbort();
  });
  try {
    return await Promise.race([running, aborted]);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}

async function runWithin<T>(
  client: pg.Client,
  { url, timeMs, graceMs, signal, overdue }: BoundedSessionOptions,
  work: (tx: Transaction) => Promise<T>,
  gone: Promise<void>,
): Promise<T> {
  let stop: (reason: unknown) => void = () => {};
  const stopped = new Promise<never>((_, reject) => {
    stop = reject;
  });
  const onAbort = () => stop(signal?.reason);
  signal?.addEventListener("abort", onAbort, { once: true });
  if (signal?.aborted) onAbort();
  const timer = setTimeout(() => stop(overdue()), timeMs + graceMs);
  const working = work(new OpenTransaction(client));
  const settled = working.then(
    () => undefined,
    () => undefined,
  );
  try {
    return await Promise.race([stopped, working]);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", onAbort);
    void endSession({ client, url, graceMs, settled, gone });
  }
}

interface Ending {
  readonly client: pg.Client;
  readonly url: string;
  readonly graceMs: number;
  readonly settled: Promise<void>;
  readonly gone: Promise<void>;
}

async function endSession({ client, url, graceMs, settled, gone }: Ending): Promise<void> {
  const pid = (client as { processID?: number }).processID as number;
  const isIdle = await within(settled, 0);
  if (!isIdle) await stopBackend({ url, pid, graceMs, settled });
  // The driver cuts a connection off whose statement runs, and then nobody knows when it ends.
  if (await within(Promise.race([settled, gone]), abandonAfterMs)) {
    await client.end().catch(() => undefined);
  } else {
    client.connection.stream.destroy();
  }
}

interface Stopping {
  readonly url: string;
  readonly pid: number;
  readonly graceMs: number;
  readonly settled: Promise<void>;
}

/** By a connection of its own. If there is none to be had, the statement ends at its time limit. */
async function stopBackend({ url, pid, graceMs, settled }: Stopping): Promise<void> {
  const client = new pg.Client({
    connectionString: url,
    application_name: "sazabi",
    connectionTimeoutMillis: 5_000,
    query_timeout: 5_000,
  });
  client.on("error", () => {});
  try {
    await client.connect();
    await client.query("select pg_cancel_backend($1)", [pid]);
    if (await within(settled, graceMs)) return;
    await client.query("select pg_terminate_backend($1)", [pid]);
  } catch {
  } finally {
    await client.end().catch(() => undefined);
  }
}

/** Whether it is done by then. */
async function within(done: Promise<unknown>, timeMs: number): Promise<boolean> {
  const giveUp = new AbortController();
  const late = sleep(timeMs, false, { signal: giveUp.signal }).catch(() => false);
  const isDone = await Promise.race([done.then(() => true), late]);
  giveUp.abort();
  return isDone;
}
