import type { Id, PageRequest, Timestamp } from "./resources.ts";

/** How far a saved query may look back. */
export const maxLookBackSeconds = 3650 * 86_400;

/** A search that is kept under a name. */
export interface SavedQuery {
  readonly id: Id;
  readonly projectId: Id;
  /** Unique in its project. */
  readonly name: string;
  readonly description: string | null;
  /** The query language of docs/query-language.md. */
  readonly query: string;
  /** The window of an execution that names none. */
  readonly lookBackSeconds: number;
  readonly createdAt: Timestamp;
  readonly updatedAt: Timestamp;
}

export interface CreateSavedQueryRequest {
  /** May be left out when the key can see one project only. */
  readonly projectId?: Id | undefined;
  /** 1 to 100 characters. */
  readonly name: string;
  /** Up to 1,000 characters. */
  readonly description?: string | null | undefined;
  /** Up to 4,096 characters. */
  readonly query: string;
  /** Default: a day. */
  readonly lookBackSeconds?: number | undefined;
}

export interface UpdateSavedQueryRequest {
  readonly name?: string | undefined;
  /** Null clears it. */
  readonly description?: string | null | undefined;
  readonly query?: string | undefined;
  readonly lookBackSeconds?: number | undefined;
}

/** Left out: the saved queries of every project that the key can see. */
export interface ListSavedQueriesRequest extends PageRequest {
  readonly projectId?: Id | undefined;
}

export interface ExecuteSavedQueryRequest {
  /** Included. Default: `lookBackSeconds` before the end. */
  readonly startDate?: Timestamp | undefined;
  /** Excluded. Default: a day ahead, so that entries from clocks that run fast are found. */
  readonly endDate?: Timestamp | undefined;
  readonly sort?: { readonly direction?: "asc" | "desc" | undefined } | undefined;
  readonly pagination?: {
    /** 1 to 1000, default 50. */
    readonly limit?: number | undefined;
    readonly cursor?: string | undefined;
  };
}
