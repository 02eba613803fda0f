import { ApiError } from "../errors.ts";

export function queryTimeout(cause?: unknown): ApiError {
  return new ApiError(
    "TIMEOUT",
    "This took too long and was stopped. Narrow the time window, or the query to fewer entries.",
    { cause },
  );
}
