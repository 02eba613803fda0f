import { ApiError } from "../errors.ts";

/** For a cursor that names no item of the list: an empty page would look like its end. */
export function unknownCursor(): ApiError {
  const message = "is of no page of this list; begin again without it";
  return new ApiError("VALIDATION_ERROR", `cursor: ${message}`, { issues: [{ path: "cursor", message }] });
}
