import type { ErrorCode, ErrorReason } from "./errors.ts";
import type { Id, LogEntry, LogFilter, LogQueryRequest, QueryWarning, Timestamp } from "./resources.ts";

/**
 * Entries may have times up to a day ahead (`intakeLimits.futureHours`). A search or count without an end goes up to so
 * many milliseconds after now, so that it includes them.
 */
export const searchAheadMs = 24 * 3_600_000 + 60_000;

/** Milliseconds of each interval that entries are counted by. */
export const volumeIntervals = {
  "1s": 1_000,
  "10s": 10_000,
  "1m": 60_000,
  "5m": 300_000,
  "15m": 900_000,
  "1h": 3_600_000,
  "6h": 21_600_000,
  "1d": 86_400_000,
} as const;

export type VolumeInterval = keyof typeof volumeIntervals;

/** The names of the published contract, and ours. */
export const volumeGroups = ["service_name", "severity_text", "environment", "service", "level"] as const;

export type VolumeGroup = (typeof volumeGroups)[number];

/** Intervals that one answer may have. */
export const maxVolumeIntervals = 5_000;

export interface LogVolumeRequest {
  /** Left out: every project the key may read. */
  readonly projectId?: Id | undefined;
  /** Included. Default: 24 hours before now, or before an earlier end. */
  readonly startDate?: Timestamp | undefined;
  /** Excluded. Default: a day after now, as in a query, since clocks may run fast. */
  readonly endDate?: Timestamp | undefined;
  /** Default: one that makes 30 to 150 of them. */
  readonly interval?: VolumeInterval | undefined;
  readonly groupBy?: VolumeGroup | undefined;
  /** The query language of docs/query-language.md. */
  readonly query?: string | undefined;
  /** All must hold; of several values of a name, one. */
  readonly filters?:
    | {
        readonly service_name?: string | readonly string[] | undefined;
        readonly severity_text?: string | readonly string[] | undefined;
        readonly environment?: string | readonly string[] | undefined;
      }
    | undefined;
}

export interface LogVolume {
  /** Exactly as many as a query finds. */
  readonly total: number;
  readonly startDate: Timestamp;
  readonly endDate: Timestamp;
  readonly interval: VolumeInterval;
  /** Largest first. Where there are too many groups for one answer, the last one stands for all but the largest. */
  readonly series: readonly {
    /** `all` without `groupBy`; empty for entries that have no such value; `other` with `otherGroups`. */
    readonly group: string;
    /** How many groups are counted in this one. Left out for a group of its own. */
    readonly otherGroups?: number;
    readonly total: number;
    /** Oldest first; intervals without entries are left out. `bucket` is where the interval begins. */
    readonly points: readonly { readonly bucket: Timestamp; readonly count: number }[];
  }[];
  readonly meta: { readonly took: number; readonly warnings: readonly QueryWarning[] };
}

export interface LogFacetRequest {
  readonly projectId?: Id | undefined;
  /** `level`, `service`, any other name of docs/query-language.md, or an attribute. */
  readonly field: string;
  readonly search?: LogQueryRequest["search"] | undefined;
  readonly filters?: readonly LogFilter[] | undefined;
  /** 1 to 100, default 10. */
  readonly limit?: number | undefined;
}

export interface LogFacet {
  readonly field: string;
  /** Most frequent first. Entries without a value are not counted. */
  readonly values: readonly { readonly value: string; readonly count: number }[];
  readonly meta: {
    readonly took: number;
    readonly from: Timestamp;
    readonly to: Timestamp;
    readonly warnings: readonly QueryWarning[];
    /** Fewer values are shown than were asked for and exist, since they are large. */
    readonly truncated?: true;
  };
}

export interface LogPatternsRequest {
  readonly projectId?: Id | undefined;
  /** In the query language, up to 500 characters. */
  readonly query?: string | undefined;
  readonly severity?: string | undefined;
  /** ISO 8601. Default: 24 hours before now, or before an earlier end. */
  readonly startDate?: string | undefined;
  /** Default: a day after now, as in a query. */
  readonly endDate?: string | undefined;
  /** 1 to 100, default 25. */
  readonly limit?: number | undefined;
}

export interface LogPatterns {
  /** Most frequent first; every entry is counted in one of them. */
  readonly patterns: readonly LogPattern[];
  readonly meta: { readonly backendId: string; readonly count: number; readonly took: number };
}

/** A kind of message, of one service and level. */
export interface LogPattern {
  readonly serviceName: string | null;
  /** The same for the same pattern, today and tomorrow. */
  readonly fingerprint: string;
  /** What its messages have in common; `<*>` stands for what differs. */
  readonly pattern: string;
  readonly severity: string | null;
  readonly occurrences: number;
  readonly firstSeen: Timestamp | null;
  readonly lastSeen: Timestamp | null;
  /** The newest of its entries, for `logs.get`. */
  readonly representativeId: string | null;
}

export interface LogSchemaRequest {
  readonly projectId?: Id | undefined;
  /** Up to 2,000 characters: services and attributes that have to do with it are selected. */
  readonly question?: string | undefined;
  /** How many services are selected, 1 to 32, default 8. */
  readonly topK?: number | undefined;
}

/** What can be asked for, as entries of the last day have it. */
export interface LogSchema {
  readonly backend: { readonly id: string; readonly name: string; readonly kind: "native" | "external" };
  readonly features: readonly string[];
  readonly commands: readonly string[];
  readonly queryableFields: readonly string[];
  readonly searchableFields: readonly string[];
  readonly question?: string;
  readonly selectedBundles: readonly {
    readonly id: string;
    readonly service: string;
    readonly keys: readonly string[];
    readonly rowCount: number;
    readonly score: number;
  }[];
  readonly selectedAttributeKeys: readonly string[];
  /** Most entries first. */
  readonly observedServiceNames: readonly string[];
  readonly observedAttributeKeys: readonly string[];
  /** `skipped`: there was no question. */
  readonly indexStatus: "ready" | "empty" | "skipped";
}

/** An entry among those before and after it in time, in its project. */
export interface LogContext {
  readonly log: LogEntry;
  /** Oldest first, the last one being next to the entry. */
  readonly before: readonly LogEntry[];
  /** Oldest first. */
  readonly after: readonly LogEntry[];
  /** On these sides fewer entries are shown than were asked for and exist, since they are large. */
  readonly truncated?: { readonly before: boolean; readonly after: boolean };
}

export interface LogContextRequest {
  readonly projectId?: Id | undefined;
  /** How many of each, 0 to 100, default 0. */
  readonly before?: number | undefined;
  readonly after?: number | undefined;
}

/** What the published clients of `GET /v1/tail` send as `filters`. */
export interface TailFilters {
  readonly severities?: readonly string[] | undefined;
  readonly services?: readonly string[] | undefined;
  readonly environments?: readonly string[] | undefined;
  /** Somewhere in the message, without case. */
  readonly searchTerm?: string | undefined;
  readonly traceId?: string | undefined;
  /** All must be equal. */
  readonly attributes?: Readonly<Record<string, string>> | undefined;
}

/** An entry as a tail shows it. Every member is a text, as the published clients demand; empty when there is none. */
export interface TailedLog {
  readonly id: string;
  readonly timestamp: Timestamp;
  /** In upper case. */
  readonly severity: string;
  readonly body: string;
  readonly service: string;
  readonly traceId: string;
  readonly spanId: string;
  readonly attributes: Readonly<Record<string, string>>;
  readonly resource: {
    readonly service: string;
    readonly namespace: string;
    readonly environment: string;
    readonly host: string;
    readonly container: string;
    readonly pod: string;
  };
}

/** The data of a `log` event. Its id, the cursor, is that of the last entry. */
export interface TailFrame {
  readonly type: "logs";
  /** When it was sent. */
  readonly timestamp: Timestamp;
  /** Ascending by id. */
  readonly data: readonly TailedLog[];
}

/** The data of an `end` event: the service ended the tail, and would end it again. Its id is where to go on from. */
export interface TailEnd {
  readonly code: ErrorCode;
  readonly reason?: ErrorReason | undefined;
  /** A sentence for a person: why it ended and what to do. */
  readonly message: string;
}

export interface NativeQueryRequest {
  /** May be left out when the key can see one project only. */
  readonly projectId?: Id | undefined;
  /** Up to 10,000 characters: one SELECT over the table `logs`. */
  readonly query: string;
}

export interface NativeQueryResult {
  /** Tab-separated; the first line holds the names of the columns, `\\N` is null. */
  readonly result: string;
  readonly format: "text";
  /** `truncated`: there are more rows, or longer values, than the answer may hold. */
  readonly meta: { readonly backendId: string; readonly took: number; readonly truncated: boolean };
}
