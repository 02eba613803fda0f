import type { KeyKind, KeyStyle } from "./keys.ts";
import type { Level } from "./levels.ts";
import type { GrantedScope } from "./scopes.ts";

/** UUID. */
export type Id = string;
/** ISO 8601, UTC, milliseconds, `Z`. */
export type Timestamp = string;

/** One page of a list. `nextCursor` is opaque, and null on the last page. */
export interface PageRequest {
  /** 1 to 100, default 50. */
  readonly limit?: number;
  readonly cursor?: string;
}

/** A filter of lists of keys. */
export interface UnusedFilter {
  /** Only keys that nobody used for so many days, 1 to 3650. */
  readonly unusedForDays?: number;
}

/** Filters of a list of keys. */
export interface KeyFilter extends UnusedFilter {
  /** With those that were revoked or deactivated. By default public keys are listed with them, secret ones without. */
  readonly revoked?: boolean;
}

export interface Organization {
  readonly id: Id;
  readonly name: string;
  readonly slug: string;
}

export const regions = [
  "us-east-1",
  "us-east-2",
  "us-west-1",
  "us-west-2",
  "eu-central-1",
  "eu-central-2",
  "eu-north-1",
  "eu-south-1",
  "eu-south-2",
  "eu-west-1",
  "eu-west-2",
  "eu-west-3",
] as const;

/** A label that clients of the published contract expect; a self-hosted service stores everything in one place. */
export type Region = (typeof regions)[number];

export interface Project {
  readonly id: Id;
  readonly organizationId: Id;
  readonly name: string;
  readonly region: Region;
  /** Days after which its logs are gone. Null: as long as the service keeps logs. */
  readonly retentionDays: number | null;
  readonly createdAt: Timestamp;
}

/** What both kinds of key have. The key itself is not among it: it is shown once, when it is made. */
interface Key {
  readonly id: Id;
  readonly name: string;
  /** `sk_live_…wxyz`. */
  readonly masked: string;
  readonly style: KeyStyle;
  readonly createdAt: Timestamp;
  readonly expiresAt: Timestamp | null;
  /** To a few seconds: uses are counted in memory and written about once a second. */
  readonly lastUsedAt: Timestamp | null;
  /** The address of the client that used it last. */
  readonly lastUsedAddress: string | null;
  /** Requests a minute; null for the service's default: 1000 for a secret key, none for a public one. */
  readonly requestsPerMinute: number | null;
  /** Addresses and networks it may be used from; empty for anywhere. */
  readonly allowedAddresses: readonly string[];
  /** While two secrets of the key work: how far the move from the previous one to the current one has come. */
  readonly rotation: Rotation | null;
}

export interface Rotation {
  /** The secret that was replaced. */
  readonly previousMasked: string;
  /** When it stops working. */
  readonly previousExpiresAt: Timestamp;
  /** Requests with the current secret since the rotation began. */
  readonly currentUses: number;
  /** Requests with the previous secret, ever. */
  readonly previousUses: number;
  readonly previousLastUsedAt: Timestamp | null;
  readonly previousLastUsedAddress: string | null;
}

/** How long the previous secret of a rotated key goes on working: 0 (dead at once) to 30 days, in seconds. */
export const maxGraceSeconds = 30 * 86_400;

export interface RotateKeyRequest {
  /** Default 3600. */
  readonly graceSeconds?: number;
}

export interface SecretKey extends Key {
  /** Null: every project of the organization. */
  readonly projectId: Id | null;
  readonly scopes: readonly GrantedScope[];
  readonly revokedAt: Timestamp | null;
}

export interface PublicKey extends Key {
  readonly projectId: Id;
  readonly dataSourceConnectionId: null;
  /** Web pages it may be used on; empty for anywhere, also outside of browsers. */
  readonly allowedOrigins: readonly string[];
  readonly deactivatedAt: Timestamp | null;
}

/** A key as it comes back from its creation: `value` is shown this once. */
export type Created<K> = K & { readonly value: string };

/** A key name: 1 to 100 characters, no control characters, not only spaces. */
export const maxNameLength = 100;

/** How many entries `allowedAddresses` and `allowedOrigins` may have each. */
export const maxFenceEntries = 100;

export interface CreateSecretKeyRequest {
  readonly name: string;
  /** Default `live`. */
  readonly style?: KeyStyle;
  /** A time in the future. */
  readonly expiresAt?: Timestamp | null;
  /** Instead of `expiresAt`: `never` (the default) or a duration by the service's clock, `15m 24h 45d 1d12h`. */
  readonly expiresIn?: string;
  /** Narrows the key to one project. */
  readonly projectId?: Id;
  /** Default `["*"]`. */
  readonly scopes?: readonly GrantedScope[];
  /** 1 to 1,000,000; null for the service's default. */
  readonly requestsPerMinute?: number | null;
  /** Where it may be used: up to 100 addresses or networks, `203.0.113.9`, `10.0.0.0/8`, `2001:db8::/32`. Default: anywhere. */
  readonly allowedAddresses?: readonly string[];
}

export interface CreatePublicKeyRequest {
  readonly name: string;
  /** May be left out when the organization has one project. */
  readonly projectId?: Id;
  readonly style?: KeyStyle;
  readonly expiresAt?: Timestamp | null;
  readonly expiresIn?: string;
  /** 1 to 1,000,000; null for the service's default. */
  readonly requestsPerMinute?: number | null;
  /** Where it may be used: up to 100 addresses or networks, `203.0.113.9`, `10.0.0.0/8`, `2001:db8::/32`. Default: anywhere. */
  readonly allowedAddresses?: readonly string[];
  /** Web pages it may be used on: up to 100 of `https://app.example.com`, `https://*.example.com`. Default: anywhere. */
  readonly allowedOrigins?: readonly string[];
}

/** `null` clears the expiry or the limit, `[]` an allow-list. Scopes are of secret keys only, origins of public ones. */
export interface UpdateKeyRequest {
  readonly name?: string;
  readonly expiresAt?: Timestamp | null;
  /** Instead of `expiresAt`, as in a creation. */
  readonly expiresIn?: string;
  readonly scopes?: readonly GrantedScope[];
  /** 1 to 1,000,000. */
  readonly requestsPerMinute?: number | null;
  readonly allowedAddresses?: readonly string[];
  readonly allowedOrigins?: readonly string[];
}

/** Which keys to revoke; without a filter every one of the organization. */
export interface RevokeAllRequest extends UnusedFilter {
  readonly kind?: KeyKind;
  readonly projectId?: Id;
  /** Up to 1000 ids of keys that stay; `caller` is the key that asks. */
  readonly except?: readonly (Id | "caller")[];
  /** For the record: up to 200 characters. */
  readonly reason?: string;
}

export interface RevokeAllResult {
  readonly revokedCount: number;
  /** The first 1,000 of them. All are in the audit log. */
  readonly revoked: readonly { readonly id: Id; readonly name: string; readonly masked: string }[];
}

export const usageIntervals = ["1m", "5m", "1h", "1d"] as const;

export type UsageInterval = (typeof usageIntervals)[number];

/** Left out: the last day, by the hour. At most 2000 intervals. */
export interface KeyUsageRequest {
  readonly from?: Timestamp;
  readonly to?: Timestamp;
  readonly interval?: UsageInterval;
}

/** Requests with one secret of a key within one interval. */
export interface KeyUsagePoint {
  readonly start: Timestamp;
  /** Counts the secrets of the key, from 1; each rotation adds one. */
  readonly generation: number;
  readonly accepted: number;
  /** Turned away though the key is live: over its limit, without the scope, from the wrong place. */
  readonly refused: number;
}

export interface KeyUsage {
  readonly keyId: Id;
  readonly from: Timestamp;
  readonly to: Timestamp;
  readonly interval: UsageInterval;
  /** Oldest first; intervals without requests are left out. */
  readonly points: readonly KeyUsagePoint[];
}

/** `previous` works until the grace of a rotation ends; a `replaced` secret does not work any more. */
export type KeySecretState = "current" | "previous" | "replaced";

/** Which key a text is a secret of. The key may be revoked or expired. */
export interface IdentifiedKey {
  readonly keyId: Id;
  readonly kind: KeyKind;
  readonly projectId: Id | null;
  readonly secret: KeySecretState;
}

/** `GET /v1/me` with a secret key. */
export interface Me {
  readonly credentialType: "secret";
  readonly organization: Organization;
  readonly keyName: string;
  readonly key: SecretKey;
}

export interface Thread {
  readonly id: Id;
  readonly projectId: Id;
  readonly title: string | null;
  readonly status: "regular" | "archived";
  readonly source: string | null;
  readonly createdAt: Timestamp;
  readonly updatedAt: Timestamp;
}

export type AttributeValue = string | number | boolean | null;

/** A log entry as it is sent. Every other member becomes an attribute; aliases of the names are in docs/intake.md. */
export interface LogInput {
  readonly message: string;
  readonly level?: string | number;
  readonly service?: string;
  readonly environment?: string;
  /** ISO 8601, or Unix seconds, milliseconds, microseconds or nanoseconds. Default: the time of arrival. */
  readonly timestamp?: string | number;
  readonly traceId?: string;
  readonly spanId?: string;
  readonly attributes?: Readonly<Record<string, unknown>>;
}

/** Why one entry of a batch was not stored; the others were. */
export interface Rejection {
  /** Place in the batch, from 0. */
  readonly index: number;
  readonly field: string;
  readonly message: string;
}

/** Limits of intake, stated in the error that enforces them. */
export const intakeLimits = {
  /** Bytes, after decompression. */
  bodyBytes: 10 * 1024 * 1024,
  /** Bytes, after decompression, of a body that carries the key itself. */
  keylessBodyBytes: 1024 * 1024,
  /** Members of objects and elements of arrays in one body, at every depth. */
  bodyMembers: 1_000_000,
  entries: 10_000,
  /** Bytes of one entry; a longer message is cut and flagged `sazabi.truncated`. */
  entryBytes: 256 * 1024,
  /** Characters of the names and values of one entry as it is sent; a longer one is refused. */
  entryCharacters: 1024 * 1024,
  /** Members of objects and elements of arrays in one entry, at every depth; one with more is refused. */
  entryMembers: 10_000,
  attributes: 256,
  attributeKeyBytes: 200,
  /** Deeper objects are kept as JSON text. */
  attributeDepth: 10,
  /** Deeper JSON is refused. */
  jsonDepth: 100,
  /** How far ahead a timestamp may lie before the time of arrival is used instead. */
  futureHours: 24,
  /** Rejections listed in an answer; all are counted. */
  rejectionsListed: 100,
} as const;

/** What was stored is on disk when this is answered. */
export interface IntakeResult {
  readonly accepted: number;
  /** Of the accepted, those that were stored before, by what identifies an entry (docs/intake.md, "Sending again"). */
  readonly duplicates?: number;
  readonly rejectedCount?: number;
  readonly rejected?: readonly Rejection[];
}

/** A stored log entry. The members before `attributes` have the names the published clients read. */
export interface LogEntry {
  /** Decimal digits; unique in its project and ascending in the order entries were committed. */
  readonly id: string;
  readonly projectId: Id;
  readonly timestamp: Timestamp;
  readonly level: Level;
  /** The level in upper case, for clients that print `severity`. */
  readonly severity: string;
  readonly service: string;
  readonly environment: string | null;
  readonly message: string;
  /** The same as `message`, for clients of the published contract. */
  readonly body: string;
  readonly trace_id: string | null;
  readonly span_id: string | null;
  /** Flattened: `{ "http.status": 500 }`. */
  readonly attributes: Readonly<Record<string, AttributeValue>>;
  readonly resource: Readonly<Record<string, AttributeValue>>;
}

export interface LogFilter {
  readonly field: string;
  readonly op: "eq" | "neq" | "in" | "contains" | "starts_with" | "gt" | "gte" | "lt" | "lte" | "between" | "exists";
  readonly value:
    | string
    | number
    | boolean
    | readonly (string | number | boolean)[]
    | { readonly from: string; readonly to: string };
}

export interface LogQueryRequest {
  /** Left out: every project the key may read. */
  readonly projectId?: Id;
  /** The query language of docs/query-language.md. */
  readonly search?: {
    readonly query: string;
    /** `all` (default) reads the query language; `any` and `phrase` take the words as they are. */
    readonly mode?: "all" | "any" | "phrase";
    /** Where words are looked for. Default: the message, and the attributes of an entry whose message is empty. */
    readonly fields?: readonly ("body" | "message" | "attributes")[];
  };
  /** All must hold. Without one on `timestamp` the last 24 hours are searched. */
  readonly filters?: readonly LogFilter[];
  readonly select?: readonly string[];
  readonly sort?: { readonly field: string; readonly direction?: "asc" | "desc" };
  readonly pagination?: {
    /** 1 to 1000, default 50. */
    readonly limit?: number;
    readonly cursor?: string;
  };
}

/** A place in a query that was taken as text because it is not syntax. */
export interface QueryWarning {
  readonly message: string;
  /** Offsets into the query, in UTF-16 units. */
  readonly start: number;
  readonly end: number;
}

export interface LogQueryResult {
  /** Up to 8 MiB of JSON: fewer than were asked for where entries are large. */
  readonly data: readonly LogEntry[];
  /** Null on the last page. A short page with a cursor is not the last. */
  readonly nextCursor: string | null;
  readonly meta: {
    readonly count: number;
    /** Milliseconds. */
    readonly took: number;
    /** The window that was searched: `from` included, `to` excluded. */
    readonly from: Timestamp;
    readonly to: Timestamp;
    readonly warnings: readonly QueryWarning[];
  };
}
