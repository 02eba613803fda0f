import { type ErrorCode, type ErrorReason, errorStatus, type Issue } from "@sazabi/sdk/protocol";

interface ApiErrorOptions {
  readonly reason?: ErrorReason;
  readonly issues?: readonly Issue[];
  readonly retryAfterSeconds?: number;
  readonly missingContext?: readonly string[];
  readonly cause?: unknown;
}

/** An error that is sent to the client: a code for programs, and a sentence for people. Never contains a secret. */
export class ApiError extends Error {
  readonly code: ErrorCode;
  readonly options: ApiErrorOptions;

  constructor(code: ErrorCode, message: string, options: ApiErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = "ApiError";
    this.code = code;
    this.options = options;
  }

  get status(): number {
    return errorStatus[this.code];
  }
}

/** Describes one invalid member of a request: `path` names it, and `message` continues the sentence after the name. */
export function invalidMember(path: string, message: string): ApiError {
  return new ApiError("VALIDATION_ERROR", `${path}: ${message}`, { issues: [{ path, message }] });
}
