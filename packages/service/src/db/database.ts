import pg from "pg";
import { runTogether, type Step } from "./pipeline.ts";
import { type Sql, sql } from "./sql.ts";

/** A dedicated connection that also receives notifications. */
export interface Listener extends Queryable {
  close(): Promise<void>;
}

/** A dedicated connection, for work under a session-level lock. */
export interface Session extends Queryable {
  /** Closes immediately. The server ends statements in progress. */
  close(): Promise<void>;
}

export interface SessionOptions {
  readonly url: string;
  /** Application name in `pg_stat_activity`. */
  readonly name: string;
  /** PostgreSQL settings of the session. The server rejects unknown ones. */
  readonly settings: Readonly<Record<string, string>>;
}

export interface ListenerOptions {
  readonly url: string;
  readonly channels: readonly string[];
  readonly onNotification: (channel: string, payload: string) => void;
  /** Called when the connection is lost, after which no notifications arrive. Not called after `close`. */
  readonly onEnd: () => void;
  /** Time limit for connecting and for every statement. */
  readonly timeoutMs: number;
}

/** The pool or a transaction. Store functions accept either, so their caller decides what is atomic. */
export interface Queryable {
  query<Row>(statement: Sql): Promise<{ readonly rows: Row[]; readonly rowCount: number }>;
}

export interface Transaction extends Queryable {
  /** Runs SQL from an untrusted source; rejects more than one statement. */
  single(text: string): Promise<void>;
  /** Runs the steps and commits, in one round trip. No statement may follow. */
  finish(steps: readonly Step[]): Promise<void>;
}

export interface Database extends Queryable {
  /**
   * Runs a statement. When `signal` is aborted, the statement is cancelled at the server and the call
   * rejects with the signal's reason.
   */
  query<Row>(
    statement: Sql,
    options?: { readonly signal?: AbortSignal | undefined },
  ): Promise<{ readonly rows: Row[]; readonly rowCount: number }>;
  /**
   * Runs `work` in one transaction, which begins with its first statement. It commits when `work`
   * resolves, and rolls back when it throws. When `signal` is aborted, the running statement is
   * cancelled and the call rejects with the signal's reason.
   */
  transaction<T>(
    work: (tx: Transaction) => Promise<T>,
    options?: { readonly signal?: AbortSignal | undefined },
  ): Promise<T>;
  /** Current state of the pool. `waiting`: number of callers that wait for a connection. */
  connections(): { readonly total: number; readonly idle: number; readonly waiting: number };
  close(): Promise<void>;
}

export interface DatabaseOptions {
  readonly url: string;
  readonly connections: number;
  /**
   * A statement that runs longer is stopped (SQLSTATE 57014). Default 30 s, which only a statement that
   * waits for a lock exceeds.
   */
  readonly statementTimeoutMs?: number;
  /** Called when an idle connection is lost; the pool has already replaced it. */
  readonly onIdleError?: (error: Error) => void;
}

export function openDatabase({
  url,
  connections,
  statementTimeoutMs = 30_000,
  onIdleError,
}: DatabaseOptions): Database {
  const pool = new pg.Pool({
    connectionString: url,
    max: connections,
    connectionTimeoutMillis: 5_000,
    idleTimeoutMillis: 60_000,
    // A server that disappeared does not respond, so its own time limit does not apply.
    query_timeout: statementTimeoutMs + 5_000,
    keepAlive: true,
    application_name: "sazabi",
    options: sessionSettings(statementTimeoutMs),
  });
  // Without a listener, the loss of an idle connection would end the process.
  pool.on("error", (error) => onIdleError?.(error));
  // The same applies between two statements of a transaction; the next statement fails with the reason.
  pool.on("connect", (client) => client.on("error", () => {}));

  return {
    query: (statement, { signal } = {}) =>
      signal ? runUnlessAborted(pool, statement, { url, signal }) : run(pool, statement),
    transaction: (work, { signal } = {}) => transaction(pool, work, signal && { url, signal }),
    connections: () => ({ total: pool.totalCount, idle: pool.idleCount, waiting: pool.waitingCount }),
    close: () => pool.end(),
  };
}

/** A process that is suspended or disconnected during a transaction must not keep its locks longer. */
const idleInTransactionMs = 5_000;

export function sessionSettings(statementTimeoutMs: number): string {
  // Acknowledged writes are on disk, regardless of the server's default.
  return (
    "-c search_path=sazabi,public -c timezone=UTC -c synchronous_commit=on " +
    `-c statement_timeout=${statementTimeoutMs} -c idle_in_transaction_session_timeout=${idleInTransactionMs}`
  );
}

/** Connects and listens. After it resolves, no notification of a later commit is missed until `onEnd`. */
export async function openListener(options: ListenerOptions): Promise<Listener> {
  const { url, channels, onNotification, onEnd, timeoutMs } = options;
  const client = new pg.Client({
    connectionString: url,
    application_name: "sazabi replica",
    connectionTimeoutMillis: timeoutMs,
    query_timeout: timeoutMs,
    keepAlive: true,
    options: sessionSettings(timeoutMs),
  });
  let closed = false;
  client.on("error", () => {}); // "end" follows.
  client.once("end", () => {
    if (!closed) onEnd();
  });
  client.on("notification", ({ channel, payload }) => onNotification(channel, payload ?? ""));
  const close = async () => {
    closed = true;
    await client.end().catch(() => undefined);
  };
  try {
    await client.connect();
    for (const channel of channels) await client.query(`listen ${client.escapeIdentifier(channel)}`);
  } catch (error) {
    await close();
    throw error;
  }
  return { query: (statement) => run(client, statement), close };
}

/** Connects without a time limit for statements. */
export async function openSession({ url, name, settings }: SessionOptions): Promise<Session> {
  const more = Object.entries(settings).map(([setting, value]) => ` -c ${setting}=${value}`);
  const client = new pg.Client({
    connectionString: url,
    application_name: name,
    connectionTimeoutMillis: 5_000,
    keepAlive: true,
    options: sessionSettings(0) + more.join(""),
  });
  client.on("error", () => {}); // The current statement and all later ones fail.
  await client.connect();
  return {
    query: (statement) => run(client, statement),
    close: () => client.end().catch(() => undefined),
  };
}

/** Returns whether the database responds within the time limit for connecting. */
export async function ping(db: Queryable): Promise<boolean> {
  try {
    await db.query(sql`select 1`);
    return true;
  } catch {
    return false;
  }
}

async function run<Row>(target: pg.Pool | pg.ClientBase, { text, values, name }: Sql) {
  const { rows, rowCount } = await target.query({
    text,
    values: values as unknown[],
    ...(name !== undefined && { name }),
  });
  return { rows: rows as Row[], rowCount: rowCount ?? 0 };
}

async function runUnlessAborted<Row>(
  pool: pg.Pool,
  statement: Sql,
  { url, signal }: { url: string; signal: AbortSignal },
): Promise<{ rows: Row[]; rowCount: number }> {
  signal.throwIfAborted();
  const client = await pool.connect();
  let cancelling: Promise<void> | undefined;
  let broken: Error | undefined;
  const onAbort = () => {
    cancelling = cancelStatement(url, client);
  };
  try {
    // The signal may have been aborted during the wait for the connection.
    signal.throwIfAborted();
    signal.addEventListener("abort", onAbort, { once: true });
    return await run<Row>(client, statement).catch((error: Error) => {
      // After an error from the server, the connection is usable; after any other error, its state is
      // unknown.
      if (sqlState(error) === undefined) broken = error;
      throw error;
    });
  } catch (error) {
    signal.throwIfAborted();
    throw error;
  } finally {
    signal.removeEventListener("abort", onAbort);
    // Wait before releasing the connection: the cancellation would otherwise hit the next statement on it.
    await cancelling;
    client.release(broken);
  }
}

/**
 * Uses a separate connection, since those of the pool may all be in use. If it fails, the statement
 * ends at its time limit.
 */
async function cancelStatement(url: string, target: pg.PoolClient): Promise<void> {
  const client = new pg.Client({ connectionString: url, application_name: "sazabi", connectionTimeoutMillis: 5_000 });
  client.on("error", () => {});
  try {
    await client.connect();
    await client.query("select pg_cancel_backend($1)", [(target as { processID?: number }).processID]);
  } catch {
  } finally {
    await client.end().catch(() => undefined);
  }
}

async function transaction<T>(
  pool: pg.Pool,
  work: (tx: Transaction) => Promise<T>,
  reader: { url: string; signal: AbortSignal } | undefined,
): Promise<T> {
  const client = await pool.connect();
  let broken: Error | undefined;
  let cancelling: Promise<void> | undefined;
  const onAbort = () => {
    if (reader) cancelling = cancelStatement(reader.url, client);
  };
  try {
    reader?.signal.throwIfAborted();
    reader?.signal.addEventListener("abort", onAbort, { once: true });
    const tx = new OpenTransaction(client);
    const result = await work(tx);
    reader?.signal.throwIfAborted();
    await tx.commit();
    return result;
  } catch (error) {
    // All cancellations are complete here, so the rollback and later statements on the connection are not
    // affected.
    reader?.signal.removeEventListener("abort", onAbort);
    await cancelling;
    await client.query("rollback").catch((lost: Error) => {
      broken = lost;
    });
    reader?.signal.throwIfAborted();
    throw error;
  } finally {
    reader?.signal.removeEventListener("abort", onAbort);
    await cancelling;
    client.release(broken); // A connection that cannot roll back is not returned to the pool.
  }
}

/** Sends `begin` together with the first statement, which saves a round trip. */
export class OpenTransaction implements Transaction {
  readonly #client: pg.ClientBase;
  #state: "new" | "begun" | "committed" = "new";

  constructor(client: pg.ClientBase) {
    this.#client = client;
  }

  async query<Row>(statement: Sql) {
    if (this.#state !== "new") return run<Row>(this.#client, statement);
    this.#state = "begun";
    const [, result] = await runTogether(this.#client, [begin, statement]);
    return result as { rows: Row[]; rowCount: number };
  }

  /** The extended protocol accepts one statement, whereas a simple query accepts several. */
  async single(text: string): Promise<void> {
    if (this.#state === "new") await this.#client.query(begin.text);
    this.#state = "begun";
    await this.#client.query({ text, queryMode: "extended" } as pg.QueryConfig);
  }

  async finish(steps: readonly Step[]): Promise<void> {
    const first = this.#state === "new" ? [begin] : [];
    this.#state = "begun";
    await runTogether(this.#client, [...first, ...steps, commit]);
    this.#state = "committed";
  }

  async commit(): Promise<void> {
    if (this.#state === "begun") await this.#client.query(commit.text);
  }
}

const begin = sql`begin`;
const commit = sql`commit`;

/** Returns the five-character SQLSTATE of a PostgreSQL error, for example `23505`; undefined for any other error. */
export function sqlState(error: unknown): string | undefined {
  return error instanceof pg.DatabaseError ? error.code : undefined;
}

/**
 * Connection exceptions (class 08); insufficient resources (class 53: connections, disk, memory, the
 * lock table); a server that stops, crashes, starts or became a standby; and locks or statements that
 * timed out because another session holds what they need.
 */
const unavailableStates = /^(?:08...|53...|57P0[1-5]|25006|25P03|55P03|57014)$/;
const networkErrors = new Set([
  "ECONNREFUSED",
  "ECONNRESET",
  "EPIPE",
  "ETIMEDOUT",
  "ENOTFOUND",
  "EHOSTUNREACH",
  "EAI_AGAIN",
  "ENETUNREACH",
  "ENETDOWN",
  "ECONNABORTED",
]);
/** node-postgres sets no code on these errors. */
const lostConnection =
  /Connection terminated|Query read timeout|timeout exceeded when trying to connect|not queryable|Cannot use a pool/;

/** Returns true when the database was unavailable, regardless of the statement: the caller may retry later. */
export function isUnavailable(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const state = sqlState(error);
  if (state) return unavailableStates.test(state);
  const code = (error as NodeJS.ErrnoException).code;
  return (code !== undefined && networkErrors.has(code)) || lostConnection.test(error.message);
}

/** Returns true when another transaction conflicted with this one. Nothing was committed, so it may be repeated. */
export function isConflict(error: unknown): boolean {
  const state = sqlState(error);
  return state === "40P01" || state === "40001";
}

/**
 * Returns true when the values themselves were rejected (SQLSTATE classes 22, 23 and 54), so that a
 * retry would fail too.
 */
export function isRefusedData(error: unknown): boolean {
  return /^(?:22|23|54)/.test(sqlState(error) ?? "");
}

/** Returns true when PostgreSQL stopped the statement at its time limit. */
export function isTimeout(error: unknown): boolean {
  return sqlState(error) === "57014";
}
