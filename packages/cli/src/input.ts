import { usageError } from "./errors.ts";

/** Reads a short text. Throws if it is longer than `maxBytes`. */
export async function readAll(input: AsyncIterable<Uint8Array>, maxBytes: number, what: string): Promise<string> {
  const bytes = await readBytes(input, maxBytes, `${what}: this is longer than a key can be.`);
  return bytes.toString("utf8");
}

/** Reads all bytes. Throws a usage error with the message `tooLong` if there are more than `maxBytes`. */
export async function readBytes(
  input: AsyncIterable<Uint8Array>,
  maxBytes: number,
  tooLong: string,
): Promise<Buffer<ArrayBuffer>> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of input) {
    bytes += chunk.length;
    if (bytes > maxBytes) throw usageError(tooLong);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
