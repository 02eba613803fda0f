import { hash } from "node:crypto";
import { shortSha256 } from "./short-sha256.ts";

/** The SHA-256 of what is sent as a key, in base64: by this a key is known in memory, and nothing there says what it is. */
export function digestOf(key: string): string {
  return hash("sha256", key, "base64");
}

/** The same as eight numbers of 32 bits, to look a key up by. They count until the next call. */
export function digestWordsOf(key: string): Int32Array {
  return shortSha256(key) ?? wordsOf(digestOf(key));
}

/** A digest in base64 as eight numbers. */
export function wordsOf(digest: string): Int32Array {
  const bytes = Buffer.from(digest, "base64");
  return Int32Array.from({ length: 8 }, (_, index) => bytes.readInt32BE(index * 4));
}
