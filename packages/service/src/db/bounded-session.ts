import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import { OpenTransaction, sessionSettings, type Transaction } from "./database.ts";

export interface BoundedSessionOptions {
  readonly url: string;
  /** Application name in `pg_stat_activity`. */
  readonly name: string;
  /** Time limit after which the server stops a statement. */
  readonly timeMs: number;
  /** Additional time in which the server must stop the statement; also the time limit for a cancelled statement. */
  readonly graceMs: number;
  /** Aborted when the result is no longer needed. */
  readonly signal?: AbortSignal | undefined;
  /** Creates the error with which the result rejects after the time limit. */
  readonly overdue: () => Error;
}

export interface BoundedRun<T> {
  /** Settles at the time limit or when the signal is aborted, even if the server does not respond. */
  readonly result: Promise<T>;
  /** Resolves when the server process has ended and its memory is released. Never rejects. */
  readonly ended: Promise<void>;
}

/** After this time, a server process that does not end is abandoned: its machine is considered lost. */
const abandonAfterMs = 300_000;

/**
 * Runs work in a transaction on a dedicated connection that is closed afterwards, so that the work
 * leaves neither changes nor held resources. Work that exceeds the time limit is cancelled, then its
 * server process is terminated.
 */
export function runBounded<T>(options: BoundedSessionOptions, work: (tx: Transaction) => Promise<T>): BoundedRun<T> {
  const client = new pg.Client({
    connectionString: options.url,
    application_name: options.name,
    connectionTimeoutMillis: 5_000,
    keepAlive: true,
    options: sessionSettings(options.timeMs),
  });
  client.on("error", () => {}); // The current statement and all later ones fail.
  const gone = new Promise<void>((resolve) => client.once("end", resolve));
  const connected = client.connect();
  const running = connected.then(() => runWithin(client, options, work, gone));
  const failed = connected.then(
    () => gone,
    () => undefined,
  );
  return { result: untilAborted(running, options.signal), ended: failed };
}

/** Also covers connecting, which takes seconds when the database is unavailable. */
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
  // The driver would close a connection with a running statement, and then its end could not be
  // observed.
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

/** Uses a separate connection. If it cannot connect, the statement ends at its time limit. */
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

/** Returns whether the promise settles within the time. */
async function within(done: Promise<unknown>, timeMs: number): Promise<boolean> {
  const giveUp = new AbortController();
  const late = sleep(timeMs, false, { signal: giveUp.signal }).catch(() => false);
  const isDone = await Promise.race([done.then(() => true), late]);
  giveUp.abort();
  return isDone;
}
