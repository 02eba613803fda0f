import { ApiError } from "../../errors.ts";
import type { LogPosition } from "../log-store.ts";

/** What the database's int and bigint hold. */
const maxProjectNumber = 2_147_483_647;
const maxId = 9_223_372_036_854_775_807n;

/** A position as an opaque text for the caller to hand back. */
export function encodeCursor({ micros, projectNumber, id }: LogPosition): string {
  return Buffer.from(`${micros}.${projectNumber}.${id}`).toString("base64url");
}

/** The position in a cursor. 400 for a text that no answer of ours held. */
export function decodeCursor(text: string): LogPosition {
  const match = /^(-?\d{1,17})\.(\d{1,10})\.(\d{1,19})$/.exec(Buffer.from(text, "base64url").toString("latin1"));
  const inRange =
    match &&
    Number.isSafeInteger(Number(match[1])) &&
    Number(match[2]) <= maxProjectNumber &&
    BigInt(match[3] as string) <= maxId;
  if (!inRange) {
    throw new ApiError("VALIDATION_ERROR", "pagination.cursor: must be the nextCursor of an earlier answer.", {
      issues: [{ path: "pagination.cursor", message: "must be the nextCursor of an earlier answer" }],
    });
  }
  const [, micros, projectNumber, id] = match;
  return { micros: Number(micros), projectNumber: Number(projectNumber), id: id as string };
}
