import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { Readable } from "node:stream";
import { createGunzip } from "node:zlib";
import { CliError, usageError } from "../errors.ts";

/** The bytes of a file; unpacked when they are gzip, whatever the file is called. */
export async function openFile(path: string): Promise<AsyncIterable<Uint8Array>> {
  try {
    const found = await stat(path);
    if (found.isDirectory()) throw usageError(`${path} is a directory; name a file.`);
  } catch (cause) {
    if (cause instanceof CliError) throw cause;
    throw usageError(`Cannot read ${path} (${(cause as NodeJS.ErrnoException).code}).`);
  }
  return unpacked(createReadStream(path), path);
}

export async function* unpacked(input: AsyncIterable<Uint8Array>, name: string): AsyncGenerator<Uint8Array> {
  const { head, chunks } = await peek(input, 2);
  if (head[0] !== 0x1f || head[1] !== 0x8b) return yield* chunks;
  const gunzip = createGunzip();
  const packed = Readable.from(chunks, { objectMode: false });
  packed.on("error", (error) => gunzip.destroy(error)).pipe(gunzip);
  try {
    yield* gunzip;
  } catch (cause) {
    throw new CliError(`${name} is damaged gzip (${(cause as Error).message}); what could be read of it was sent.`);
  }
}

/** The first bytes, and all of the input with them. */
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
  return { head, chunks: chunks() };
}
