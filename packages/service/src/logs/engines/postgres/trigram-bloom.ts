import { fold } from "@sazabi/sdk/protocol";

/** As in the table: two maps fit on a page, and the trigrams of some thousand entries fill a fifth of one. */
const mapBits = 30_720;

/** The bits of a map that the words of messages set, each of them once. */
export type WordBits = Uint16Array;

/** Which trigrams occur in texts, by a hash of them. */
export class WordMap {
  readonly #bytes = new Uint8Array(mapBits / 8);

  add(bits: WordBits): void {
    for (const bit of bits) this.#bytes[bit >>> 3] = (this.#bytes[bit >>> 3] as number) | (1 << (bit & 7));
  }

  /** As PostgreSQL reads a bit string. */
  toString(): string {
    return `x${Buffer.from(this.#bytes.buffer).toString("hex")}`;
  }
}

/** Of one call at a time: which bits were found, and those in the order they were. */
const isFound = new Uint8Array(mapBits);
const found = new Uint16Array(mapBits);

/** Of all of them together. What occurs in one of the messages, in any case, has no other bits than these. */
export function bitsOfMessages(messages: readonly string[]): WordBits {
  let count = 0;
  for (const message of messages) count = addTrigrams(message, count, false);
  const bits = found.slice(0, count);
  for (const bit of bits) isFound[bit] = 0;
  return bits;
}

/** The bits of several maps together, each of them once. */
export function unionOf(maps: readonly WordBits[]): WordBits {
  if (maps.length === 1) return maps[0] as WordBits;
  let count = 0;
  for (const bits of maps) {
    for (const bit of bits) {
      if (isFound[bit] === 1) continue;
      isFound[bit] = 1;
      found[count++] = bit;
    }
  }
  const union = found.slice(0, count);
  for (const bit of union) isFound[bit] = 0;
  return union;
}

const ascii = 128;
/** As `fold` has them: it would take as long as all else here, and most messages have no other characters. */
const foldedAscii = Uint8Array.from({ length: ascii }, (_, code) => fold(String.fromCharCode(code)).charCodeAt(0));

/** In units of UTF-16, folded: what occurs in a text has its trigrams. Returns how many bits are found by now. */
function addTrigrams(text: string, before: number, isFolded: boolean): number {
  let count = before;
  let first = 0;
  let second = 0;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code >= ascii && !isFolded) return addTrigrams(fold(text), count, true);
    const third = code < ascii ? (foldedAscii[code] as number) : code;
    if (at >= 2) {
      const bit = hash(first, second, third) % mapBits;
      if (isFound[bit] === 0) {
        isFound[bit] = 1;
        found[count++] = bit;
      }
    }
    first = second;
    second = third;
  }
  return count;
}

function hash(first: number, second: number, third: number): number {
  let mixed = Math.imul(first, 0x9e3779b1) + second;
  mixed = Math.imul(mixed, 0x85ebca6b) + third;
  mixed = Math.imul(mixed ^ (mixed >>> 15), 0xc2b2ae35);
  return (mixed ^ (mixed >>> 13)) >>> 0;
}
