import { mkdir, rename, rm, stat, utimes } from "node:fs/promises";
import { dirname } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { say } from "./processes.mjs";

/** The holder touches its lock regularly; a process that died left one that was not touched for this long. */
const abandonedAfterMs = 15_000;

/** Runs `body` while no other process does so under the same lock directory. */
export async function withLock(lockDir, body) {
  await mkdir(dirname(lockDir), { recursive: true });
  await take(lockDir);
  const touching = setInterval(() => utimes(lockDir, new Date(), new Date()).catch(() => undefined), 2_000);
  try {
    await body();
  } finally {
    clearInterval(touching);
    await rm(lockDir, { recursive: true, force: true });
  }
}

async function take(lockDir) {
  for (let isWaiting = false; ; ) {
    try {
      await mkdir(lockDir);
      return;
    } catch (error) {
      if (error.code !== "EEXIST") throw error;
    }
    if (await removeAbandoned(lockDir)) continue;
    if (!isWaiting) say("Another start is installing or building in this folder; waiting for it …");
    isWaiting = true;
    await sleep(250);
  }
}

/**
 * Removes an abandoned lock by a rename, which succeeds for only one of several processes. Returns true if a retry
 * makes sense at once.
 */
async function removeAbandoned(lockDir) {
  const found = await stat(lockDir).catch(() => undefined);
  if (!found) return true;
  if (Date.now() - found.mtimeMs < abandonedAfterMs) return false;
  const aside = `${lockDir}.${process.pid}`;
  const moved = await rename(lockDir, aside).then(
    () => stat(aside),
    () => undefined,
  );
  if (!moved) return true;
  if (moved.ino !== found.ino) {
    await rename(aside, lockDir).catch(() => undefined); // Another process took the lock since; restore it.
    return false;
  }
  await rm(aside, { recursive: true, force: true });
  return true;
}
