import { createHash } from "node:crypto";
import { open, readFile } from "node:fs/promises";
import { basename } from "node:path";
import type { BackupFile } from "./manifest.ts";

/** Copies a small file with owner-only permissions and flushes it to disk. */
export async function copySmallFile(from: string, to: string): Promise<BackupFile> {
  const content = await readFile(from);
  await writeDurably(to, content);
  return { name: basename(to), bytes: content.length, sha256: createHash("sha256").update(content).digest("hex") };
}

export async function writeDurably(file: string, content: string | Buffer): Promise<void> {
  const handle = await open(file, "wx", 0o600);
  try {
    await handle.writeFile(content);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Flushes the entries of a folder to disk. Windows does not support it and does not need it. */
export async function syncFolder(dir: string): Promise<void> {
  if (process.platform === "win32") return;
  const handle = await open(dir, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
