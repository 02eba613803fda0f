import { ApiError } from "../errors.ts";

/** More numbers than anybody can look at, and as many as are kept in memory for one answer. */
export const maxCounts = 100_000;

export function tooManyCounts(): ApiError {
  return new ApiError(
    "VALIDATION_ERROR",
    `The answer would hold more than ${maxCounts} numbers. Take a longer interval, a shorter window or fewer groups.`,
  );
}
