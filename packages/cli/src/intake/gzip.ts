import { crc32, createInflateRaw } from "node:zlib";

/** What is gzip begins with these. */
export const gzipMagic: readonly number[] = [0x1f, 0x8b];

/** The message says what is wrong, of "it". */
export class GzipError extends Error {}

export interface GzipReport {
  /** Bytes follow that are neither a member nor padding. They are left out, as by `gunzip`. */
  readonly onTrailingBytes: () => void;
}

/**
 * The bytes of all members, as `gzip -dc` prints them. After damage it throws, when everything before has been given.
 * Members are told apart here: Node's gunzip discards what it has unpacked when other bytes follow a member, and then
 * never settles the write.
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

/** False at the end of the input, padding with zeros included. */
async function isAtMember(reader: Reader, { onTrailingBytes }: GzipReport): Promise<boolean> {
  const next = await reader.peek(gzipMagic.length);
  // Also of a member that is cut so early.
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

/** RFC 1952, section 2.3. */
async function skipHeader(reader: Reader): Promise<void> {
  const header = await reader.take(10);
  const flags = header[3] as number;
  if (header[2] !== deflate || flags > knownFlags) throw new GzipError("its header is wrong");
  if (flags & hasExtra) await reader.take((await reader.take(2)).readUInt16LE());
  if (flags & hasName) await reader.skipText();
  if (flags & hasComment) await reader.skipText();
  if (flags & hasChecksum) await reader.take(2);
}

/** Unpacked, at most a megabyte: deflate packs a thousand to one at best. When one is damaged, what it gave is lost. */
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

/** One run of inflate. Each call settles, whatever the stream makes of what it gets. */
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

  /** How many of the bytes come after the end. */
  async write(piece: Uint8Array): Promise<number> {
    const before = this.#stream.bytesWritten;
    await this.#settled((done) => this.#stream.write(piece, done));
    return this.hasEnded ? piece.length - (this.#stream.bytesWritten - before) : 0;
  }

  async end(): Promise<void> {
    await this.#settled(() => this.#stream.end());
  }

  /** What has been unpacked since the last call. */
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

/** Reads an input by numbers of bytes. */
class Reader {
  readonly #chunks: AsyncIterator<Uint8Array>;
  #held: Buffer = Buffer.alloc(0);
  /** Of what is held, how much has been read. */
  #position = 0;

  constructor(input: AsyncIterable<Uint8Array>) {
    this.#chunks = input[Symbol.asyncIterator]();
  }

  async close(): Promise<void> {
    await this.#chunks.return?.();
  }

  /** What there is next, at most so many bytes; undefined at the end. */
  async read(most = Number.POSITIVE_INFINITY): Promise<Buffer | undefined> {
    if (this.#position === this.#held.length && !(await this.#fill())) return undefined;
    const bytes = this.#held.subarray(this.#position, this.#position + most);
    this.#position += bytes.length;
    return bytes;
  }

  /** The next read begins with the last bytes of the one before. */
  unread(count: number): void {
    this.#position -= count;
  }

  /** Fewer than `length` at the end only. */
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

  /** Up to and with the zero byte that ends it. */
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
