import { type FileHandle, open, stat } from "node:fs/promises";
import { usageError } from "../errors.ts";
import { systemMessage } from "../os-error-text.ts";

const pollMs = 200;
const chunkBytes = 64 * 1024;
const lineFeed = 10;

/** Receives changes of the file, as a sentence. */
type OnChange = (what: string) => void;

/** A file, or a part of it, in the byte stream of `followFile`. */
export interface FollowedPart {
  readonly device: number;
  readonly inode: number;
  /** Where the part begins, in the file and in the byte stream of `followFile`. */
  readonly from: number;
  readonly inputOffset: number;
  /** How far the file has been read. */
  end: number;
  /** The first bytes of the file that were read, up to `headBytes`. */
  head: Buffer;
}

export const headBytes = 1024;

interface FollowOptions {
  readonly signal: AbortSignal;
  readonly onChange: OnChange;
  /** The file and offset to begin with. The file may have been renamed since. */
  readonly first?: { readonly path: string; readonly offset: number } | undefined;
  /** Called before the first byte of a part is yielded. */
  readonly onPart?: (part: FollowedPart) => void;
}

/**
 * Yields the bytes of a file and what is appended to it, until the signal aborts, like `tail -F`. A rotated file is
 * read to its end before its replacement. A truncated file is read again from its beginning.
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
      // Read what was written between the last read and the rotation.
      const last = change === "replaced" ? await readAt(file, position) : undefined;
      if (last && last.length > 0) continue;
      // Ends the last line of the old file, so that it does not join with the new file.
      if (!endsLine) {
        inputOffset += 1;
        yield Uint8Array.of(lineFeed);
      }
      endsLine = true;
      if (change === "replaced") {
        const next = await open(path, "r").catch(() => undefined);
        // The file was just replaced, so a file with this name is expected again.
        if (!next) continue;
        await file.close();
        file = next;
      }
      onChange(
        change === "replaced"
          ? `${path} was replaced; reading the new file.`
          : `${path} was truncated; reading it from the beginning.`,
      );
      position = 0;
      part = await begin();
    }
  } finally {
    await file.close();
  }
}

/** Returns the beginning of the file, extended by what was read at `position`. */
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
    `--follow requires a file, and ${path} is not one.`,
    "Pipe a continuous stream into `sazabi logs send`.",
  );
}

/** Returns a copy, because its reader keeps it during the next read. */
async function readAt(file: FileHandle, position: number): Promise<Buffer> {
  const { bytesRead, buffer } = await file.read(Buffer.allocUnsafe(chunkBytes), 0, chunkBytes, position);
  return buffer.subarray(0, bytesRead);
}

async function changeOf(file: FileHandle, path: string, position: number): Promise<"none" | "replaced" | "cut"> {
  const mine = await file.stat();
  const named = await stat(path).catch(() => undefined);
  // Until a non-empty file with this name exists, the writer may still write to the old one.
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
