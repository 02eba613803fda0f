import type { ErrorCode, ErrorDetail, ErrorReason, Issue } from "./protocol/errors.ts";

/** `UNEXPECTED_ANSWER`: what answered does not speak this API (a proxy's page, another service at that address). */
export type SazabiErrorCode = ErrorCode | "UNEXPECTED_ANSWER";

/** The API answered, and said no. The message is its sentence for a person. */
export class SazabiApiError extends Error {
  override readonly name = "SazabiApiError";
  readonly code: SazabiErrorCode;
  /** The HTTP status. */
  readonly status: number;
  /** Finer than the code: why a credential was refused. */
  readonly reason: ErrorReason | undefined;
  /** Finds the request in the service's log. */
  readonly requestId: string | undefined;
  readonly operationId: string | undefined;
  /** Seconds to wait before another try, when the service named them. */
  readonly retryAfterSeconds: number | undefined;
  readonly issues: readonly Issue[];
  /** What the request has to name and did not, e.g. `["projectId"]`. */
  readonly missingContext: readonly string[];

  constructor(
    message: string,
    detail: Partial<Omit<ErrorDetail, "code" | "message">> & {
      readonly code: SazabiErrorCode;
      readonly status: number;
    },
  ) {
    super(message);
    this.code = detail.code;
    this.status = detail.status;
    this.reason = detail.reason;
    this.requestId = detail.requestId;
    this.operationId = detail.operationId;
    this.retryAfterSeconds = detail.retryAfterSeconds;
    this.issues = detail.issues ?? [];
    this.missingContext = detail.missingContext ?? [];
  }
}

/** Nothing answered. `cause` is what the network said. A request that was on its way may still have been carried out. */
export class SazabiConnectionError extends Error {
  override readonly name: string = "SazabiConnectionError";
  /** The base URL that was asked. */
  readonly address: string;

  constructor(message: string, options: { readonly address: string; readonly cause?: unknown }) {
    super(message, { cause: options.cause });
    this.address = options.address;
  }
}

/** No whole answer came within the time allowed. */
export class SazabiTimeoutError extends SazabiConnectionError {
  override readonly name = "SazabiTimeoutError";
  readonly timeoutMs: number;

  constructor(options: { readonly address: string; readonly timeoutMs: number; readonly cause?: unknown }) {
    super(`${options.address} did not answer within ${options.timeoutMs / 1000} s.`, options);
    this.timeoutMs = options.timeoutMs;
  }
}
