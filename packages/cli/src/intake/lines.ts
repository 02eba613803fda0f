import { isUtf8 } from "node:buffer";

/** A line longer than this is cut: the service keeps 256 KiB of a message, and notes that it was cut. */
export const maxLineBytes = 1024 * 1024;

export interface Line {
  readonly text: string;
  /** From 1. */
  readonly number: number;
  /** Bytes of the input up to its end, the line feed included. */
  readonly end: number;
}

interface ReadLinesOptions {
  readonly linesBefore?: number | undefined;
  /** Called for each line with bytes that are not UTF-8. */
  readonly onOtherEncoding?: () => void;
}

/**
 * The lines of a stream of bytes, in groups as they arrive. Blank lines are left out but counted, after `linesBefore`. Holds
 * no more than one chunk and one line, however long the input is.
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

/** A copy, at most `maxLineBytes` long: the chunk it comes from may be used again by its reader. */
function join(rest: Buffer, more: Buffer): Buffer {
  return Buffer.concat([rest, more.subarray(0, Math.max(0, maxLineBytes - rest.length))]);
}

/** A line that is cut may end within a character. */
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
