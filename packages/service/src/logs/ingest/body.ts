import type { Readable, Transform } from "node:stream";
import zlib from "node:zlib";
import { intakeLimits, type Rejection } from "@sazabi/sdk/protocol";
import type { TimeSlices } from "../../concurrency/event-loop-fairness.ts";
import { ApiError } from "../../errors.ts";
import type { BodyReservation } from "../../http/body-budget.ts";
import { receiveBody } from "../../http/receive-body.ts";

/** What a request to the intake holds, in whatever format it came. */
export interface IntakeBody {
  /** Taken out when they are judged, so that the garbage collector can free them while the request waits for its commit. */
  readonly entries: BodyEntry[];
  /** What was refused already: a line that is no JSON, a record with a member that is none. */
  readonly rejected: readonly Rejection[];
  /** An OTLP request, which is answered as one wherever it came. */
  readonly isOtlp?: true;
  /** Only of formats in which a key can stand in the body itself. */
  readonly credential?: BodyCredential;
}

/** An entry that is not looked into yet. */
export interface BodyEntry {
  /** Its place in the body, from 0. */
  readonly index: number;
  readonly value: unknown;
  /** What the request itself says that makes it one with another, in place of what it says of itself; 1 to 200 characters. */
  readonly uid?: string | undefined;
}

/** A public key that came in the body, as the published clients send it. */
interface BodyCredential {
  readonly key: string;
  /** False when some of the entries came without one. */
  readonly coversAll: boolean;
}

/** Takes a body apart, in slices of time. Throws `ApiError`s of status 400, 413 and 415. */
export type Format<Body extends IntakeBody = IntakeBody> = (bytes: Buffer, slices: TimeSlices) => Body | Promise<Body>;

export interface BodyHeaders {
  readonly contentEncoding: string | undefined;
  readonly contentLength: string | undefined;
}

export interface BodyOptions {
  /** What the body takes of memory is counted here. */
  readonly reservation: BodyReservation;
  /** Throws `tooLarge` beyond it, as the body comes and decompressed. */
  readonly maxBytes: number;
  readonly tooLarge: () => ApiError;
  /** Gets the bytes as they come, for a hash. */
  readonly onSent?: ((chunk: Buffer) => void) | undefined;
}

/**
 * Reads the body of a request and decompresses it while it comes, so that no more is in memory than was counted.
 *
 * Throws `PAYLOAD_TOO_LARGE`, `UNSUPPORTED_MEDIA_TYPE`, `REQUEST_TIMEOUT`, `VALIDATION_ERROR` (400), and what the
 * reservation throws. The stream is then left as it is, unread and open, so that the answer can still be sent on its
 * connection.
 */
export async function readBodyBytes(incoming: Readable, headers: BodyHeaders, options: BodyOptions): Promise<Buffer> {
  const encoding = readEncoding(headers.contentEncoding);
  const { reservation, maxBytes, tooLarge, onSent } = options;
  if (Number(headers.contentLength) > maxBytes) throw tooLarge();
  const chunks: Buffer[] = [];
  let length = 0;
  const keep = (chunk: Buffer) => {
    length += chunk.length;
    if (length > maxBytes) throw tooLarge();
    reservation.grow(chunk.length);
    chunks.push(chunk);
  };
  let sent = 0;
  let decompressor: Decompressor | undefined;
  const decompress = (chunk: Buffer) => {
    sent += chunk.length;
    if (sent > maxBytes) throw tooLarge();
    if (!decompressor) {
      reservation.grow(decompressorBytes);
      decompressor = new Decompressor((encoding as Encoding)(chunk), keep);
    }
    return decompressor.write(chunk);
  };
  const take = encoding ? decompress : keep;
  try {
    await receiveBody(incoming, (chunk) => {
      onSent?.(chunk);
      return take(chunk);
    });
    await decompressor?.end();
  } finally {
    decompressor?.close();
  }
  return chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks, length);
}

/** Bytes that a decompressor hands over at a time. */
const chunkSize = 64 * 1024;
/** What one takes of memory: its window, what it reads and what it hands over. */
const decompressorBytes = 2 * chunkSize;

/** A stream that decompresses, chosen by the first bytes. */
type Encoding = (first: Buffer) => Transform;

const gunzip: Encoding = () => zlib.createGunzip({ chunkSize });
/** Senders disagree whether deflate has the zlib header, whose first byte ends in 8. */
const deflated: Encoding = (first) =>
  ((first[0] ?? 0) & 0x0f) === 8 ? zlib.createInflate({ chunkSize }) : zlib.createInflateRaw({ chunkSize });
/** Since Node 22.15. */
const { createZstdDecompress } = zlib as typeof zlib & { readonly createZstdDecompress?: typeof zlib.createGunzip };

const encodings = new Map<string, Encoding | undefined>([
  ["", undefined],
  ["identity", undefined],
  ["gzip", gunzip],
  ["x-gzip", gunzip],
  ["deflate", deflated],
]);
if (createZstdDecompress) encodings.set("zstd", () => createZstdDecompress({ chunkSize }));

function readEncoding(contentEncoding = ""): Encoding | undefined {
  const name = contentEncoding.trim().toLowerCase();
  if (encodings.has(name)) return encodings.get(name);
  const known = [...encodings.keys()].filter((name) => name !== "" && name !== "x-gzip");
  throw new ApiError("UNSUPPORTED_MEDIA_TYPE", `Content-Encoding must be one of ${known.join(", ")}.`);
}

/** A stream that decompresses, fed chunk by chunk. It ends with the first thing that `onChunk` throws. */
class Decompressor {
  readonly #stream: Transform;
  /** Resolves when the compressed data ends, which may be before the body does; rejects when there is an error. */
  readonly #ended: Promise<void>;

  constructor(stream: Transform, onChunk: (chunk: Buffer) => void) {
    this.#stream = stream;
    this.#ended = new Promise((resolve, reject) => {
      stream.once("end", resolve);
      stream.once("error", (error) => reject(error instanceof ApiError ? error : damaged(error)));
    });
    this.#ended.catch(() => {});
    stream.on("data", (chunk: Buffer) => {
      try {
        onChunk(chunk);
      } catch (error) {
        stream.destroy(error as Error);
      }
    });
  }

  /** Resolves when the chunk is decompressed. */
  write(chunk: Buffer): Promise<void> {
    if (this.#stream.readableEnded) return this.#ended;
    const written = new Promise<void>((resolve) => {
      this.#stream.write(chunk, () => resolve());
    });
    // Node calls back neither after an error nor at an early end.
    return Promise.race([this.#ended, written]);
  }

  end(): Promise<void> {
    this.#stream.end();
    return this.#ended;
  }

  close(): void {
    this.#stream.destroy();
  }
}

function damaged(cause: Error): ApiError {
  return invalid("The body is not what Content-Encoding says, or is cut off.", cause);
}

export function invalid(message: string, cause?: unknown): ApiError {
  return new ApiError("VALIDATION_ERROR", message, cause === undefined ? {} : { cause });
}

export function tooLarge(): ApiError {
  return new ApiError(
    "PAYLOAD_TOO_LARGE",
    `The body is larger than ${intakeLimits.bodyBytes / 1024 / 1024} MiB after decompression. Send it in parts.`,
  );
}

export function tooLargeWithoutKey(): ApiError {
  return new ApiError(
    "PAYLOAD_TOO_LARGE",
    `A body without a key in the headers of its request may have ${intakeLimits.keylessBodyBytes / 1024 / 1024} MiB after decompression. Send the key in the header x-sazabi-key, or the body in parts.`,
  );
}

export function tooMany(): ApiError {
  return new ApiError(
    "PAYLOAD_TOO_LARGE",
    `The body holds more than ${intakeLimits.entries} entries. Send it in parts.`,
  );
}

/** `what` says what the body has too much of. */
export function beyondLimit(what: string): ApiError {
  return new ApiError("PAYLOAD_TOO_LARGE", `The body ${what}. Send it in parts.`);
}
