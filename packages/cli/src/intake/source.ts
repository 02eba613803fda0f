import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { createGunzip } from "node:zlib";
import { CliError, usageError } from "../errors.ts";
import { systemMessage } from "../system-message.ts";

/** The bytes of a file; unpacked when they are gzip, whatever the file is called. */
export async function openFile(path: string): Promise<AsyncIterable<Uint8Array>> {
  try {
    const found = await stat(path);
    if (found.isDirectory()) throw usageError(`${path} is a directory; name a file.`);
  } catch (cause) {
    if (cause instanceof CliError) throw cause;
    throw usageError(`Cannot read ${path} (${systemMessage(cause)}).`);
  }
  return unpacked(createReadStream(path), path);
}

export async function* unpacked(input: AsyncIterable<Uint8Array>, name: string): AsyncGenerator<Uint8Array> {
  const { head, chunks } = await peek(input, 2);
  if (head[0] !== 0x1f || head[1] !== 0x8b) return yield* chunks;
  const { write, end, take } = openGunzip();
  let failure: Error | undefined;
  for await (const chunk of chunks) {
    for (let start = 0; start < chunk.length && !failure; start += pieceBytes) {
      failure = await write(chunk.subarray(start, start + pieceBytes));
      yield* take();
    }
    if (failure) break;
  }
  failure ??= await end();
  yield* take();
  if (failure) throw new CliError(`${name} is damaged gzip (${failure.message}); what could be read of it was sent.`);
}

/** Unpacked, at most some megabytes: gzip packs a thousand to one at best. */
const pieceBytes = 8 * 1024;

/**
 * Gunzip that is asked for each piece, and keeps what it has unpacked until that is taken. As a stream to be read it would
 * throw away, with the first error, what its reader had not come to.
 */
function openGunzip() {
  const gunzip = createGunzip();
  let unpacked: Uint8Array[] = [];
  gunzip.on("data", (chunk: Uint8Array) => unpacked.push(chunk));
  gunzip.on("error", () => {}); // Told to whoever wrote or ended.
  const done = (resolve: (failure: Error | undefined) => void) => (error?: Error | null) => resolve(error ?? undefined);
  return {
    write: (piece: Uint8Array) => new Promise<Error | undefined>((resolve) => gunzip.write(piece, done(resolve))),
    end: () =>
      new Promise<Error | undefined>((resolve) => {
        gunzip.once("error", resolve).once("end", () => resolve(undefined));
        gunzip.end();
      }),
    take: () => {
      const taken = unpacked;
      unpacked = [];
      return taken;
    },
  };
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
