import { createHash } from "node:crypto";
import { chmod, type FileHandle, mkdir, open } from "node:fs/promises";
import { join } from "node:path";
import { syncFolder } from "./files.ts";

const blockBytes = 512;
const chunkBytes = 1024 * 1024;

/**
 * Unpacks the archive of a base backup into `dir` and returns the SHA-256 of the archive. PostgreSQL
 * writes plain ustar with files and folders only. Throws for any other entry, and for a path outside
 * of `dir`.
 */
export async function unpackArchive(archive: string, dir: string, signal?: AbortSignal): Promise<string> {
  const source = await open(archive, "r");
  const hash = createHash("sha256");
  const buffer = Buffer.allocUnsafe(chunkBytes);
  /** Returns fewer bytes only at the end of the file. */
  const read = async (bytes: number) => {
    signal?.throwIfAborted();
    let filled = 0;
    for (let bytesRead = -1; filled < bytes && bytesRead !== 0; filled += bytesRead) {
      ({ bytesRead } = await source.read(buffer, filled, bytes - filled));
    }
    hash.update(buffer.subarray(0, filled));
    return buffer.subarray(0, filled);
  };
  const readAll = async (bytes: number) => {
    const chunk = await read(bytes);
    if (chunk.length < bytes) throw new Error(`${archive} is damaged: it ends too early.`);
    return chunk;
  };
  const folders = [dir];
  try {
    for (;;) {
      const member = readHeader(await readAll(blockBytes), archive);
      if (!member) break;
      const path = join(dir, member.name);
      if (member.isFolder) {
        await mkdir(path, { recursive: true, mode: 0o700 });
        folders.push(path);
      } else {
        await writeMember(path, member.bytes, readAll);
      }
    }
    // The archive ends with a second empty block and may be padded.
    while ((await read(chunkBytes)).length > 0);
  } finally {
    await source.close();
  }
  for (const folder of folders) await syncFolder(folder);
  return hash.digest("hex");
}

async function writeMember(path: string, bytes: number, readAll: (bytes: number) => Promise<Buffer>): Promise<void> {
  const target = await open(path, "wx", 0o600);
  try {
    for (let left = bytes; left > 0; ) {
      // Reads whole blocks; the rest of the last block is padding.
      const wanted = Math.min(chunkBytes, Math.ceil(left / blockBytes) * blockBytes);
      const chunk = await readAll(wanted);
      await writeAll(target, chunk.subarray(0, left));
      left -= Math.min(left, wanted);
    }
    await target.sync();
  } finally {
    await target.close();
  }
  await chmod(path, 0o600);
}

async function writeAll(target: FileHandle, chunk: Buffer): Promise<void> {
  for (let written = 0; written < chunk.length; ) {
    written += (await target.write(chunk, written, chunk.length - written)).bytesWritten;
  }
}

interface Member {
  readonly name: string;
  readonly isFolder: boolean;
  readonly bytes: number;
}

/** Returns undefined for the empty block at the end. */
function readHeader(block: Buffer, archive: string): Member | undefined {
  if (block.every((byte) => byte === 0)) return undefined;
  const name = textAt(block, 0, 100);
  const bytes = Number.parseInt(textAt(block, 124, 12), 8);
  const type = String.fromCharCode(block[156] as number);
  const isNameGood = /^[\w.-]+(?:\/[\w.-]+)*\/?$/.test(name) && !name.split("/").includes("..");
  const isTypeGood = type === "0" || type === "5";
  if (textAt(block, 257, 5) !== "ustar" || !isNameGood || !isTypeGood || !Number.isSafeInteger(bytes)) {
    throw new Error(`${archive} is damaged, or no archive of a base backup.`);
  }
  return { name, isFolder: type === "5", bytes };
}

function textAt(block: Buffer, start: number, length: number): string {
  const end = block.indexOf(0, start);
  return block.toString("latin1", start, end < 0 || end > start + length ? start + length : end).trim();
}
