import type { ConditionField, IntakeResult, Level, QueryNode } from "@sazabi/sdk/protocol";
import type { TimeSlices } from "../concurrency/event-loop-fairness.ts";
import type { NormalisedEntry } from "./normalised-entry.ts";

/** The beginning of each project's retention, in microseconds since 1970. */
export type KeptFrom = ReadonlyMap<number, number>;

/** The answer to a request, and members that only some dialects show. */
export interface StoredResult extends IntakeResult {
  /** The places in the batch of entries that were stored before. `duplicates` is their number. */
  readonly repeated?: readonly number[];
}

/** The entries of one request, for one project. */
export interface LogBatch {
  readonly projectNumber: number;
  readonly entries: readonly NormalisedEntry[];
  /** Roughly the memory of the entries, in bytes. The queue is bounded by it. */
  readonly bytes: number;
  /** The answer to the request once the entries are committed. */
  readonly result: StoredResult;
  /** A repeated request stores nothing and gets the first answer. */
  readonly idempotency?: {
    /** 1 to 200 characters, chosen by the caller. */
    readonly key: string;
    /** SHA-256 of the body. The same key with another body is refused. */
    readonly bodyHash: Buffer;
  };
}

/** A place between two entries in the order (time, project, id). */
export interface LogPosition {
  readonly micros: number;
  readonly projectNumber: number;
  readonly id: string;
}

/** The entries of these projects, in this window, that match the query. */
export interface LogScope {
  readonly projectNumbers: readonly number[];
  readonly query: QueryNode;
  /** Microseconds since 1970, included. */
  readonly fromMicros: number;
  /** Microseconds since 1970, excluded. */
  readonly toMicros: number;
  /** Entries before it are past the retention of their project and are not found. `withRetention` sets it. */
  readonly keptFrom?: KeptFrom | undefined;
  /** Aborted when the client disconnects: the database cancels the statement, and the call rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

export interface LogSearch extends LogScope {
  readonly direction: "asc" | "desc";
  readonly limit: number;
  /** Roughly the size of the entries in an answer. The first entry may be larger. Default: 8 MiB. */
  readonly maxBytes?: number | undefined;
  /** Exclusive. */
  readonly after: LogPosition | undefined;
}

export interface FoundLogs {
  readonly logs: readonly StoredLog[];
  /** True when the limit of entries or of bytes left entries out. */
  readonly more: boolean;
}

/** The size of the entries in one answer, in bytes. */
export const maxAnswerBytes = 8 * 1024 * 1024;

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

export interface VolumeRequest extends LogScope {
  /** Buckets begin at multiples of it since 1970. At least one second. */
  readonly bucketMicros: number;
  readonly groupBy: "service" | "level" | "environment" | undefined;
  /**
   * When there would be more than `maxCounts` counts, only this number of groups is counted apart: the largest. All others
   * are counted as one group. Required with `groupBy`.
   */
  readonly largestGroups?: number | undefined;
  /** Default: `maxCounts` of count-limit.ts. */
  readonly maxCounts?: number | undefined;
}

/** The number of entries of a group in a bucket. */
export interface VolumeCount {
  /** Null without `groupBy`, and for entries without the value. */
  readonly group: string | null;
  /** The number of groups that are counted here as one. */
  readonly otherGroups?: number | undefined;
  /** The beginning of the bucket, also when the window begins inside it. */
  readonly startMicros: number;
  readonly entries: number;
}

export interface FacetRequest extends LogScope {
  readonly field: ConditionField;
  readonly limit: number;
}

export interface FacetValue {
  readonly value: string;
  readonly entries: number;
}

export interface PatternRequest extends LogScope {
  readonly limit: number;
}

/** The entries of one template, service and level. */
export interface FoundPattern {
  readonly projectNumber: number;
  readonly patternId: number;
  /** The common part of the messages. `<*>` stands for the parts that differ. */
  readonly template: string;
  /** Empty when there is none. */
  readonly service: string;
  readonly level: Level;
  readonly entries: number;
  readonly firstMicros: number;
  readonly lastMicros: number;
  /** The newest entry. */
  readonly representative: LogPosition;
}

/** The services and attributes in a sample of the newest entries, most frequent first. */
export interface LogFields {
  readonly services: readonly { readonly service: string; readonly entries: number }[];
  readonly attributes: readonly {
    readonly key: string;
    /** The services whose entries have the attribute. */
    readonly services: readonly string[];
    readonly entries: number;
  }[];
}

export interface FollowRequest {
  readonly projectNumbers: readonly number[];
  readonly query: QueryNode;
  /** The last id that was seen of each project. A project without one is read from its first entry. */
  readonly after: ReadonlyMap<number, bigint>;
  readonly limit: number;
  /** The size of messages and attributes. A single entry may be larger. Default: 4 MiB. */
  readonly maxBytes?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface Followed {
  /** Grouped by project, ascending by id. */
  readonly logs: readonly StoredLog[];
  /** The ids to continue after. They are also past entries that do not match. */
  readonly after: ReadonlyMap<number, bigint>;
  /** True when more is committed already. */
  readonly more: boolean;
}

/** A query in the SQL of the engine. */
export interface NativeRequest {
  readonly projectNumber: number;
  /** Entries before it are past the retention of the project and are not found. */
  readonly keptFromMicros?: number | undefined;
  readonly text: string;
  readonly signal?: AbortSignal | undefined;
}

export interface NativeAnswer {
  /** Tab-separated values. The first line has the names of the columns. */
  readonly text: string;
  readonly truncated: boolean;
}

export interface AppendOptions {
  /** Shares the event loop while a large batch is prepared. */
  readonly slices?: TimeSlices;
  /** Called when the batch is queued. Its entries can be freed then. */
  readonly onQueued?: () => void;
  /** Throws when the credential of the sender may no longer store logs. Called just before the commit. */
  readonly assertStillAllowed?: () => void | Promise<void>;
}

/** Stores and searches logs, with either engine. Every query throws `TIMEOUT` when it takes longer than the store allows. */
export interface LogStore {
  /** The engine. */
  readonly backend: { readonly id: string; readonly name: string };
  /**
   * Stores all entries or none. Resolves with the answer to the request when they are committed to disk. Throws
   * `RATE_LIMIT_EXCEEDED` when the queue is full, `CONFLICT` when an idempotency key is used with another body, and
   * `UNAVAILABLE` when the database is unreachable: then it is unknown whether the entries were stored.
   */
  append(batch: LogBatch, options?: AppendOptions): Promise<StoredResult>;
  /** Returns the entries in the requested order, up to the limits of entries and bytes. */
  search(search: LogSearch): Promise<FoundLogs>;
  /** Counts exactly the entries that `search` finds. The oldest bucket is first; empty buckets are left out. */
  volume(request: VolumeRequest): Promise<readonly VolumeCount[]>;
  /**
   * Returns the most frequent values of a field as texts, most frequent first, up to 8 MiB of them. Entries without a value
   * are left out.
   */
  facet(request: FacetRequest): Promise<readonly FacetValue[]>;
  /** Returns the most frequent patterns, most frequent first. Every entry is counted in one pattern. */
  patterns(request: PatternRequest): Promise<readonly FoundPattern[]>;
  fields(scope: LogScope): Promise<LogFields>;
  /** Returns the entries with this id: at most one of each project, since each project counts its own ids. */
  find(projectNumbers: readonly number[], id: bigint, signal?: AbortSignal): Promise<readonly StoredLog[]>;
  /** Returns the highest committed id of each project; 0 when it has no entry. */
  heads(projectNumbers: readonly number[]): Promise<ReadonlyMap<number, bigint>>;
  /** Returns the entries committed after the given ids, in the order of commits, whatever their timestamps. */
  follow(request: FollowRequest): Promise<Followed>;
  /** Runs a query in the SQL of the engine on the entries of one project only. Throws 400 for a query that is refused. */
  queryNative(request: NativeRequest): Promise<NativeAnswer>;
  /** Creates upcoming partitions and drops expired ones. Call it at the start and every hour. */
  runMaintenance(): Promise<void>;
  /** Commits the queue and stops. */
  close(): Promise<void>;
}
