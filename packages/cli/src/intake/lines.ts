import { isUtf8 } from "node:buffer";

/** Longer lines are truncated. The service keeps 256 KiB of a message and flags the truncation. */
export const maxLineBytes = 1024 * 1024;

export interface Line {
  readonly text: string;
  /** Starts at 1. */
  readonly number: number;
  /** The bytes of the input up to the end of the line, including the line feed. */
  readonly end: number;
}

interface ReadLinesOptions {
  readonly linesBefore?: number | undefined;
  /** Called for each line that is not valid UTF-8. */
  readonly onOtherEncoding?: () => void;
}

/**
 * Yields the lines of a byte stream in groups as they arrive. Blank lines are skipped but counted, starting after
 * `linesBefore`. Holds at most one chunk and one line in memory.
 */
export async function* readLines(
  chunks: AsyncIterable<Uint8Array>,
  { linesBefore = 0, onOtherEncoding }: ReadLinesOptions = {},
): AsyncGenerator<readonly Line[]> {
  let number = linesBefore;
  let rest: Buffer = Buffer.alloc(0);
  let chunkStart = 0;
  const lineOf = (bytes: Buffer, end: number): Line | undefined => {
    number++;
    const text = decode(bytes, number === 1);
    if (onOtherEncoding && text.includes("\ufffd") && !isUtf8(withoutCutCharacter(bytes))) onOtherEncoding();
    return text.trim() === "" ? undefined : { text, number, end };
  };
  for await (const chunk of chunks) {
    const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    const lines: Line[] = [];
    let start = 0;
    for (let end = bytes.indexOf(10); end >= 0; end = bytes.indexOf(10, start)) {
      const text = bytes.subarray(start, end);
      const line = lineOf(rest.length > 0 ? join(rest, text) : text, chunkStart + end + 1);
      if (line) lines.push(line);
      rest = Buffer.alloc(0);
      start = end + 1;
    }
    rest = join(rest, bytes.subarray(start));
    chunkStart += bytes.length;
    if (lines.length > 0) yield lines;
  }
  if (rest.length === 0) return;
  const last = lineOf(rest, chunkStart);
  if (last) yield [last];
}

/** Returns a copy of at most `maxLineBytes`, because the reader may reuse the chunk. */
function join(rest: Buffer, more: Buffer): Buffer {
  return Buffer.concat([rest, more.subarray(0, Math.max(0, maxLineBytes - rest.length))]);
}

/** Removes an incomplete character at the end of a truncated line. */
function withoutCutCharacter(bytes: Buffer): Buffer {
  if (bytes.length < maxLineBytes) return bytes;
  let end = maxLineBytes;
  while (end > maxLineBytes - 4 && ((bytes[end - 1] as number) & 0xc0) === 0x80) end--;
  return bytes.subarray(0, end - 1);
}

function decode(bytes: Buffer, first: boolean): string {
  const text = bytes.subarray(0, maxLineBytes).toString("utf8");
  const unmarked = first && text.startsWith("\ufeff") ? text.slice(1) : text;
  return unmarked.endsWith("\r") ? unmarked.slice(0, -1) : unmarked;
}
