import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { CliError, usageError } from "../errors.ts";
import { systemMessage } from "../os-error-text.ts";
import { GzipError, gunzip, gzipMagic } from "./gzip.ts";

/** Opens a file. Unpacks gzip, which is detected by content, not by name. */
export async function openFile(path: string, onRemark: OnRemark): Promise<AsyncIterable<Uint8Array>> {
  try {
    const stats = await stat(path);
    if (stats.isDirectory()) throw usageError(`${path} is a directory; name a file.`);
  } catch (cause) {
    if (cause instanceof CliError) throw cause;
    throw usageError(`Cannot read ${path} (${systemMessage(cause)}).`);
  }
  return unpacked(createReadStream(path), path, onRemark);
}

/** Receives remarks about the input, as a sentence. */
type OnRemark = (what: string) => void;

export async function* unpacked(
  input: AsyncIterable<Uint8Array>,
  name: string,
  onRemark: OnRemark,
): AsyncGenerator<Uint8Array> {
  const { head, chunks } = await peek(input, gzipMagic.length);
  if (!isGzip(head)) return yield* chunks;
  const onTrailingBytes = () => onRemark(`${name} has bytes after its gzip data; they are left out, as by gunzip.`);
  try {
    yield* gunzip(chunks, { onTrailingBytes });
  } catch (error) {
    if (!(error instanceof GzipError)) throw error;
    throw new CliError(`${name} is damaged gzip (${error.message}); what could be read of it was sent.`);
  }
}

/** Throws if the input is gzip, because data appended to it does not arrive as lines. */
export async function* refuseGzip(input: AsyncIterable<Uint8Array>, name: string): AsyncGenerator<Uint8Array> {
  const { head, chunks, close } = await peek(input, gzipMagic.length);
  if (isGzip(head)) {
    await close();
    throw usageError(`--follow reads text, and ${name} is gzip.`, "Send it without --follow.");
  }
  yield* chunks;
}

const isGzip = (head: Uint8Array) => gzipMagic.every((byte, i) => head[i] === byte);

/** Returns the first bytes, and the whole input including them. Call `close` to stop reading. */
async function peek(input: AsyncIterable<Uint8Array>, length: number) {
  const iterator = input[Symbol.asyncIterator]();
  let head = Buffer.alloc(0);
  while (head.length < length) {
    const { value, done } = await iterator.next();
    if (done) break;
    head = Buffer.concat([head, value]);
  }
  async function* chunks(): AsyncGenerator<Uint8Array> {
    if (head.length > 0) yield head;
    yield* { [Symbol.asyncIterator]: () => iterator };
  }
  return { head, chunks: chunks(), close: async () => iterator.return?.() };
}
