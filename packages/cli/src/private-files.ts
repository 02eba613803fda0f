import { randomUUID } from "node:crypto";
import {
  chmodSync,
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { CliError } from "./errors.ts";
import { systemMessage } from "./os-error-text.ts";

/** Makes the directory if need be, and keeps everyone but its owner out of it. */
export function ensurePrivateDirectory(directory: string): void {
  try {
    makeDirectory(directory);
    chmodSync(directory, 0o700);
  } catch (cause) {
    throw cannotWrite(directory, cause);
  }
}

/** One level at a time: where nothing can be made, as below /proc, `mkdirSync` with `recursive` never returns. */
function makeDirectory(directory: string): void {
  if (existsSync(directory)) return;
  makeDirectory(dirname(directory));
  try {
    mkdirSync(directory, { mode: 0o700 });
  } catch (cause) {
    // Another process may have made it in between.
    if ((cause as NodeJS.ErrnoException).code !== "EEXIST") throw cause;
  }
}

/** Replaces the file in one step: a reader sees the old content or the new, never a part. Mode 0600. */
export function writePrivateFile(path: string, content: string): void {
  ensurePrivateDirectory(dirname(path));
  const next = `${path}.${randomUUID()}`;
  try {
    writeFileSync(next, content, { mode: 0o600, flag: "wx", flush: true });
    renameSync(next, path);
  } catch (cause) {
    rmSync(next, { force: true });
    throw cannotWrite(path, cause);
  }
}

/** Runs `change` while no other process does so in this directory. */
export async function withLock<T>(directory: string, change: () => T | Promise<T>): Promise<T> {
  ensurePrivateDirectory(directory);
  const lock = join(directory, "lock");
  await takeLock(lock);
  try {
    return await change();
  } finally {
    rmSync(lock, { force: true });
  }
}

/** A change takes milliseconds, so an older lock was left by a process that died. */
const staleLockMs = 10_000;
const lockPatienceMs = 20_000;

async function takeLock(lock: string): Promise<void> {
  const deadline = Date.now() + lockPatienceMs;
  for (;;) {
    try {
      closeSync(openSync(lock, "wx", 0o600));
      return;
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code !== "EEXIST") throw cannotWrite(lock, cause);
    }
    if (Date.now() > deadline) {
      throw new CliError(`Another sazabi is changing the settings and does not finish (${lock}).`);
    }
    removeIfStale(lock);
    await sleep(5 + Math.random() * 20);
  }
}

function removeIfStale(lock: string): void {
  const found = statSync(lock, { throwIfNoEntry: false });
  if (!found || Date.now() - found.mtimeMs < staleLockMs) return;
  // Moved aside before it is removed: of several processes that find it stale, one wins.
  const aside = `${lock}.${randomUUID()}`;
  try {
    renameSync(lock, aside);
    rmSync(aside, { force: true });
  } catch {
    // Another process was faster.
  }
}

function cannotWrite(path: string, cause: unknown): CliError {
  const reason = systemMessage(cause);
  return new CliError(`Cannot write ${path} (${reason}).`, {
    code: "CONFIG_NOT_WRITABLE",
    hint: "Name a directory you may write to with SAZABI_CONFIG_DIR, or pass the key in SAZABI_SECRET_KEY.",
    cause,
  });
}
