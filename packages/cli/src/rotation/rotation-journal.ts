import { existsSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { withLock, writePrivateFile } from "../private-files.ts";

/**
 * A rotation that was started here and is not finished. It holds no secret: the service repeats the secret for the same
 * idempotency key, so that a rerun can finish the rotation of a killed process.
 */
export interface UnfinishedRotation {
  readonly apiUrl: string;
  readonly keyId: string;
  readonly idempotencyKey: string;
  readonly graceSeconds: number;
  readonly startedAt: string;
}

/** The service repeats a response for one day. */
const repeatableMs = 23 * 3_600_000;

/** Returns the unfinished rotation of this key if it can be resumed. Otherwise records and returns `fresh`. */
export function keepUnfinished(
  directory: string,
  fresh: UnfinishedRotation,
): Promise<{ readonly rotation: UnfinishedRotation; readonly resumed: boolean }> {
  return withLock(directory, () => {
    const unfinished = findUnfinished(directory, fresh.apiUrl, fresh.keyId, new Date(fresh.startedAt));
    if (unfinished) return { rotation: unfinished, resumed: true };
    writePrivateFile(pathOf(directory, fresh.keyId), `${JSON.stringify(fresh, null, 2)}\n`);
    return { rotation: fresh, resumed: false };
  });
}

export function findUnfinished(
  directory: string,
  apiUrl: string,
  keyId: string,
  now: Date,
): UnfinishedRotation | undefined {
  const unfinished = read(pathOf(directory, keyId));
  if (unfinished?.apiUrl !== apiUrl) return undefined;
  return now.getTime() - Date.parse(unfinished.startedAt) < repeatableMs ? unfinished : undefined;
}

export function forgetUnfinished(directory: string, keyId: string): void {
  const path = pathOf(directory, keyId);
  if (existsSync(path)) rmSync(path, { force: true });
}

function read(path: string): UnfinishedRotation | undefined {
  try {
    return JSON.parse(readFileSync(path, "utf8")) as UnfinishedRotation;
  } catch {
    // There is none, or it cannot be resumed. The service refuses a second rotation with an error of its own.
    return undefined;
  }
}

const pathOf = (directory: string, keyId: string) => join(directory, `rotation-${keyId}.json`);
