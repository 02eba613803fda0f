import { hash } from "node:crypto";

/** The SHA-256 of what is sent as a key, in base64. Keys are looked up in memory by it, so memory holds no key. */
export function digestOf(key: string): string {
  return hash("sha256", key, "base64");
}
