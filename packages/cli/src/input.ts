import { usageError } from "./errors.ts";

/** All of a short text. Refuses more than `maxBytes` instead of reading without end. */
export async function readAll(input: AsyncIterable<Uint8Array>, maxBytes: number, what: string): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of input) {
    bytes += chunk.length;
    if (bytes > maxBytes) throw usageError(`${what}: this is longer than a key can be.`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}
