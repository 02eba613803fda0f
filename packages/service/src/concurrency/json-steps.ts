import { endOfJsonString, intakeLimits } from "@sazabi/sdk/protocol";
import type { TimeSlices } from "./event-loop-fairness.ts";

/** In characters. A longer text is not parsed in one step. */
export const stepLength = 16 * 1024;
/** Longest text that an entry may have: each character is written as at most six. */
const maxStringLength = 6 * intakeLimits.entryCharacters;
/** Far more than an entry may have, so that the check of the entry reports its own limit first. */
const maxDepth = 10_000;

export interface JsonStepsOptions {
  readonly slices: TimeSlices;
  /** Maximum number of object members and array elements at all depths. */
  readonly maxMembers: number;
  /** Parses a piece of the text that is valid JSON by itself. Default: `JSON.parse`. */
  readonly parse?: (text: string) => unknown;
  /** Overrides the default step length. */
  readonly stepLength?: number;
}

/** The text is not valid JSON. */
export class JsonFault extends Error {}
/** The text exceeds a limit; the message names it. */
export class JsonLimit extends Error {}

/** An object or array that is still open. */
interface Frame {
  readonly isObject: boolean;
  /** Position of its bracket. */
  readonly start: number;
  /** Start of the text that is not in `value` yet. */
  pending: number;
  lastComma: number;
  /** Undefined while the whole container may still be parsed in one step. */
  value: unknown[] | Record<string, unknown> | undefined;
  /** Name of the member whose value is the open container inside this one. */
  key: string;
  /** True after an inner container was added to `value`: only a comma or the end may follow. */
  isAfterValue: boolean;
}

/**
 * Returns the value that `JSON.parse`, or `parse`, would return. Handles other requests while a long
 * text is parsed. One scan finds the brackets and commas; the text between them is parsed in pieces.
 * Throws `JsonFault` and `JsonLimit`.
 */
export function parseInSteps(text: string, options: JsonStepsOptions): Promise<unknown> {
  return new JsonSteps(text, options).parse();
}

const quote = 0x22;
const comma = 0x2c;
const openingBracket = 0x5b;
const closingBracket = 0x5d;
const openingBrace = 0x7b;
const closingBrace = 0x7d;

class JsonSteps {
  readonly #text: string;
  readonly #slices: TimeSlices;
  readonly #maxMembers: number;
  readonly #parse: (text: string) => unknown;
  readonly #stepLength: number;
  readonly #frames: Frame[] = [];
  #members = 0;
  /** The outermost container, once it is closed. */
  #root: Frame | undefined;

  constructor(text: string, options: JsonStepsOptions) {
    this.#text = text;
    this.#slices = options.slices;
    this.#maxMembers = options.maxMembers;
    this.#parse = options.parse ?? JSON.parse;
    this.#stepLength = options.stepLength ?? stepLength;
  }

  async parse(): Promise<unknown> {
    const { length } = this.#text;
    for (let at = 0; at < length; ) {
      const next = this.#scan(at, at + this.#stepLength);
      const wait = this.#slices.spend(next - at);
      if (wait) await wait;
      at = next;
    }
    if (this.#frames.length > 0) throw new JsonFault("it ends inside an object or array");
    const root = this.#root;
    if (!root?.value) return this.#parsePiece(this.#text, 0);
    this.#expectNothing(0, root.start);
    this.#expectNothing(root.pending, length);
    return root.value;
  }

  /** Scans from `start` until a piece was parsed, or until `end`. Returns the position where it stopped. */
  #scan(start: number, end: number): number {
    const text = this.#text;
    let at = start;
    for (; at < text.length && at < end; at++) {
      switch (text.charCodeAt(at)) {
        case quote:
          at = this.#skipString(at);
          break;
        case openingBracket:
          this.#open(at, false);
          break;
        case openingBrace:
          this.#open(at, true);
          break;
        case comma:
          if (this.#separate(at)) return at + 1;
          break;
        case closingBracket:
          if (this.#close(at, false)) return at + 1;
          break;
        case closingBrace:
          if (this.#close(at, true)) return at + 1;
          break;
      }
    }
    return at;
  }

  /** Returns the end of the string that begins at `start`. */
  #skipString(start: number): number {
    const end = endOfJsonString(this.#text, start);
    if (end - start <= maxStringLength) return end;
    throw new JsonLimit(`has a string of more than ${maxStringLength} characters as it is written`);
  }

  #open(at: number, isObject: boolean): void {
    if (this.#root) throw new JsonFault(`there is more after its end, from character ${at} on`);
    if (this.#frames.length === maxDepth) throw new JsonFault(`it is nested more than ${maxDepth} levels deep`);
    this.#count();
    this.#frames.push({
      isObject,
      start: at,
      pending: at + 1,
      lastComma: at,
      value: undefined,
      key: "",
      isAfterValue: false,
    });
  }

  /** Returns whether a piece was parsed. */
  #separate(at: number): boolean {
    this.#count();
    const frame = this.#frames.at(-1);
    if (!frame) throw new JsonFault(`a comma is at character ${at}, outside of any object or array`);
    frame.lastComma = at;
    if (frame.isAfterValue) {
      this.#expectNothing(frame.pending, at);
      frame.isAfterValue = false;
      frame.pending = at + 1;
      return false;
    }
    if (at - frame.pending < this.#stepLength) return false;
    this.#makeValues();
    this.#addPending(frame, at);
    return true;
  }

  #close(at: number, isObject: boolean): boolean {
    const frame = this.#frames.at(-1);
    if (frame?.isObject !== isObject) throw new JsonFault(`the bracket at character ${at} closes nothing`);
    if (frame.value) {
      if (frame.isAfterValue) this.#expectNothing(frame.pending, at);
      else this.#addPending(frame, at);
    }
    frame.pending = at + 1;
    this.#frames.pop();
    const parent = this.#frames.at(-1);
    if (!parent) this.#root = frame;
    else if (frame.value) add(parent, frame.value, at + 1);
    return frame.value !== undefined;
  }

  /** Creates the values of all open containers, with the contents before the innermost one. */
  #makeValues(): void {
    for (const [depth, frame] of this.#frames.entries()) {
      const inner = this.#frames[depth + 1];
      if (inner && !inner.value) this.#addBefore(frame, inner.start);
      frame.value ??= frame.isObject ? {} : [];
    }
  }

  /** Adds the members before the container that begins at `start`, and reads the name of its member. */
  #addBefore(frame: Frame, start: number): void {
    if (frame.isAfterValue) throw new JsonFault(`there is no comma before character ${start}`);
    if (frame.lastComma >= frame.pending) this.#addPending(frame, frame.lastComma);
    if (!frame.isObject) {
      this.#expectNothing(frame.pending, start);
      return;
    }
    const name = this.#text.slice(frame.pending, start);
    const [key] = Object.keys(this.#parsePiece(`{${name}null}`, frame.pending) as object) as [string];
    frame.key = key;
  }

  /** Parses the pending text up to `end`, and adds it to the value. */
  #addPending(frame: Frame, end: number): void {
    frame.value ??= frame.isObject ? {} : [];
    const piece = this.#text.slice(frame.pending, end);
    if (piece.trim() === "") throw new JsonFault(`nothing is where a value should be, at character ${end}`);
    if (Array.isArray(frame.value)) {
      for (const value of this.#parsePiece(`[${piece}]`, frame.pending) as unknown[]) frame.value.push(value);
    } else {
      const members = this.#parsePiece(`{${piece}}`, frame.pending) as Record<string, unknown>;
      for (const key of Object.keys(members)) setMember(frame.value, key, members[key]);
    }
    frame.pending = end + 1;
  }

  /** Counts one member per comma and one per container; an empty container also counts as one. */
  #count(): void {
    this.#members += 1;
    if (this.#members > this.#maxMembers) {
      throw new JsonLimit(`has more than ${this.#maxMembers} members and elements`);
    }
  }

  /** `start` is the position of the piece in the text. */
  #parsePiece(piece: string, start: number): unknown {
    try {
      return this.#parse(piece);
    } catch (error) {
      const { message } = error as Error;
      throw new JsonFault(start === 0 ? message : `${message}, counted from character ${start}`);
    }
  }

  #expectNothing(start: number, end: number): void {
    if (/^[ \t\r\n]*$/.test(this.#text.slice(start, end))) return;
    throw new JsonFault(`there is more than white space before character ${end}`);
  }
}

/** Adds the value of an inner container, which ends before `end`. */
function add(frame: Frame, value: unknown, end: number): void {
  if (Array.isArray(frame.value)) frame.value.push(value);
  else setMember(frame.value as Record<string, unknown>, frame.key, value);
  frame.pending = end;
  frame.isAfterValue = true;
}

/** Treats `__proto__` as an ordinary name, as `JSON.parse` does. */
function setMember(target: Record<string, unknown>, key: string, value: unknown): void {
  if (key !== "__proto__") target[key] = value;
  else Object.defineProperty(target, key, { value, writable: true, enumerable: true, configurable: true });
}
