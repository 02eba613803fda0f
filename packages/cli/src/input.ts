import { usageError } from "./errors.ts";

/** All of a short text. Refuses more than `maxBytes` instead of reading without end. */
export async function readAll(input: AsyncIterable<Uint8Array>, maxBytes: number, what: string): Promise<string> {
  const bytes = await readBytes(input, maxBytes, `${what}: this is longer than a key can be.`);
  return bytes.toString("utf8");
}

/** All of it, byte for byte; a usage error that says `tooLong` when there are more than `maxBytes`. */
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
