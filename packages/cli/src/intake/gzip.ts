import { crc32, createInflateRaw } from "node:zlib";

/** The magic bytes of gzip. */
export const gzipMagic: readonly number[] = [0x1f, 0x8b];

/** The message describes the damage. */
export class GzipError extends Error {}

export interface GzipReport {
  /** Called for trailing bytes that are neither a member nor padding. They are ignored, like by `gunzip`. */
  readonly onTrailingBytes: () => void;
}

/**
 * Yields the bytes of all members, like `gzip -dc`. On damage it throws after it has yielded everything before. It
 * separates the members itself: if other bytes follow a member, Node's gunzip discards what it has unpacked, and its
 * write never settles.
 */
export async function* gunzip(input: AsyncIterable<Uint8Array>, report: GzipReport): AsyncGenerator<Uint8Array> {
  const reader = new Reader(input);
  try {
    for (;;) {
      await skipHeader(reader);
      yield* readMember(reader);
      if (!(await isAtMember(reader, report))) return;
    }
  } finally {
    await reader.close();
  }
}

/** Returns false at the end of the input, after zero padding if any. */
async function isAtMember(reader: Reader, { onTrailingBytes }: GzipReport): Promise<boolean> {
  const next = await reader.peek(gzipMagic.length);
  // Also true if the header is truncated this early.
  if (next.length > 0 && next.every((byte, i) => byte === gzipMagic[i])) return true;
  for (;;) {
    const chunk = await reader.read();
    if (chunk === undefined) return false;
    if (chunk.every((byte) => byte === 0)) continue;
    onTrailingBytes();
    return false;
  }
}

const [hasChecksum, hasExtra, hasName, hasComment] = [2, 4, 8, 16];
const [deflate, knownFlags] = [8, 31];

/** Skips the header of RFC 1952, section 2.3. */
async function skipHeader(reader: Reader): Promise<void> {
  const header = await reader.take(10);
  const flags = header[3] as number;
  if (header[2] !== deflate || flags > knownFlags) throw new GzipError("its header is wrong");
  if (flags & hasExtra) await reader.take((await reader.take(2)).readUInt16LE());
  if (flags & hasName) await reader.skipText();
  if (flags & hasComment) await reader.skipText();
  if (flags & hasChecksum) await reader.take(2);
}

/**
 * A piece unpacks to at most a megabyte, because deflate compresses at most a thousand to one. The output of a damaged
 * piece is lost.
 */
const pieceBytes = 1024;

async function* readMember(reader: Reader): AsyncGenerator<Uint8Array> {
  const member = new Inflating();
  let [checksum, size] = [0, 0];
  while (!member.hasEnded) {
    const piece = await reader.read(pieceBytes);
    if (piece) reader.unread(await member.write(piece));
    else await member.end();
    for (const bytes of member.take()) {
      checksum = crc32(bytes, checksum);
      size += bytes.length;
      yield bytes;
    }
    if (member.failure) throw new GzipError(member.failure.message);
  }
  const trailer = await reader.take(8);
  if (trailer.readUInt32LE(0) !== checksum) throw new GzipError("its checksum does not match");
  if (trailer.readUInt32LE(4) !== size % 2 ** 32) throw new GzipError("its length does not match");
}

/** One inflate stream. Each call settles, whatever the stream does with its input. */
class Inflating {
  hasEnded = false;
  failure: Error | undefined;
  readonly #stream = createInflateRaw();
  #unpacked: Uint8Array[] = [];
  #wake = () => {};

  constructor() {
    this.#stream.on("data", (chunk: Uint8Array) => this.#unpacked.push(chunk));
    this.#stream.on("end", () => {
      this.hasEnded = true;
      this.#wake();
    });
    this.#stream.on("error", (error: Error) => {
      this.failure = error;
      this.#wake();
    });
  }

  /** Returns how many of the bytes follow the end of the stream. */
  async write(piece: Uint8Array): Promise<number> {
    const before = this.#stream.bytesWritten;
    await this.#settled((done) => this.#stream.write(piece, done));
    return this.hasEnded ? piece.length - (this.#stream.bytesWritten - before) : 0;
  }

  async end(): Promise<void> {
    await this.#settled(() => this.#stream.end());
  }

  /** Returns what was unpacked since the last call. */
  take(): readonly Uint8Array[] {
    const taken = this.#unpacked;
    this.#unpacked = [];
    return taken;
  }

  #settled(act: (done: () => void) => void): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
      act(() => resolve());
    });
  }
}

/** Reads an input in pieces of given sizes. */
class Reader {
  readonly #chunks: AsyncIterator<Uint8Array>;
  #held: Buffer = Buffer.alloc(0);
  /** The read position in the buffer. */
  #position = 0;

  constructor(input: AsyncIterable<Uint8Array>) {
    this.#chunks = input[Symbol.asyncIterator]();
  }

  async close(): Promise<void> {
    await this.#chunks.return?.();
  }

  /** Returns the next bytes, at most `most`, or undefined at the end. */
  async read(most = Number.POSITIVE_INFINITY): Promise<Buffer | undefined> {
    if (this.#position === this.#held.length && !(await this.#fill())) return undefined;
    const bytes = this.#held.subarray(this.#position, this.#position + most);
    this.#position += bytes.length;
    return bytes;
  }

  /** Puts back the last `count` bytes. */
  unread(count: number): void {
    this.#position -= count;
  }

  /** Returns fewer than `length` bytes only at the end. */
  async peek(length: number): Promise<Buffer> {
    while (this.#held.length - this.#position < length && (await this.#fill())) {}
    return this.#held.subarray(this.#position, this.#position + length);
  }

  async take(length: number): Promise<Buffer> {
    const bytes = await this.peek(length);
    if (bytes.length < length) throw new GzipError("it ends too early");
    this.#position += length;
    return bytes;
  }

  /** Skips a zero-terminated text. */
  async skipText(): Promise<void> {
    while ((await this.take(1))[0] !== 0) {}
  }

  async #fill(): Promise<boolean> {
    const { value, done } = await this.#chunks.next();
    if (done) return false;
    this.#held = Buffer.concat([this.#held.subarray(this.#position), value]);
    this.#position = 0;
    return true;
  }
}
