import type { ConditionField, IntakeResult, Level, QueryNode } from "@sazabi/sdk/protocol";
import type { TimeSlices } from "../concurrency/event-loop-fairness.ts";
import type { NormalisedEntry } from "./normalised-entry.ts";

/** From where on the logs of each project are still kept, in microseconds since 1970. */
export type KeptFrom = ReadonlyMap<number, number>;

/** What a request is answered, and what only some dialects tell. */
export interface StoredResult extends IntakeResult {
  /** Which of the entries of the batch were stored before, by their places in it; `duplicates` says how many. */
  readonly repeated?: readonly number[];
}

/** What one request brings for one project. */
export interface LogBatch {
  readonly projectNumber: number;
  readonly entries: readonly NormalisedEntry[];
  /** Memory the entries take, roughly; the queue is bounded by it. */
  readonly bytes: number;
  /** What the request is answered once the entries are committed. */
  readonly result: StoredResult;
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

/** What a question is about: the entries of these projects, in this window, for which the query holds. */
export interface LogScope {
  readonly projectNumbers: readonly number[];
  readonly query: QueryNode;
  /** Microseconds since 1970, included. */
  readonly fromMicros: number;
  /** Microseconds since 1970, excluded. */
  readonly toMicros: number;
  /** What is older is past its project's retention and is not seen; `withRetention` says it for everybody. */
  readonly keptFrom?: KeptFrom | undefined;
  /** Aborted when the reader leaves: the statement is cancelled in the database, and the call rejects with its reason. */
  readonly signal?: AbortSignal | undefined;
}

export interface LogSearch extends LogScope {
  readonly direction: "asc" | "desc";
  readonly limit: number;
  /** Of what an answer shows of entries, roughly; the first entry may be larger. Default 8 MiB. */
  readonly maxBytes?: number | undefined;
  /** Exclusive. */
  readonly after: LogPosition | undefined;
}

export interface FoundLogs {
  readonly logs: readonly StoredLog[];
  /** There are more entries, beyond the limit of entries or of bytes. */
  readonly more: boolean;
}

/** Of the entries of one answer. */
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
  /** Buckets begin at multiples of it since 1970. A second at least. */
  readonly bucketMicros: number;
  readonly groupBy: "service" | "level" | "environment" | undefined;
  /**
   * So many groups at most where there would be more than `maxCounts` numbers: then the largest, and all others as one.
   * Needed with `groupBy`.
   */
  readonly largestGroups?: number | undefined;
  /** Default: `maxCounts` of counts.ts. */
  readonly maxCounts?: number | undefined;
}

/** How many entries of a group a bucket holds. */
export interface VolumeCount {
  /** Null without `groupBy`, and for entries that have no such value. */
  readonly group: string | null;
  /** Of all groups but the largest, counted as one: how many these are. */
  readonly otherGroups?: number | undefined;
  /** Where the bucket begins, also when the window begins inside of it. */
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

/** A kind of message, of one service and level. */
export interface FoundPattern {
  readonly projectNumber: number;
  readonly patternId: number;
  /** What its messages have in common; `<*>` stands for what differs. */
  readonly template: string;
  /** Empty when there is none. */
  readonly service: string;
  readonly level: Level;
  readonly entries: number;
  readonly firstMicros: number;
  readonly lastMicros: number;
  /** The newest of its entries. */
  readonly representative: LogPosition;
}

/** What entries hold, by a sample of the newest: most frequent first. */
export interface LogFields {
  readonly services: readonly { readonly service: string; readonly entries: number }[];
  readonly attributes: readonly {
    readonly key: string;
    /** Whose entries have it. */
    readonly services: readonly string[];
    readonly entries: number;
  }[];
}

export interface FollowRequest {
  readonly projectNumbers: readonly number[];
  readonly query: QueryNode;
  /** The last id seen of each project; a project without one is read from its first entry. */
  readonly after: ReadonlyMap<number, bigint>;
  readonly limit: number;
  /** Of messages and attributes; a single entry may be larger. Default 4 MiB. */
  readonly maxBytes?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface Followed {
  /** By project, and ascending by id. */
  readonly logs: readonly StoredLog[];
  /** Where to go on: also past what the query does not hold for. */
  readonly after: ReadonlyMap<number, bigint>;
  /** There is more already: ask again at once. */
  readonly more: boolean;
}

/** A query in the store's own language. */
export interface NativeRequest {
  readonly projectNumber: number;
  /** Older entries are past the project's retention, and are not seen. */
  readonly keptFromMicros?: number | undefined;
  readonly text: string;
  readonly signal?: AbortSignal | undefined;
}

export interface NativeAnswer {
  /** Tab-separated; the first line holds the names of the columns. */
  readonly text: string;
  readonly truncated: boolean;
}

export interface AppendOptions {
  /** For the work on a large batch. */
  readonly slices?: TimeSlices;
  /** Called when the batch is queued, and its entries are held no longer. */
  readonly onQueued?: () => void;
  /** Throws when the sender's credential lost the right to store. Called when the batch has waited for its commit. */
  readonly assertStillAllowed?: () => void | Promise<void>;
}

/**
 * Where logs are kept. One interface, whatever the engine. Every reading throws `TIMEOUT` when it takes longer than the
 * store allows.
 */
export interface LogStore {
  /** What the entries are kept in. */
  readonly backend: { readonly id: string; readonly name: string };
  /**
   * Resolves when the entries are committed to disk, with the answer for the request; all of them, or none.
   * Throws `RATE_LIMIT_EXCEEDED` when the queue is full, `CONFLICT` when an idempotency key returns with another
   * body, `UNAVAILABLE` when the database is away: then whether the entries were stored is unknown.
   */
  append(batch: LogBatch, options?: AppendOptions): Promise<StoredResult>;
  /** In the order asked for, up to the limits of entries and bytes. */
  search(search: LogSearch): Promise<FoundLogs>;
  /** Exactly the entries that `search` finds, counted; oldest bucket first, and only buckets that hold some. */
  volume(request: VolumeRequest): Promise<readonly VolumeCount[]>;
  /**
   * The most frequent values of a field, as texts, most frequent first, up to the one with which they have 8 MiB. Entries
   * without a value are left out.
   */
  facet(request: FacetRequest): Promise<readonly FacetValue[]>;
  /** The most frequent kinds of messages, most frequent first; every entry is counted in one of them. */
  patterns(request: PatternRequest): Promise<readonly FoundPattern[]>;
  fields(scope: LogScope): Promise<LogFields>;
  /** The entries of this id: one of each project at most, since ids count up in each project. */
  find(projectNumbers: readonly number[], id: bigint, signal?: AbortSignal): Promise<readonly StoredLog[]>;
  /** The highest committed id of each project; 0 when it has no entry. */
  heads(projectNumbers: readonly number[]): Promise<ReadonlyMap<number, bigint>>;
  /** What was committed after the ids that were seen, in the order of commits: nothing is left out, whatever its timestamp. */
  follow(request: FollowRequest): Promise<Followed>;
  /**
   * Answers a query in the store's own language about the entries of one project, and of nothing else. Throws 400 for
   * a query that is refused.
   */
  queryNative(request: NativeRequest): Promise<NativeAnswer>;
  /** Makes room for the days to come, and lets go of what is past its retention. Call it at the start and every hour. */
  runMaintenance(): Promise<void>;
  /** Commits what is queued and stops. */
  close(): Promise<void>;
}
