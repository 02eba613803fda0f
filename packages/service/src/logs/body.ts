import { promisify } from "node:util";
import zlib from "node:zlib";
import { intakeLimits, type Rejection } from "@sazabi/sdk/protocol";
import { ApiError } from "../errors.ts";

/** What a request to the intake holds, in whatever format it came. */
export interface IntakeBody {
  /** Taken out when they are judged: what waits for its commit with the request is let go of later than is cheap. */
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

/** Takes a body apart. Throws `ApiError`s of status 400, 413 and 415. */
export type Format = (bytes: Buffer) => IntakeBody;

export interface BodyHeaders {
  readonly contentEncoding: string | undefined;
  readonly contentLength: string | undefined;
}

export interface BodyBytes {
  /** As they came, for a hash. */
  readonly sent: Buffer;
  readonly decompressed: Buffer;
}

/**
 * Reads the body of a request, compressed or not, up to `intakeLimits.bodyBytes` before and after decompression, which
 * stops there.
 *
 * Throws `PAYLOAD_TOO_LARGE`, `UNSUPPORTED_MEDIA_TYPE` and `VALIDATION_ERROR` (400). The stream is then left as it
 * is, unread and open, so that the answer can still be sent on its connection.
 */
export async function readBodyBytes(stream: AsyncIterable<Buffer>, headers: BodyHeaders): Promise<BodyBytes> {
  const decompress = readEncoding(headers.contentEncoding);
  if (Number(headers.contentLength) > intakeLimits.bodyBytes) throw tooLarge();
  const sent = await collect(stream);
  return { sent, decompressed: await decompress(sent) };
}

type Decompress = (bytes: Buffer) => Buffer | Promise<Buffer>;
type Inflate = (
  bytes: Buffer,
  options: { readonly maxOutputLength: number; readonly chunkSize: number },
) => Promise<Buffer>;

/** Since Node 22.15. */
const { zstdDecompress } = zlib as typeof zlib & { readonly zstdDecompress?: typeof zlib.gunzip };

const gunzip: Inflate = promisify(zlib.gunzip);
const inflate: Inflate = promisify(zlib.inflate);
const inflateRaw: Inflate = promisify(zlib.inflateRaw);
/** Senders disagree whether deflate has the zlib header, whose first byte ends in 8. */
const deflated: Inflate = (bytes, options) => (((bytes[0] ?? 0) & 0x0f) === 8 ? inflate : inflateRaw)(bytes, options);

const encodings = new Map<string, Decompress>([
  ["", (bytes) => bytes],
  ["identity", (bytes) => bytes],
  ["gzip", bounded(gunzip)],
  ["x-gzip", bounded(gunzip)],
  ["deflate", bounded(deflated)],
]);
if (zstdDecompress) encodings.set("zstd", bounded(promisify(zstdDecompress) as Inflate));

function readEncoding(contentEncoding = ""): Decompress {
  const decompress = encodings.get(contentEncoding.trim().toLowerCase());
  if (decompress) return decompress;
  const known = [...encodings.keys()].filter((name) => name !== "" && name !== "x-gzip");
  throw new ApiError("UNSUPPORTED_MEDIA_TYPE", `Content-Encoding must be one of ${known.join(", ")}.`);
}

/** Stops when the limit is passed, however much more there would be. */
function bounded(decompress: Inflate): Decompress {
  return async (bytes) => {
    if (bytes.length === 0) return bytes;
    try {
      return await decompress(bytes, { maxOutputLength: intakeLimits.bodyBytes, chunkSize: 128 * 1024 });
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code === "ERR_BUFFER_TOO_LARGE") throw tooLarge();
      throw invalid("The body is not what Content-Encoding says, or is cut off.", cause);
    }
  };
}

async function collect(stream: AsyncIterable<Buffer>): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = 0;
  // Not `for await` over the stream: leaving such a loop would destroy it, and the connection with it.
  const iterator = stream[Symbol.asyncIterator]();
  for (;;) {
    const { done, value } = await iterator.next().catch((cause: unknown) => {
      throw invalid("The connection ended before the body did.", cause);
    });
    if (done) return Buffer.concat(chunks, length);
    length += value.length;
    if (length > intakeLimits.bodyBytes) throw tooLarge();
    chunks.push(value);
  }
}

export function invalid(message: string, cause?: unknown): ApiError {
  return new ApiError("VALIDATION_ERROR", message, cause === undefined ? {} : { cause });
}

function tooLarge(): ApiError {
  return new ApiError(
    "PAYLOAD_TOO_LARGE",
    `The body is larger than ${intakeLimits.bodyBytes / 1024 / 1024} MiB after decompression. Send it in parts.`,
  );
}

export function tooMany(): ApiError {
  return new ApiError(
    "PAYLOAD_TOO_LARGE",
    `The body holds more than ${intakeLimits.entries} entries. Send it in parts.`,
  );
}
