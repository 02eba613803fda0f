import { type FileHandle, open, stat } from "node:fs/promises";
import { usageError } from "../errors.ts";
import { systemMessage } from "../os-error-text.ts";

const pollMs = 200;
const chunkBytes = 64 * 1024;
const lineFeed = 10;

/** Told of what happened to the file; the text is a sentence. */
type OnChange = (what: string) => void;

/** A file, or the rest of it, that is part of the bytes of `followFile`. */
export interface FollowedPart {
  readonly device: number;
  readonly inode: number;
  /** Where in the file, and in the bytes of `followFile`, the part begins. */
  readonly from: number;
  readonly inputOffset: number;
  /** How far the file is read. */
  end: number;
  /** The bytes at the beginning of the file, as far as they are read: up to `headBytes`. */
  head: Buffer;
}

export const headBytes = 1024;

interface FollowOptions {
  readonly signal: AbortSignal;
  readonly onChange: OnChange;
  /** The file to begin with, which may have another name by now, and where in it. */
  readonly first?: { readonly path: string; readonly offset: number } | undefined;
  /** Called before the first byte of a part is yielded. */
  readonly onPart?: (part: FollowedPart) => void;
}

/**
 * The bytes of a file, and what is appended to it, until the signal fires: as `tail -F`. A file that is replaced
 * (rotated) is read to its end before the new one is; one that is cut is read anew from its beginning.
 */
export async function* followFile(
  path: string,
  { signal, onChange, first = { path, offset: 0 }, onPart = () => {} }: FollowOptions,
): AsyncGenerator<Uint8Array> {
  let file = await openFirst(first.path);
  let position = first.offset;
  let endsLine = true;
  let inputOffset = 0;
  const begin = async () => {
    const { dev: device, ino: inode } = await file.stat();
    const head = position > 0 ? (await readAt(file, 0)).subarray(0, Math.min(position, headBytes)) : Buffer.alloc(0);
    const part: FollowedPart = { device, inode, from: position, inputOffset, end: position, head };
    onPart(part);
    return part;
  };
  let part = await begin();
  try {
    for (;;) {
      const chunk = await readAt(file, position);
      if (chunk.length > 0) {
        part.head = headWith(part.head, position, chunk);
        position += chunk.length;
        inputOffset += chunk.length;
        part.end = position;
        endsLine = chunk.at(-1) === lineFeed;
        yield chunk;
        continue;
      }
      if (signal.aborted) return;
      const change = await changeOf(file, path, position);
      if (change === "none") {
        await sleep(pollMs, signal);
        continue;
      }
      // What was written between the last read and the change.
      const last = change === "replaced" ? await readAt(file, position) : undefined;
      if (last && last.length > 0) continue;
      // The last line of what is gone is not the beginning of what comes.
      if (!endsLine) {
        inputOffset += 1;
        yield Uint8Array.of(lineFeed);
      }
      endsLine = true;
      if (change === "replaced") {
        const next = await open(path, "r").catch(() => undefined);
        // It was there a moment ago, and will be again.
        if (!next) continue;
        await file.close();
        file = next;
      }
      onChange(
        change === "replaced" ? `${path} was replaced; reading the new file.` : `${path} was cut; reading it anew.`,
      );
      position = 0;
      part = await begin();
    }
  } finally {
    await file.close();
  }
}

/** The beginning of a file with what was read of it at `position`. */
function headWith(head: Buffer, position: number, chunk: Buffer): Buffer {
  if (position !== head.length || head.length >= headBytes) return head;
  return Buffer.concat([head, chunk.subarray(0, headBytes - head.length)]);
}

async function openFirst(path: string): Promise<FileHandle> {
  try {
    const file = await open(path, "r");
    if ((await file.stat()).isFile()) return file;
    await file.close();
  } catch (cause) {
    throw usageError(`Cannot read ${path} (${systemMessage(cause)}).`);
  }
  throw usageError(
    `--follow is for files, and ${path} is none.`,
    "Pipe what goes on by itself into `sazabi logs send`.",
  );
}

/** A copy: its reader keeps it while the next is read. */
async function readAt(file: FileHandle, position: number): Promise<Buffer> {
  const { bytesRead, buffer } = await file.read(Buffer.allocUnsafe(chunkBytes), 0, chunkBytes, position);
  return buffer.subarray(0, bytesRead);
}

async function changeOf(file: FileHandle, path: string, position: number): Promise<"none" | "replaced" | "cut"> {
  const mine = await file.stat();
  const named = await stat(path).catch(() => undefined);
  // While there is none of that name, or an empty one, whoever writes may still write to the old.
  if (named && named.size > 0 && (named.ino !== mine.ino || named.dev !== mine.dev)) return "replaced";
  return mine.size < position ? "cut" : "none";
}

function sleep(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    signal.addEventListener("abort", end, { once: true });
    if (signal.aborted) end();
  });
}
