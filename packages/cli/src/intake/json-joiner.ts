import { endOfJsonString } from "@sazabi/sdk/protocol";
import { parseObject } from "./json-object.ts";
import { type LogRecord, maxRecordChars, maxRecordLines } from "./log-record.ts";

/** A record: a complete JSON object, or a line that may belong to the lines around it. */
export interface Piece {
  readonly record: LogRecord;
  readonly isObject: boolean;
}

/** What a line holds of an object that is not complete. */
interface Part {
  readonly text: string;
  /** What is sent when the object turns out to be no JSON. */
  readonly line: LogRecord;
}

/** What a joiner holds, as plain data. */
export interface JsonState {
  /** "opening": a bracket may begin an array, and no object of it is complete. */
  readonly place: "outside" | "opening" | "array";
  readonly parts: readonly Part[];
  /** Brackets that are open in the parts. */
  readonly depth: number;
}

interface Reading {
  readonly pieces: readonly Piece[];
  /** The end of the line, when it is no part of the JSON before it. */
  readonly rest?: LogRecord | undefined;
}

/**
 * Finds JSON that is printed over several lines: an object, or an array of objects in any layout. Each object of an array
 * is given when it is complete, so an array may be endless. What is no JSON is given as the lines that it came in.
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

  /** The pieces that are complete with this line. */
  add(line: LogRecord): readonly Piece[] {
    if (this.#depth === 0 && this.#place === "outside") return this.#begin(line);
    if (this.#depth === 0 && this.#place === "opening") return this.#open(line);
    return this.#goOn(line);
  }

  /** The input ended, or a line came that is no JSON. */
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

  /** A line that has a bracket, and objects behind it. */
  #beginArray(line: LogRecord): readonly Piece[] {
    this.#place = "opening";
    const { pieces, rest } = this.#read(line, 1);
    const isArray = this.#isInArray && rest === undefined && pieces.every(({ isObject }) => isObject);
    if (isArray && this.#depth > 0) {
      // Text may begin so, too. What certainly begins an object is a name.
      if (pieces.length > 0 || /^\[\s*\{\s*(?:"|$)/.test(line.text)) return pieces;
    } else if (isArray) {
      if (/,\s*$/.test(line.text)) return pieces;
      this.#hold(line);
      return [];
    }
    this.end();
    return [asText(line)];
  }

  /** Keeps a line that begins an array only if the next one goes on with it. */
  #hold(line: LogRecord): void {
    this.#place = "opening";
    this.#parts = [{ text: "", line }];
  }

  /** The line after one that is held. */
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

  /** Takes the objects out of a line, from a place in it on. */
  #read(line: LogRecord, from: number): Reading {
    const { text } = line;
    const pieces: Piece[] = [];
    let at = from;
    // What is sent as text when no more objects are found.
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
      // The brackets match, and it is no JSON all the same.
      if (!parseObject(object)) return { pieces: [...pieces, ...this.#fail()] };
      const first = this.#takeParts().find((one) => one.text !== "") as Part;
      pieces.push({ record: { ...first.line, text: object }, isObject: true });
      if (this.#place === "opening") this.#place = "array";
      at = end;
      rest = { ...line, text: text.slice(end) };
    }
  }

  /** The lines of an object that is no JSON. An array may go on behind it. */
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

/** Some write commas in front, some leave them out. */
const separator = /[\s,]*/y;

function endOfSeparator(text: string, start: number): number {
  separator.lastIndex = start;
  separator.test(text);
  return separator.lastIndex;
}

/** Any part of JSON but a string. */
const token = /[\s,:]+|-?\d[\d.eE+-]*|true|false|null|[{}[\]]/y;

/** Reads on until the brackets that are open are closed, or the text ends. Without a depth it is no JSON. */
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
      // A string does not go on in the next line.
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
