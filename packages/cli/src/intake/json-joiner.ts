import { endOfJsonString } from "@sazabi/sdk/protocol";
import { parseObject } from "./json-object.ts";
import { type LogRecord, maxRecordChars, maxRecordLines } from "./log-record.ts";

/** A record: a complete JSON object, or a line that may belong to its neighbours. */
export interface Piece {
  readonly record: LogRecord;
  readonly isObject: boolean;
}

/** The part of an incomplete object in one line. */
interface Part {
  readonly text: string;
  /** The line to send as text if the object is not valid JSON. */
  readonly line: LogRecord;
}

/** The state of a joiner, as plain data. */
export interface JsonState {
  /** "opening": a bracket may begin an array, and none of its objects is complete. */
  readonly place: "outside" | "opening" | "array";
  readonly parts: readonly Part[];
  /** The number of open brackets in the parts. */
  readonly depth: number;
}

interface Reading {
  readonly pieces: readonly Piece[];
  /** The rest of the line, if it does not belong to the JSON before it. */
  readonly rest?: LogRecord | undefined;
}

/**
 * Joins JSON that is printed over several lines: an object, or an array of objects in any layout. Each object of an
 * array is returned when complete, so an array may be endless. Invalid JSON is returned as its lines.
 */
export class JsonJoiner {
  #place: JsonState["place"];
  #parts: Part[];
  #depth: number;
  #chars: number;

  constructor({ place, parts, depth }: JsonState = { place: "outside", parts: [], depth: 0 }) {
    this.#place = place;
    this.#parts = [...parts];
    this.#depth = depth;
    this.#chars = parts.reduce((sum, { text, line }) => sum + Math.max(text.length, line.text.length), 0);
  }

  get state(): JsonState {
    return { place: this.#place, parts: [...this.#parts], depth: this.#depth };
  }

  /** Returns the pieces that this line completes. */
  add(line: LogRecord): readonly Piece[] {
    if (this.#depth === 0 && this.#place === "outside") return this.#begin(line);
    if (this.#depth === 0 && this.#place === "opening") return this.#open(line);
    return this.#goOn(line);
  }

  /** Ends the JSON at the end of the input, or before a line that is not JSON. */
  end(): readonly Piece[] {
    this.#place = "outside";
    return this.#takeParts().map(({ line }) => asText(line));
  }

  #begin(line: LogRecord): readonly Piece[] {
    const start = line.text.trimEnd();
    if (start === "{") return this.#goOn(line);
    if (/^\[\s*\{/.test(start)) return this.#beginArray(line);
    if (start !== "[") return [asText(line)];
    this.#hold(line);
    return [];
  }

  /** Handles a line with an opening bracket, and objects after it. */
  #beginArray(line: LogRecord): readonly Piece[] {
    this.#place = "opening";
    const { pieces, rest } = this.#read(line, 1);
    const isArray = this.#isInArray && rest === undefined && pieces.every(({ isObject }) => isObject);
    if (isArray && this.#depth > 0) {
      // Plain text may begin with a bracket. A quoted name after `[{` shows that it is an array.
      if (pieces.length > 0 || /^\[\s*\{\s*(?:"|$)/.test(line.text)) return pieces;
    } else if (isArray) {
      if (/,\s*$/.test(line.text)) return pieces;
      this.#hold(line);
      return [];
    }
    this.end();
    return [asText(line)];
  }

  /** Keeps a line that begins an array if the next line continues it. */
  #hold(line: LogRecord): void {
    this.#place = "opening";
    this.#parts = [{ text: "", line }];
  }

  /** Handles the line after a held one. */
  #open(line: LogRecord): readonly Piece[] {
    const opener = (this.#parts[0] as Part).line;
    const isBracket = opener.text.trimEnd() === "[";
    if (!(isBracket ? /^\s*\{/ : /^\s*[,\]]/).test(line.text)) return [...this.end(), ...this.#begin(line)];
    if (isBracket) return this.#goOn(line);
    this.#takeParts();
    return [...this.#read(opener, 1).pieces, ...this.#goOn(line)];
  }

  #goOn(line: LogRecord): readonly Piece[] {
    const { pieces, rest } = this.#read(line, 0);
    return rest ? [...pieces, ...this.end(), ...this.#begin(rest)] : pieces;
  }

  /** Reads the objects of a line, from an offset. */
  #read(line: LogRecord, from: number): Reading {
    const { text } = line;
    const pieces: Piece[] = [];
    let at = from;
    // The part to send as text if there are no more objects.
    let rest = line;
    for (;;) {
      if (this.#depth === 0) {
        const next = endOfSeparator(text, at);
        if (next === text.length) return { pieces };
        const inArray = this.#isInArray;
        if (inArray && text[next] === "]") {
          this.#place = "outside";
          return { pieces, rest: restOf(line, next + 1) };
        }
        if (text[next] !== "{" || (!inArray && at > 0)) {
          return { pieces, rest: rest === line ? line : restOf(line, next) };
        }
        at = next;
      }
      const { depth, end } = readObject(text, at, this.#depth);
      const part = { text: text.slice(at, end).trim(), line: rest };
      // The whole line is held, with its indentation.
      const chars = Math.max(part.text.length, rest.text.length);
      const isTooLong = this.#chars > 0 && this.#chars + chars > maxRecordChars;
      if (depth === undefined || isTooLong || this.#parts.length > maxRecordLines) {
        return { pieces: [...pieces, ...this.#fail(), asText(rest)] };
      }
      this.#parts.push(part);
      this.#chars += chars;
      this.#depth = depth;
      if (depth > 0) return { pieces };
      const object = this.#parts
        .map((one) => one.text)
        .join(" ")
        .trimStart();
      // The brackets match, but the text is not valid JSON.
      if (!parseObject(object)) return { pieces: [...pieces, ...this.#fail()] };
      const first = this.#takeParts().find((one) => one.text !== "") as Part;
      pieces.push({ record: { ...first.line, text: object }, isObject: true });
      if (this.#place === "opening") this.#place = "array";
      at = end;
      rest = { ...line, text: text.slice(end) };
    }
  }

  /** Returns the lines of an invalid object. An array may continue after it. */
  #fail(): readonly Piece[] {
    if (this.#place === "opening") this.#place = "outside";
    return this.#takeParts().map(({ line }) => asText(line));
  }

  #takeParts(): readonly Part[] {
    const parts = this.#parts;
    this.#parts = [];
    this.#depth = 0;
    this.#chars = 0;
    return parts;
  }

  get #isInArray(): boolean {
    return this.#place !== "outside";
  }
}

const asText = (record: LogRecord): Piece => ({ record, isObject: false });

function restOf(line: LogRecord, start: number): LogRecord | undefined {
  const text = line.text.slice(start).trimStart();
  return text === "" ? undefined : { ...line, text };
}

/** Commas may be leading or missing. */
const separator = /[\s,]*/y;

function endOfSeparator(text: string, start: number): number {
  separator.lastIndex = start;
  separator.test(text);
  return separator.lastIndex;
}

/** Any JSON token except a string. */
const token = /[\s,:]+|-?\d[\d.eE+-]*|true|false|null|[{}[\]]/y;

/** Reads until all open brackets are closed, or to the end of the text. Returns no depth for invalid JSON. */
function readObject(
  text: string,
  start: number,
  open: number,
): { readonly depth: number | undefined; readonly end: number } {
  let depth = open;
  let at = start;
  while (at < text.length) {
    if (text[at] === '"') {
      at = endOfJsonString(text, at) + 1;
      // A JSON string cannot span lines.
      if (at > text.length) return { depth: undefined, end: text.length };
      continue;
    }
    token.lastIndex = at;
    if (!token.test(text)) return { depth: undefined, end: text.length };
    const isOpening = text[at] === "{" || text[at] === "[";
    const isClosing = text[at] === "}" || text[at] === "]";
    depth += isOpening ? 1 : isClosing ? -1 : 0;
    at = token.lastIndex;
    if (depth === 0) break;
  }
  return { depth, end: at };
}
