import type { IntakeResult, Level, QueryNode } from "@sazabi/sdk/protocol";
import type { NormalisedEntry } from "./entry.ts";

/** What one request brings for one project. */
export interface LogBatch {
  readonly projectNumber: number;
  readonly entries: readonly NormalisedEntry[];
  /** Memory the entries take, roughly; the queue is bounded by it. */
  readonly bytes: number;
  /** What the request is answered once the entries are committed. */
  readonly result: IntakeResult;
  /** Makes a retried request store nothing and return the first answer. */
  readonly idempotency?: {
    /** 1 to 200 characters, the caller's. */
    readonly key: string;
    /** SHA-256 of the body: the same key with another body is refused. */
    readonly bodyHash: Buffer;
  };
}

/** A place between two entries in the order (time, project, id). */
export interface LogPosition {
  readonly micros: number;
  readonly projectNumber: number;
  readonly id: string;
}

export interface LogSearch {
  readonly projectNumbers: readonly number[];
  readonly query: QueryNode;
  /** Microseconds since 1970, included. */
  readonly fromMicros: number;
  /** Microseconds since 1970, excluded. */
  readonly toMicros: number;
  readonly direction: "asc" | "desc";
  readonly limit: number;
  /** Exclusive. */
  readonly after: LogPosition | undefined;
}

export interface StoredLog {
  readonly position: LogPosition;
  readonly level: Level;
  readonly service: string;
  readonly environment: string | null;
  readonly traceId: string | null;
  readonly spanId: string | null;
  readonly message: string;
  readonly attributes: NormalisedEntry["attributes"];
}

/** Where logs are kept. One interface, whatever the engine. */
export interface LogStore {
  /**
   * Resolves when the entries are committed to disk, with the answer for the request; all of them, or none.
   * Throws `RATE_LIMIT_EXCEEDED` when the queue is full, `CONFLICT` when an idempotency key returns with another
   * body, `UNAVAILABLE` when the database is away: then whether the entries were stored is unknown.
   */
  append(batch: LogBatch): Promise<IntakeResult>;
  /** In the order asked for; one more than `limit` when there is more. */
  search(search: LogSearch): Promise<readonly StoredLog[]>;
  /** Makes room for the days to come, and lets go of what is past its retention. Call it at the start and every hour. */
  keepHouse(): Promise<void>;
  /** Commits what is queued and stops. */
  close(): Promise<void>;
}
