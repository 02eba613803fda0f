import { SazabiApiError } from "./errors.ts";
import { readEvents } from "./events.ts";
import { errorStatus } from "./protocol/errors.ts";
import type { TailEnd, TailedLog, TailFilters, TailFrame } from "./protocol/log-reading.ts";
import type { Id, Timestamp } from "./protocol/resources.ts";
import { type RequestOptions, sleep, type Transport } from "./transport.ts";

export interface TailRequest {
  /** May be left out when the key can see one project only. */
  readonly projectId?: Id | undefined;
  /** The query language of docs/query-language.md. */
  readonly query?: string | undefined;
  readonly filters?: TailFilters | undefined;
  /** The id of an entry: what was committed after it comes first. Left out: only what is committed from now on. */
  readonly cursor?: string | undefined;
}

export interface TailOptions extends RequestOptions {
  /** Told once, when the tail is first connected: what is committed after this id follows. */
  readonly onPosition?: ((cursor: string) => void) | undefined;
  /** Told when the connection was lost and found again; what was committed meanwhile follows, nothing is missing. */
  readonly onGap?: ((gap: TailGap) => void) | undefined;
}

export interface TailGap {
  readonly lostAt: Timestamp;
  readonly resumedAt: Timestamp;
  /** Everything up to this id came before the gap. */
  readonly cursor: string;
  /** How often it was tried. */
  readonly attempts: number;
  /** What the connection was lost with; undefined when the service ended it. */
  readonly cause: unknown;
}

/** The service says something every 15 seconds; a connection that is silent for three times that is dead. */
const silenceMs = 45_000;
const firstWaitMs = 500;
const longestWaitMs = 5_000;

/**
 * Entries as they are committed, each once and ascending by id, until the caller stops reading or `signal` is aborted. A
 * connection that is lost is made again, from the last entry on. Throws when the first connection fails, when the
 * service refuses, and when it ends the tail because its query costs too much (`tail_budget_exceeded`).
 */
export async function* tail(
  transport: Transport,
  request: TailRequest,
  { onGap, onPosition, ...options }: TailOptions = {},
): AsyncGenerator<TailedLog> {
  let { cursor } = request;
  let lost: { at: number; cause: unknown; attempts: number } | undefined;
  let connected = false;
  for (;;) {
    let cause: unknown;
    try {
      const chunks = transport.stream(
        { method: "GET", path: "/tail", query: queryOf(request, cursor), ...options },
        silenceMs,
      );
      for await (const { event, data, id } of readEvents(chunks)) {
        if (lost && cursor !== undefined) {
          onGap?.({
            lostAt: new Date(lost.at).toISOString(),
            resumedAt: new Date().toISOString(),
            cursor,
            attempts: lost.attempts,
            cause: lost.cause,
          });
        }
        lost = undefined;
        if (!connected && id !== "") onPosition?.(id);
        connected = true;
        if (event === "end") throw errorOf(JSON.parse(data) as TailEnd);
        if (event === "log") yield* (JSON.parse(data) as TailFrame).data;
        if (id !== "") cursor = id;
      }
    } catch (error) {
      if (!connected || !isWorthAnotherTry(error) || options.signal?.aborted) throw error;
      cause = error;
    }
    lost ??= { at: Date.now(), cause, attempts: 0 };
    const waitMs = Math.min(firstWaitMs * 2 ** lost.attempts, longestWaitMs);
    lost.attempts += 1;
    await sleep(Math.max(waitMs, 1000 * busySeconds(cause)), options.signal);
  }
}

function queryOf({ projectId, query, filters }: TailRequest, cursor: string | undefined) {
  return { projectId, query, cursor, filters: filters && JSON.stringify(filters) };
}

function errorOf({ code, reason, message }: TailEnd): SazabiApiError {
  return new SazabiApiError(message, {
    code,
    status: errorStatus[code],
    operationId: "logs.tail",
    ...(reason && { reason }),
  });
}

/** What the service refuses for good, it refuses again. */
function isWorthAnotherTry(error: unknown): boolean {
  if (error instanceof SazabiApiError && error.reason === "tail_budget_exceeded") return false;
  return !(error instanceof SazabiApiError) || error.status >= 500 || error.status === 429;
}

function busySeconds(error: unknown): number {
  return error instanceof SazabiApiError ? (error.retryAfterSeconds ?? 0) : 0;
}
