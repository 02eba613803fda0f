import { hash } from "node:crypto";

/**
 * Returns the SHA-256 of the text sent as a key, in base64. It indexes keys in memory, so that memory
 * contains no usable key.
 */
export function digestOf(key: string): string {
  return hash("sha256", key, "base64");
}
