import { storable } from "@sazabi/sdk/protocol";
import { hideKeys } from "../../misplaced-keys.ts";

/** Bytes that are no UTF-8 become U+FFFD; a byte order mark is dropped. */
export function decodeText(bytes: Buffer): string {
  const text = bytes.toString("utf8");
  return text.charCodeAt(0) === 0xfeff ? text.slice(1) : text;
}

export function parseJson(text: string): { readonly value: unknown } | { readonly error: string } {
  try {
    return { value: JSON.parse(text) };
  } catch (error) {
    // The message quotes the text, which may hold what cannot be stored, or a key.
    return { error: hideKeys(storable((error as Error).message)).slice(0, 200) };
  }
}

export type JsonObject = Readonly<Record<string, unknown>>;

export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
