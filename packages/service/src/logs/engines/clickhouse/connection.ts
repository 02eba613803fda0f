import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import type { ClickHouseClient, ClickHouseSettings, ResultSet } from "@clickhouse/client";
import type { ClickHouseAddress } from "../../../config.ts";
import { ApiError } from "../../../errors.ts";
import { queryTimeout } from "../../query-timeout.ts";
import type { Statement } from "./statement.ts";

/** A server over HTTP, as one user and in one database. */
export interface ClickHouse {
  /** Rows of a `select`. Throws `TIMEOUT` beyond `timeoutMs`, `UNAVAILABLE` when the server cannot be asked. */
  rows<Row>(statement: Statement, options: ReadOptions): Promise<Row[]>;
  /** Likewise, one after the other, until `take` says that it has enough. */
  takeRows<Row>(statement: Statement, options: ReadOptions, take: (row: Row) => boolean): Promise<void>;
  /** Resolves when the server has done it. */
  run(statement: Statement, timeoutMs: number): Promise<void>;
  /**
   * Lines of JSON, one a row. Resolves when they are on disk; when it throws, it is not known which of them are. The
   * same lines under the same `token` are stored once.
   */
  insert(into: string, lines: readonly string[], timeoutMs: number, token?: string): Promise<void>;
  close(): Promise<void>;
}

interface ReadOptions {
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
  readonly settings?: ClickHouseSettings;
}

/** Whatever the profile of the user says. */
const always: ClickHouseSettings = {
  // An answer means that it is done, on every server that has to do it.
  async_insert: 0,
  wait_end_of_query: 1,
  insert_distributed_sync: 1,
  output_format_json_quote_64bit_integers: 1,
  precise_float_parsing: 1,
  // An entry that was on its way for long lies in a partition of its own.
  max_partitions_per_insert_block: "0",
};

/** A server that answers late has the time limit first, and says so. */
const graceMs = 5_000;
const connections = 10;
const retryAfterMs = 100;

/** The driver is loaded by whoever keeps logs in ClickHouse, and by nobody else. */
export async function connectClickHouse(address: ClickHouseAddress): Promise<ClickHouse> {
  const { createClient } = await import("@clickhouse/client");
  const client = createClient({
    url: address.url,
    username: address.user,
    password: address.password,
    database: address.database,
    application: "sazabi",
    max_open_connections: connections,
    request_timeout: 600_000,
    clickhouse_settings: always,
    // What fails is told to whoever asked, once.
    log: { level: 127 },
  });
  return {
    rows: <Row>(statement: Statement, options: ReadOptions) =>
      read(client, statement, options, (answer) => answer.json<Row>()),
    takeRows: <Row>(statement: Statement, options: ReadOptions, take: (row: Row) => boolean) =>
      read(client, statement, options, async (answer) => {
        for await (const rows of answer.stream<Row>()) if (!rows.every((row) => take(row.json()))) return;
      }),
    run: (statement, timeoutMs) => run(client, statement, timeoutMs),
    insert: (...given) => insert(client, ...given),
    close: () => client.close(),
  };
}

async function read<Result>(
  client: ClickHouseClient,
  statement: Statement,
  { timeoutMs, signal, settings }: ReadOptions,
  consume: (answer: ResultSet<"JSONEachRow">) => Promise<Result>,
): Promise<Result> {
  signal?.throwIfAborted();
  const { text, values } = statement.rendered();
  const overdue = AbortSignal.timeout(timeoutMs + graceMs);
  try {
    const answer = await client.query({
      query: text,
      query_params: { ...values },
      format: "JSONEachRow",
      abort_signal: signal ? AbortSignal.any([signal, overdue]) : overdue,
      clickhouse_settings: {
        ...settings,
        max_execution_time: timeoutMs / 1000,
        // Together: the server ends the query when its reader leaves.
        readonly: "2",
        cancel_http_readonly_queries_on_client_close: 1,
      },
    });
    return await consume(answer);
  } catch (error) {
    signal?.throwIfAborted();
    if (overdue.aborted) throw queryTimeout(error);
    throw explainConnectionError(error);
  }
}

async function run(client: ClickHouseClient, statement: Statement, timeoutMs: number): Promise<void> {
  const { text, values } = statement.rendered();
  try {
    await client.command({ query: text, query_params: { ...values }, abort_signal: AbortSignal.timeout(timeoutMs) });
  } catch (error) {
    throw explainConnectionError(error);
  }
}

async function insert(
  client: ClickHouseClient,
  into: string,
  lines: readonly string[],
  timeoutMs: number,
  // An insert whose connection broke may be sent again.
  token: string = randomUUID(),
): Promise<void> {
  const { Readable } = await import("node:stream");
  const overdue = AbortSignal.timeout(timeoutMs);
  for (let attempt = 1; ; attempt++) {
    try {
      const { stream } = await client.exec({
        query: `insert into ${into} format JSONEachRow`,
        values: Readable.from(lines, { objectMode: false }),
        abort_signal: overdue,
        clickhouse_settings: {
          insert_deduplication_token: token,
          insert_deduplicate: 1,
          // Entries of one commit may lie in all partitions there are; a table made by hand may have one a day.
          max_partitions_per_insert_block: "0",
        },
      });
      for await (const _ of stream);
      return;
    } catch (error) {
      if (attempt > 1 || overdue.aborted || !isConnectionLost(error)) throw explainConnectionError(error);
      await sleep(retryAfterMs);
    }
  }
}

/** Too slow, too much memory, too many rows read: of the query, and not of the server. */
const tooMuch = new Set(["158", "159", "160", "241", "307", "396"]);
/** Values or statements that the server will never take: ours to mend, so they are a 500 and in the log. */
const ours =
  /^(?:SYNTAX_ERROR|UNKNOWN_|ILLEGAL_|TYPE_MISMATCH|CANNOT_PARSE|CANNOT_COMPILE_REGEXP|BAD_ARGUMENTS|NO_COMMON_TYPE)/;

function explainConnectionError(error: unknown): unknown {
  const { code, type } = error as { code?: string; type?: string };
  if (code !== undefined && tooMuch.has(code)) return queryTimeout(error);
  if (type !== undefined && ours.test(type)) return error;
  return new ApiError("UNAVAILABLE", "The log store does not answer just now. Try again.", {
    retryAfterSeconds: 1,
    cause: error,
  });
}

function isConnectionLost(error: unknown): boolean {
  const { code } = error as { code?: string };
  return code === "ECONNRESET" || code === "EPIPE" || /socket hang up/.test((error as Error).message);
}
