/**
 * Error codes and their HTTP status (design.md section 2). Both sides read this one table;
 * a code never changes its meaning.
 */
export const errorStatus = {
  VALIDATION_ERROR: 400,
  UNAUTHORIZED: 401,
  FORBIDDEN: 403,
  NOT_FOUND: 404,
  REQUEST_TIMEOUT: 408,
  CONFLICT: 409,
  PAYLOAD_TOO_LARGE: 413,
  UNSUPPORTED_MEDIA_TYPE: 415,
  RATE_LIMIT_EXCEEDED: 429,
  INTERNAL_ERROR: 500,
  UNAVAILABLE: 503,
  TIMEOUT: 504,
} as const;

export type ErrorCode = keyof typeof errorStatus;

/** Finer than the code, for programs: why a credential was refused, or why a tail ended. */
export type ErrorReason =
  | "missing_api_key"
  | "malformed_api_key"
  | "invalid_api_key"
  | "revoked_api_key"
  | "expired_api_key"
  | "wrong_key_type"
  | "missing_scope"
  | "project_mismatch"
  | "address_not_allowed"
  | "origin_not_allowed"
  | "conflicting_credentials"
  | "tail_budget_exceeded";

/** One thing that is wrong with a request: where (`limit`, `logs[3].message`, `query`), and what. */
export interface Issue {
  readonly path: string;
  readonly message: string;
}

/** What an error says, whoever reads it. */
export interface ErrorDetail {
  readonly code: ErrorCode;
  /** A sentence for a person: what was wrong and what to do. Never holds a secret. */
  readonly message: string;
  /** The operation that refused, e.g. `secretKeys.create`; `unknown` when no route matched. */
  readonly operationId: string;
  /** Also in the `X-Request-Id` header and in the service's log. */
  readonly requestId: string;
  readonly reason?: ErrorReason;
  /** Seconds to wait; equals the `Retry-After` header. */
  readonly retryAfterSeconds?: number;
  readonly issues?: readonly Issue[];
  /** What the request has to name and did not, e.g. `["projectId"]`. */
  readonly missingContext?: readonly string[];
}

/** The one shape of an error on the wire: top-level members for programs of 2026, `error` for those of spec/2. */
export interface ErrorBody extends ErrorDetail {
  readonly data: null;
  readonly error: { readonly code: ErrorCode; readonly message: string };
}
