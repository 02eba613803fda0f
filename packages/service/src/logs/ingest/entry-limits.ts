import { intakeLimits } from "@sazabi/sdk/protocol";

/** Service and environment are in an index, whose rows have a limit; a longer one is cut, and kept as an attribute. */
export const shortTextBytes = 200;
/** Likewise; a longer id is only kept as an attribute, since a part of an id is none. */
export const idBytes = 128;
/** How far ahead of its arrival the time of an entry may be. */
export const futureMicros = intakeLimits.futureHours * 3_600_000_000;

/** In UTF-8; `text` has no lone surrogate. */
export function isLongerThan(text: string, bytes: number): boolean {
  return text.length > bytes || (text.length * 3 > bytes && Buffer.byteLength(text) > bytes);
}

/** The longest beginning that takes no more than so many bytes in UTF-8, without half a character. */
export function cutToBytes(text: string, bytes: number): string {
  if (!isLongerThan(text, bytes)) return text;
  const encoded = Buffer.from(text);
  let end = Math.max(0, Math.floor(bytes));
  while (end > 0 && ((encoded[end] as number) & 0xc0) === 0x80) end -= 1;
  return encoded.toString("utf8", 0, end);
}
