import type { NormalisedEntry } from "../../normalised-entry.ts";
import { escaped } from "./copy-escapes.ts";

type Attributes = NormalisedEntry["attributes"];

/** Of so many the order is found; those behind them stay as they came, and PostgreSQL sorts them. */
const keysSorted = 64;

/** Of one call at a time, as they came. */
const keys: Key[] = [];
const values: string[] = [];
/** In the order in which they are written: their ranks, and where they came. */
const ranks = new Uint16Array(keysSorted);
const places = new Uint16Array(keysSorted);

/**
 * JSON of the attributes, escaped for COPY; put together by hand, since it is mostly keys that come again. They are in
 * the order in which jsonb keeps them (shorter ones first, then by their bytes) as far as they are known: PostgreSQL
 * looks for it first, and need not sort.
 */
export function copyJson(attributes: Attributes): string {
  let count = 0;
  for (const name in attributes) {
    const key = keyOf(name);
    keys[count] = key;
    values[count] = valueText(attributes[name] as Attributes[string]);
    if (count < keysSorted) rankIn(key.rank, count);
    count += 1;
  }
  let text = "{";
  for (let at = 0; at < count; at++) {
    const place = at < keysSorted ? (places[at] as number) : at;
    const { first, next } = keys[place] as Key;
    text += at === 0 ? first : next;
    text += values[place];
  }
  return `${text}}`;
}

/** Among the `count` that are ranked: most are in order already, or nearly. */
function rankIn(rank: number, count: number): void {
  let at = count;
  for (; at > 0 && (ranks[at - 1] as number) > rank; at--) {
    ranks[at] = ranks[at - 1] as number;
    places[at] = places[at - 1] as number;
  }
  ranks[at] = rank;
  places[at] = count;
}

interface Key {
  /** With its quotes and the colon. */
  readonly first: string;
  /** Behind a comma. */
  readonly next: string;
  /** Its place among those that are known, in jsonb's order. */
  rank: number;
}

interface Ranked {
  readonly bytes: Buffer;
  readonly key: Key;
}

/** Each new one moves those behind it: not so many that it could be felt. */
const keysRemembered = 2_000;
const knownKeys = new Map<string, Key>();
/** In jsonb's order. */
const ranked: Ranked[] = [];

function keyOf(name: string): Key {
  return knownKeys.get(name) ?? newKey(name);
}

/** When as many are known as are remembered, all are forgotten: those that are still in use come again. */
function newKey(name: string): Key {
  if (ranked.length === keysRemembered) {
    ranked.length = 0;
    knownKeys.clear();
  }
  const first = `${escaped(JSON.stringify(name))}:`;
  const bytes = Buffer.from(name);
  const key = { first, next: `,${first}`, rank: placeOf(bytes) };
  knownKeys.set(name, key);
  ranked.splice(key.rank, 0, { bytes, key });
  for (let rank = key.rank; rank < ranked.length; rank++) (ranked[rank] as Ranked).key.rank = rank;
  return key;
}

/** Behind those that are shorter, or as long and smaller by their bytes. */
function placeOf(bytes: Buffer): number {
  let [from, to] = [0, ranked.length];
  while (from < to) {
    const middle = (from + to) >>> 1;
    const other = (ranked[middle] as Ranked).bytes;
    if ((other.length - bytes.length || other.compare(bytes)) > 0) to = middle;
    else from = middle + 1;
  }
  return from;
}

function valueText(value: Attributes[string]): string {
  if (typeof value !== "string") return String(value);
  return isPlain(value) ? `"${value}"` : escaped(JSON.stringify(value));
}

const quote = 0x22;
const backslash = 0x5c;
const firstPrintable = 0x20;
/** Above it JSON.stringify is quicker. */
const shortLength = 60;

/** Whether a short text needs no escaping, in JSON or by COPY. Lone surrogates, which JSON escapes, are in no entry. */
function isPlain(text: string): boolean {
  if (text.length > shortLength) return false;
  for (let place = 0; place < text.length; place++) {
    const code = text.charCodeAt(place);
    if (code < firstPrintable || code === quote || code === backslash) return false;
  }
  return true;
}
