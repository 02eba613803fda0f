import { existsSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { withLock, writePrivateFile } from "../private-files.ts";

/**
 * A rotation that was begun here and has not come to its end. It holds no secret: for the idempotency key the service
 * gives the same secret again, so that a rerun can finish what a killed process began.
 */
export interface UnfinishedRotation {
  readonly apiUrl: string;
  readonly keyId: string;
  readonly idempotencyKey: string;
  readonly graceSeconds: number;
  readonly startedAt: string;
}

/** The service repeats an answer for a day. */
const repeatableMs = 23 * 3_600_000;

/** The rotation of this key that is to be gone on with, else `fresh`, kept from now on. */
export function keepUnfinished(
  directory: string,
  fresh: UnfinishedRotation,
): Promise<{ readonly rotation: UnfinishedRotation; readonly resumed: boolean }> {
  return withLock(directory, () => {
    const found = findUnfinished(directory, fresh.apiUrl, fresh.keyId, new Date(fresh.startedAt));
    if (found) return { rotation: found, resumed: true };
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
  const found = read(pathOf(directory, keyId));
  if (found?.apiUrl !== apiUrl) return undefined;
  return now.getTime() - Date.parse(found.startedAt) < repeatableMs ? found : undefined;
}

export function forgetUnfinished(directory: string, keyId: string): void {
  const path = pathOf(directory, keyId);
  if (existsSync(path)) rmSync(path, { force: true });
}

function read(path: string): UnfinishedRotation | undefined {
  try {
    return JSON.parse(readFileSync(path, "utf8")) as UnfinishedRotation;
  } catch {
    // None, or none that can be gone on with: the service refuses a second rotation beside it, and says so.
    return undefined;
  }
}

const pathOf = (directory: string, keyId: string) => join(directory, `rotation-${keyId}.json`);
