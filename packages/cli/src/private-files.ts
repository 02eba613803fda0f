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

/** Creates the directory if needed, and restricts its permissions to the owner. */
export function ensurePrivateDirectory(directory: string): void {
  try {
    makeDirectory(directory);
    chmodSync(directory, 0o700);
  } catch (cause) {
    throw cannotWrite(directory, cause);
  }
}

/** Creates one level at a time, because a recursive `mkdirSync` below a directory such as /proc never returns. */
function makeDirectory(directory: string): void {
  if (existsSync(directory)) return;
  makeDirectory(dirname(directory));
  try {
    mkdirSync(directory, { mode: 0o700 });
  } catch (cause) {
    // Another process may have created it in the meantime.
    if ((cause as NodeJS.ErrnoException).code !== "EEXIST") throw cause;
  }
}

/** Replaces the file atomically, with mode 0600. */
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

/** A change takes milliseconds, so a process that died left an older lock. */
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
  const stats = statSync(lock, { throwIfNoEntry: false });
  if (!stats || Date.now() - stats.mtimeMs < staleLockMs) return;
  // Renamed before it is removed, so that only one of several processes removes a stale lock.
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
