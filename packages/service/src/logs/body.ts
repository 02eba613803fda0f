import { promisify } from "node:util";
import zlib from "node:zlib";
import { intakeLimits, type Rejection, storable } from "@sazabi/sdk/protocol";
import { ApiError } from "../errors.ts";

export interface BodyHeaders {
  readonly contentType: string | undefined;
  readonly contentEncoding: string | undefined;
  readonly contentLength: string | undefined;
}

export interface IntakeBody {
  /** Not looked into yet. `index` is the entry's place in the body, from 0. */
  readonly entries: readonly { readonly index: number; readonly value: unknown }[];
  /** Lines that are no JSON. */
  readonly rejected: readonly Rejection[];
}

/**
 * Reads the body of an intake request: one JSON object, an array, `{ "logs": […] }`, or lines, each of JSON or
 * text; compressed or not. At most `intakeLimits.bodyBytes` after decompression (which stops there) and
 * `intakeLimits.entries`.
 *
 * Throws `PAYLOAD_TOO_LARGE`, `UNSUPPORTED_MEDIA_TYPE` and `VALIDATION_ERROR` (400). The stream is then left as it
 * is, unread and open, so that the answer can still be sent on its connection.
 */
export async function readIntakeBody(stream: AsyncIterable<Buffer>, headers: BodyHeaders): Promise<IntakeBody> {
  const format = readFormat(headers.contentType);
  const decompress = readEncoding(headers.contentEncoding);
  if (Number(headers.contentLength) > intakeLimits.bodyBytes) throw tooLarge();
  const bytes = await decompress(await collect(stream));
  return entriesOf(decode(bytes), format);
}

type Format = "json" | "lines" | "text" | "form";

const formats: Readonly<Record<string, Format>> = {
  "application/json": "json",
  "text/json": "json",
  "application/octet-stream": "json",
  "application/x-ndjson": "lines",
  "application/ndjson": "lines",
  "application/jsonl": "lines",
  "application/x-jsonl": "lines",
  "application/jsonlines": "lines",
  "application/x-jsonlines": "lines",
  "application/json-lines": "lines",
  "text/plain": "text",
  // What curl says of `-d` when it is not told otherwise.
  "application/x-www-form-urlencoded": "form",
};

const charsets = new Set(["utf-8", "utf8", "us-ascii", "ascii"]);

function readFormat(contentType = ""): Format {
  const [type = "", ...parameters] = contentType.split(";").map((part) => part.trim().toLowerCase());
  const charset = parameters
    .find((parameter) => parameter.startsWith("charset="))
    ?.slice(8)
    .replace(/^"|"$/g, "");
  if (charset !== undefined && !charsets.has(charset)) {
    throw new ApiError("UNSUPPORTED_MEDIA_TYPE", "Logs are taken in UTF-8 only. Send charset=utf-8.");
  }
  if (type === "") return "json";
  const format = Object.hasOwn(formats, type) ? formats[type] : type.endsWith("+json") ? "json" : undefined;
  if (format) return format;
  throw new ApiError(
    "UNSUPPORTED_MEDIA_TYPE",
    "Logs are taken as application/json, application/x-ndjson or text/plain. Set Content-Type to one of them.",
  );
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

/** Bytes that are no UTF-8 become U+FFFD; a byte order mark is dropped. */
function decode(bytes: Buffer): string {
  const text = bytes.toString("utf8");
  return text.charCodeAt(0) === 0xfeff ? text.slice(1) : text;
}

function entriesOf(text: string, format: Format): IntakeBody {
  const start = text.trimStart();
  if (start === "") throw invalid("The body is empty. Send a JSON object with a message, an array of them, or lines.");
  if (format === "text" && !/^[{[]/.test(start)) return entriesOfText(text);
  // Lines of JSON fail here at the second line, so the attempt costs little.
  const whole = parseJson(text);
  if ("value" in whole) return entriesOfDocument(whole.value, format);
  if (format === "text") return entriesOfText(text);
  if (format === "lines" || beginsWithObjectLine(start)) return entriesOfLines(text);
  if (format === "form") {
    throw new ApiError(
      "UNSUPPORTED_MEDIA_TYPE",
      "The body is not JSON. Set Content-Type: application/json and send JSON.",
    );
  }
  throw invalid(`The body is not JSON: ${whole.error}.`);
}

/** Lines are often sent as `application/json`. They are taken for what they are when the first is an object. */
function beginsWithObjectLine(text: string): boolean {
  const end = text.indexOf("\n");
  return text.startsWith("{") && end !== -1 && "value" in parseJson(text.slice(0, end));
}

function parseJson(text: string): { readonly value: unknown } | { readonly error: string } {
  try {
    return { value: JSON.parse(text) };
  } catch (error) {
    // The message quotes the text, which may hold what cannot be stored.
    return { error: storable((error as Error).message.slice(0, 200)) };
  }
}

function entriesOfDocument(document: unknown, format: Format): IntakeBody {
  if (Array.isArray(document)) return entriesOfArray(document);
  if (typeof document === "object" && document !== null) {
    const { logs } = document as { logs?: unknown };
    return Array.isArray(logs) && !("message" in document) ? entriesOfArray(logs) : entriesOfArray([document]);
  }
  if (format === "lines" && typeof document === "string") return entriesOfArray([document]);
  throw invalid('The body must be a JSON object, an array of objects, or { "logs": […] }.');
}

function entriesOfArray(values: readonly unknown[]): IntakeBody {
  if (values.length > intakeLimits.entries) throw tooMany();
  return { entries: values.map((value, index) => ({ index, value })), rejected: [] };
}

function entriesOfLines(text: string): IntakeBody {
  const entries: { index: number; value: unknown }[] = [];
  const rejected: Rejection[] = [];
  let index = 0;
  for (const line of linesOf(text)) {
    const parsed = parseJson(line);
    if ("value" in parsed) entries.push({ index, value: parsed.value });
    else rejected.push({ index, field: "", message: `is not JSON: ${parsed.error}.` });
    index += 1;
  }
  return { entries, rejected };
}

/** Plain text: a line is an entry, and one that is a JSON object is that object. */
function entriesOfText(text: string): IntakeBody {
  const entries: { index: number; value: unknown }[] = [];
  for (const line of linesOf(text)) {
    const parsed = line.startsWith("{") ? parseJson(line) : undefined;
    entries.push({ index: entries.length, value: parsed && "value" in parsed ? parsed.value : line });
  }
  return { entries, rejected: [] };
}

/** The lines that hold something, without their ends. Throws when there are too many. */
function* linesOf(text: string): Generator<string> {
  let count = 0;
  for (let start = 0; start < text.length; ) {
    const newline = text.indexOf("\n", start);
    const end = newline === -1 ? text.length : newline;
    const line = text.slice(start, end).replace(/\r$/, "");
    start = end + 1;
    if (line.trim() === "") continue;
    count += 1;
    if (count > intakeLimits.entries) throw tooMany();
    yield line;
  }
}

function invalid(message: string, cause?: unknown): ApiError {
  return new ApiError("VALIDATION_ERROR", message, cause === undefined ? {} : { cause });
}

function tooLarge(): ApiError {
  return new ApiError(
    "PAYLOAD_TOO_LARGE",
    `The body is larger than ${intakeLimits.bodyBytes / 1024 / 1024} MiB after decompression. Send it in parts.`,
  );
}

function tooMany(): ApiError {
  return new ApiError(
    "PAYLOAD_TOO_LARGE",
    `The body holds more than ${intakeLimits.entries} entries. Send it in parts.`,
  );
}
