import type { PatternPart, TextPattern } from "./ast.ts";
import { findText } from "./find-text.ts";
import { nativeSteps, type StepMeter, unlimitedSteps } from "./steps.ts";
import { fold } from "./text.ts";

/** What is between two runs of anything: literal text and single characters. */
interface Piece {
  readonly parts: readonly (string | { readonly any: "one" })[];
  /** In characters, not in UTF-16 units. */
  readonly length: number;
  /** Finds a piece that has single characters; made when it is needed. */
  finder?: PieceFinder;
}

const compiled = new WeakMap<TextPattern, readonly Piece[]>();

/** Whether the pattern is the whole text, without case. */
export function covers(pattern: TextPattern, text: string, meter: StepMeter = unlimitedSteps): boolean {
  return coversFolded(pattern, fold(text), meter);
}

/** `covers`, for a text that is folded. Takes time proportional to the text, but for pieces longer than 32 characters. */
export function coversFolded(pattern: TextPattern, text: string, meter: StepMeter): boolean {
  const pieces = piecesOf(pattern);
  const first = pieces[0] as Piece;
  const place = lengthAt(first, text, 0, meter);
  if (place === undefined) return false;
  if (pieces.length === 1) return place === text.length;
  const end = endOfAll(pieces.slice(1, -1), text, place, meter);
  return end !== undefined && endsWith(pieces.at(-1) as Piece, text, end, meter);
}

/** Whether the pattern occurs somewhere in a text that is folded. */
export function occursInFolded(pattern: TextPattern, text: string, meter: StepMeter): boolean {
  return endOfAll(piecesOf(pattern), text, 0, meter) !== undefined;
}

/** Where the last piece ends when each is at the leftmost place behind the one before: no other is any better. */
function endOfAll(pieces: readonly Piece[], text: string, from: number, meter: StepMeter): number | undefined {
  let place: number | undefined = from;
  for (const piece of pieces) {
    place = endOfFirst(piece, text, place, meter);
    if (place === undefined) return undefined;
  }
  return place;
}

function piecesOf(pattern: TextPattern): readonly Piece[] {
  const known = compiled.get(pattern);
  if (known) return known;
  const pieces: (string | { any: "one" })[][] = [[]];
  for (const part of pattern) {
    if (isRun(part)) pieces.push([]);
    else pieces.at(-1)?.push(part as string | { any: "one" });
  }
  const made = pieces.map((parts) => ({ parts, length: parts.reduce((sum, part) => sum + lengthOf(part), 0) }));
  compiled.set(pattern, made);
  return made;
}

function isRun(part: PatternPart): boolean {
  return typeof part !== "string" && part.any === "many";
}

function lengthOf(part: string | { readonly any: "one" }): number {
  return typeof part === "string" ? Array.from(part).length : 1;
}

/** Where the piece ends when it is at `place`, or undefined when it is not. */
function lengthAt({ parts }: Piece, text: string, place: number, meter: StepMeter): number | undefined {
  let end = place;
  meter.spend(parts.length);
  for (const part of parts) {
    if (typeof part === "string") {
      meter.spend(nativeSteps(part.length));
      if (!text.startsWith(part, end)) return undefined;
      end += part.length;
    } else {
      if (end >= text.length) return undefined;
      end += isPairAt(text, end) ? 2 : 1;
    }
  }
  return end;
}

function endOfFirst(piece: Piece, text: string, from: number, meter: StepMeter): number | undefined {
  const [only] = piece.parts;
  if (only === undefined) return from;
  if (piece.parts.length > 1 || typeof only !== "string") {
    piece.finder ??= new PieceFinder(piece);
    return piece.finder.endOfFirst(text, from, meter);
  }
  const start = findText(only, text, from, meter);
  return start < 0 ? undefined : start + only.length;
}

/** Whether the text ends with the piece, and that not before `from`. */
function endsWith(piece: Piece, text: string, from: number, meter: StepMeter): boolean {
  let start = text.length;
  meter.spend(piece.length);
  for (let count = 0; count < piece.length; count++) {
    start -= start >= 2 && isPairAt(text, start - 2) ? 2 : 1;
  }
  return start >= from && lengthAt(piece, text, start, meter) === text.length;
}

function isPairAt(text: string, place: number): boolean {
  return (text.codePointAt(place) ?? 0) > 0xffff;
}

/** Places in a piece at which a character may be: as bits, and as a list for a character that is at few places. */
type Places = { readonly bits: Uint32Array } | { readonly list: readonly number[] };

/**
 * Looks for a piece by following all its beginnings at once, each a bit (the Shift-And algorithm): a character of the
 * text costs a step for each 32 characters of the piece.
 */
class PieceFinder {
  readonly #words: number;
  readonly #last: number;
  readonly #places = new Map<number, Places>();
  readonly #everywhere: Uint32Array;
  readonly #begun: Uint32Array;

  constructor({ parts, length }: Piece) {
    this.#words = Math.ceil(length / 32);
    this.#last = length - 1;
    this.#everywhere = new Uint32Array(this.#words);
    this.#begun = new Uint32Array(this.#words);
    const lists = new Map<number, number[]>();
    let place = 0;
    for (const part of parts) {
      if (typeof part !== "string") {
        setBit(this.#everywhere, place++);
        continue;
      }
      for (const character of part) {
        const point = character.codePointAt(0) as number;
        const list = lists.get(point);
        if (list) list.push(place);
        else lists.set(point, [place]);
        place += 1;
      }
    }
    for (const [point, list] of lists) this.#places.set(point, this.#placesOf(list));
  }

  endOfFirst(text: string, from: number, meter: StepMeter): number | undefined {
    this.#begun.fill(0);
    for (let at = from; at < text.length; ) {
      const point = text.codePointAt(at) as number;
      at += point > 0xffff ? 2 : 1;
      meter.spend(1 + this.#words);
      this.#advance(this.#places.get(point));
      if (hasBit(this.#begun, this.#last)) return at;
    }
    return undefined;
  }

  #placesOf(list: readonly number[]): Places {
    // So that all characters together take no more memory than the piece.
    if (list.length < this.#words) return { list };
    const bits = this.#everywhere.slice();
    for (const place of list) setBit(bits, place);
    return { bits };
  }

  #advance(places: Places | undefined): void {
    const begun = this.#begun;
    const allowed = places && "bits" in places ? places.bits : this.#everywhere;
    const listed = places && "list" in places ? places.list.filter((place) => this.#mayBeAt(place)) : [];
    let carried = 1;
    for (let word = 0; word < begun.length; word++) {
      const bits = begun[word] as number;
      begun[word] = ((bits << 1) | carried) & (allowed[word] as number);
      carried = bits >>> 31;
    }
    for (const place of listed) setBit(begun, place);
  }

  /** Whether the beginning before this place is there. */
  #mayBeAt(place: number): boolean {
    return place === 0 || hasBit(this.#begun, place - 1);
  }
}

function setBit(bits: Uint32Array, place: number): void {
  bits[place >>> 5] = (bits[place >>> 5] as number) | (1 << (place & 31));
}

function hasBit(bits: Uint32Array, place: number): boolean {
  return (((bits[place >>> 5] as number) >>> (place & 31)) & 1) === 1;
}
