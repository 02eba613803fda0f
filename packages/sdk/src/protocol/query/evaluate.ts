import type { AttributeValue } from "../resources.ts";
import type { Column, FieldTest, QueryNode, TextPattern } from "./ast.ts";
import { matchesRegex } from "./match-regex.ts";
import { compareText, decimalText, fold, readNumber } from "./text.ts";

/** An entry as intake normalised it: what a query can see. */
export interface QueriedEntry {
  /** Rank: place in `levels`. */
  readonly level: number;
  readonly service: string;
  readonly environment: string | null;
  readonly traceId: string | null;
  readonly spanId: string | null;
  readonly message: string;
  /** Flat: `{ "http.status": 500 }`. */
  readonly attributes: Readonly<Record<string, AttributeValue>>;
}

/**
 * Whether the entry is an answer to the query. This is the meaning of the language; the compilers have to agree
 * with it on every query and entry.
 */
export function evaluate(query: QueryNode, entry: QueriedEntry): boolean {
  switch (query.kind) {
    case "everything":
      return true;
    case "and":
      return query.nodes.every((node) => evaluate(node, entry));
    case "or":
      return query.nodes.some((node) => evaluate(node, entry));
    case "not":
      return !evaluate(query.node, entry);
    case "text":
      return occursIn(query.pattern, entry.message);
    case "regex":
      return matchesRegex(query.regex, entry.message);
    case "level":
      return query.ranks.includes(entry.level);
    case "field":
      if ("column" in query.field) return passesColumn(query.test, columnOf(entry, query.field.column));
      return passes(query.test, attributeOf(entry, query.field.attribute));
  }
}

function columnOf(entry: QueriedEntry, column: Column): string | null {
  switch (column) {
    case "message":
      return entry.message;
    case "service":
      return entry.service;
    case "environment":
      return entry.environment;
    case "trace_id":
      return entry.traceId;
    case "span_id":
      return entry.spanId;
  }
}

function attributeOf({ attributes }: QueriedEntry, key: string): AttributeValue | undefined {
  return Object.hasOwn(attributes, key) ? attributes[key] : undefined;
}

/** A column holds text or nothing, and an empty one exists as little as an absent one. */
function passesColumn(test: FieldTest, value: string | null): boolean {
  if (value === null) return false;
  if (test.kind === "exists") return value !== "";
  return test.kind === "equals" ? value === test.value : passes(test, value);
}

function passes(test: FieldTest, value: AttributeValue | undefined): boolean {
  if (value === undefined) return false;
  if (test.kind === "equals") return equals(value, test.value);
  if (value === null) return false;
  switch (test.kind) {
    case "exists":
      return true;
    case "matches":
      return covers(test.pattern, textOf(value));
    case "regex":
      return matchesRegex(test.regex, textOf(value));
    case "compares": {
      const order = compare(value, test.value);
      if (order === undefined) return false;
      if (test.operator === ">") return order > 0;
      if (test.operator === ">=") return order >= 0;
      return test.operator === "<" ? order < 0 : order <= 0;
    }
  }
}

function equals(value: AttributeValue, wanted: string): boolean {
  if (typeof value === "string") return value === wanted;
  if (typeof value === "number") return readNumber(wanted) === value;
  return String(value) === wanted;
}

function compare(value: AttributeValue, wanted: string): number | undefined {
  const bound = readNumber(wanted);
  if (bound === undefined) return typeof value === "string" ? compareText(value, wanted) : undefined;
  const number = typeof value === "string" ? readNumber(value) : value;
  return typeof number === "number" ? number - bound : undefined;
}

function textOf(value: string | number | boolean): string {
  return typeof value === "number" ? decimalText(value) : String(value);
}

/** Whether the pattern occurs somewhere in the text, without case. */
function occursIn(pattern: TextPattern, text: string): boolean {
  const folded = fold(text);
  const [only] = pattern;
  if (pattern.length === 1 && typeof only === "string") return folded.includes(only);
  return covers([{ any: "many" }, ...pattern, { any: "many" }], folded);
}

/** Whether the pattern is the whole text, without case. */
export function covers(pattern: TextPattern, text: string): boolean {
  const folded = fold(text);
  const pieces = piecesOf(pattern);
  const first = pieces[0] as Piece;
  const last = pieces.at(-1) as Piece;
  let place = lengthAt(first, folded, 0);
  if (place === undefined) return false;
  if (pieces.length === 1) return place === folded.length;
  // Between two runs of anything, the leftmost place is as good as any.
  for (const piece of pieces.slice(1, -1)) {
    place = endOfFirst(piece, folded, place);
    if (place === undefined) return false;
  }
  for (let start = place; start <= folded.length; start = nextPlace(folded, start)) {
    if (lengthAt(last, folded, start) === folded.length) return true;
  }
  return false;
}

/** What stands between two `many`: literal text and single characters. */
type Piece = readonly (string | { readonly any: "one" })[];

function piecesOf(pattern: TextPattern): readonly Piece[] {
  const pieces: (string | { any: "one" })[][] = [[]];
  for (const part of pattern) {
    if (typeof part === "string") pieces.at(-1)?.push(part);
    else if (part.any === "one") pieces.at(-1)?.push({ any: "one" });
    else pieces.push([]);
  }
  return pieces;
}

/** Where the piece ends when it stands at `place`, or undefined when it does not. */
function lengthAt(piece: Piece, text: string, place: number): number | undefined {
  let end = place;
  for (const part of piece) {
    if (typeof part === "string") {
      if (!text.startsWith(part, end)) return undefined;
      end += part.length;
    } else {
      if (end >= text.length) return undefined;
      end = nextPlace(text, end);
    }
  }
  return end;
}

function endOfFirst(piece: Piece, text: string, from: number): number | undefined {
  for (let start = from; start <= text.length; start = nextPlace(text, start)) {
    const end = lengthAt(piece, text, start);
    if (end !== undefined) return end;
  }
  return undefined;
}

/** One character further: two UTF-16 units for those beyond U+FFFF. */
function nextPlace(text: string, place: number): number {
  return place + ((text.codePointAt(place) ?? 0) > 0xffff ? 2 : 1);
}
