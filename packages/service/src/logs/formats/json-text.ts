import { storable } from "@sazabi/sdk/protocol";
import { hideKeys } from "../../misplaced-keys.ts";

/** Bytes that are no UTF-8 become U+FFFD; a byte order mark is dropped. */
export function decodeText(bytes: Buffer): string {
  const text = bytes.toString("utf8");
  return text.charCodeAt(0) === 0xfeff ? text.slice(1) : text;
}

/** A parser keeps a note of some 70 bytes for each level: below this length even brackets alone cost no more than 80 MB. */
const harmlessLength = 1024 * 1024;
/** Far beyond what an entry may have, so that its own verdict comes first. */
const maxDepth = 10_000;

/** Throws nothing: what is no JSON, or nested so deep that reading it would take the memory of the service, is an error. */
export function parseJson(text: string): { readonly value: unknown } | { readonly error: string } {
  if (text.length > harmlessLength && isNestedDeeper(text)) {
    return { error: `it is nested more than ${maxDepth} levels deep` };
  }
  try {
    return { value: JSON.parse(text) };
  } catch (error) {
    // The message quotes the text, which may hold what cannot be stored, or a key.
    return { error: hideKeys(storable((error as Error).message)).slice(0, 200) };
  }
}

const quote = 0x22;
const backslash = 0x5c;

/** Counts brackets outside of strings; quick, since it jumps from quote to quote. */
function isNestedDeeper(text: string): boolean {
  let depth = 0;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === quote) {
      at = endOfString(text, at);
    } else if (code === 0x5b || code === 0x7b) {
      depth += 1;
      if (depth > maxDepth) return true;
    } else if (code === 0x5d || code === 0x7d) {
      depth -= 1;
    }
  }
  return false;
}

function endOfString(text: string, start: number): number {
  for (let end = text.indexOf('"', start + 1); end !== -1; end = text.indexOf('"', end + 1)) {
    let escapes = 0;
    while (text.charCodeAt(end - 1 - escapes) === backslash) escapes += 1;
    if (escapes % 2 === 0) return end;
  }
  return text.length;
}

export type JsonObject = Readonly<Record<string, unknown>>;

export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
