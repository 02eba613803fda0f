import { usageError } from "../errors.ts";
import { shellWord } from "../output/shell-word.ts";

/** The name of stdin as an input. */
export const stdinName = "stdin";

/**
 * Returns the input as UTF-8. Decodes UTF-16 with a byte order mark. Throws for archives and binaries, with the command
 * that unpacks them.
 */
export async function* readText(input: AsyncIterable<Uint8Array>, name: string): AsyncGenerator<Uint8Array> {
  let decoder: Decoder | undefined;
  let head = Buffer.alloc(0);
  let isKnown = false;
  for await (const chunk of input) {
    if (isKnown) {
      yield decoder ? Buffer.from(decoder.decode(chunk, { stream: true })) : chunk;
      continue;
    }
    head = Buffer.concat([head, chunk]);
    if (head.length < 2) continue;
    isKnown = true;
    decoder = decoderOf(head);
    if (!decoder) refuseOther(head, name);
    yield decoder ? Buffer.from(decoder.decode(head, { stream: true })) : head;
  }
  if (!isKnown && head.length > 0) yield head;
  if (decoder) yield Buffer.from(decoder.decode());
}

type Decoder = InstanceType<typeof TextDecoder>;

function decoderOf(head: Buffer): Decoder | undefined {
  if (head[0] === 0xff && head[1] === 0xfe) return new TextDecoder("utf-16le");
  return head[0] === 0xfe && head[1] === 0xff ? new TextDecoder("utf-16be") : undefined;
}

interface Packing {
  readonly name: string;
  /** The magic bytes of the format in hexadecimal, and their offset. */
  readonly mark: string;
  readonly offset?: number;
  /** The command that unpacks a file to stdout. */
  readonly unpack: string;
  /** The same for stdin; undefined if that is not possible. */
  readonly unpackStdin?: string;
}

const streams = (command: string) => ({ unpack: command, unpackStdin: command });

const packings: readonly Packing[] = [
  { name: "xz", mark: "fd377a585a00", ...streams("xz -dc") },
  { name: "zstd", mark: "28b52ffd", ...streams("zstd -dc") },
  { name: "bzip2", mark: "314159265359", offset: 4, ...streams("bzip2 -dc") },
  { name: "lz4", mark: "04224d18", ...streams("lz4 -dc") },
  { name: "gzip", mark: "1f8b", ...streams("gzip -dc") },
  { name: "compress (.Z)", mark: "1f9d", ...streams("gzip -dc") },
  { name: "pack (.z)", mark: "1f1e", ...streams("gzip -dc") },
  { name: "lzip", mark: "4c5a495001", ...streams("lzip -dc") },
  { name: "lzma", mark: "5d00008000", ...streams("xz --format=lzma -dc") },
  { name: "lzop", mark: "894c5a4f000d0a1a0a", ...streams("lzop -dc") },
  { name: "a rar archive", mark: "526172211a07", unpack: "unrar p -inul" },
  { name: "a zip archive", mark: "504b0304", unpack: "unzip -p" },
  { name: "a 7z archive", mark: "377abcaf271c", unpack: "7z x -so" },
  { name: "a tar archive", mark: "7573746172", offset: 257, unpack: "tar -xOf", unpackStdin: "tar -xOf -" },
  { name: "a journal file", mark: "4c504b5348485248", unpack: "journalctl -o json --file" },
];

function refuseOther(head: Buffer, name: string): void {
  const start = head.subarray(0, inspectedBytes);
  for (const packing of packings) {
    const { name: format, mark, offset = 0 } = packing;
    const bytes = Buffer.from(mark, "hex");
    if (!start.subarray(offset, offset + bytes.length).equals(bytes)) continue;
    throw usageError(`${name} is ${format}, not text.`, wayOut(packing, name));
  }
  if (!isBinary(start)) return;
  const isWide = [0, 1].some((offset) => start.every((byte, place) => place % 2 !== offset || byte === 0));
  throw usageError(
    `${name} is not text${isWide ? ": it looks like UTF-16 without a byte order mark" : ""}.`,
    isWide ? wayOut(streams("iconv -f UTF-16 -t UTF-8"), name) : "Send lines of text or JSON.",
  );
}

/** Returns the command line that unpacks and sends the input. Stdin is unpacked in a pipe if possible. */
function wayOut({ unpack, unpackStdin }: Pick<Packing, "unpack" | "unpackStdin">, name: string): string {
  if (name !== stdinName) return `${unpack} ${shellWord(name)} | sazabi logs send -`;
  return unpackStdin ? `… | ${unpackStdin} | sazabi logs send -` : `${unpack} FILE | sazabi logs send -`;
}

const inspectedBytes = 4096;
/** Many logs contain a few control characters. */
const toleratedControls = 8;

/**
 * Returns true for binary data. Leading zeros are ignored, because log rotation by copying and truncating leaves them.
 */
function isBinary(start: Buffer): boolean {
  const begin = start.findIndex((byte) => byte !== 0);
  const bytes = begin < 0 ? start.subarray(0, 0) : start.subarray(begin);
  const controls = bytes.filter((byte) => byte < 32 && !textControls.has(byte)).length;
  return controls > toleratedControls + bytes.length / 20;
}

/** Backspace, tab, line feed, vertical tab, form feed, carriage return, escape. */
const textControls: ReadonlySet<number> = new Set([8, 9, 10, 11, 12, 13, 27]);
