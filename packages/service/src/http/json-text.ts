import { TimeSlices } from "../concurrency/event-loop-fairness.ts";

/** Characters of a text that become JSON in one step: six times as many at most. */
const stepCharacters = 16 * 1024;
/** A piece is encoded when it has as many characters. */
const pieceCharacters = 64 * 1024;

/**
 * JSON that may be large, as UTF-8 in pieces: a text of megabytes would be made in one step. The end of it is a text, so
 * that small JSON is one.
 */
export class JsonText {
  readonly #pieces: Buffer[] = [];
  #pieceBytes = 0;
  #end = "";

  get bytes(): number {
    return this.#pieceBytes + Buffer.byteLength(this.#end);
  }

  /** All of it when it is short, otherwise undefined. */
  get short(): string | undefined {
    return this.#pieces.length === 0 ? this.#end : undefined;
  }

  pieces(): readonly Buffer[] {
    this.#encodeEnd();
    return this.#pieces;
  }

  add(json: string | JsonText): void {
    if (typeof json === "string") {
      this.#end += json;
    } else {
      if (json.#pieces.length > 0) this.#encodeEnd();
      for (const piece of json.#pieces) this.#addPiece(piece);
      this.#end += json.#end;
    }
    if (this.#end.length >= pieceCharacters) this.#encodeEnd();
  }

  #encodeEnd(): void {
    if (this.#end !== "") this.#addPiece(Buffer.from(this.#end));
    this.#end = "";
  }

  #addPiece(piece: Buffer): void {
    this.#pieces.push(piece);
    this.#pieceBytes += piece.length;
  }
}

/** An object. Its members may be JSON already; one that is undefined is left out. */
export function jsonObject(members: Readonly<Record<string, unknown>>): JsonText {
  const json = new JsonText();
  let separator = "{";
  for (const [name, value] of Object.entries(members)) {
    if (value === undefined) continue;
    json.add(`${separator}${JSON.stringify(name)}:`);
    json.add(value instanceof JsonText ? value : JSON.stringify(value));
    separator = ",";
  }
  json.add(separator === "{" ? "{}" : "}");
  return json;
}

/** An array of values that are JSON already. */
export function jsonArray(values: readonly JsonText[]): JsonText {
  const json = new JsonText();
  json.add("[");
  for (const [index, value] of values.entries()) {
    if (index > 0) json.add(",");
    json.add(value.short ?? value);
  }
  json.add("]");
  return json;
}

/**
 * The values as JSON, as many as have `maxBytes` together, and the first in any case. Made in slices of time: see `jsonOf`.
 */
export async function jsonWithin(
  values: Iterable<object>,
  maxBytes: number,
  slices = new TimeSlices(),
): Promise<JsonText[]> {
  const within: JsonText[] = [];
  let bytes = 0;
  for (const value of values) {
    const json = await jsonOf(value, slices);
    bytes += json.bytes + 1;
    if (within.length > 0 && bytes > maxBytes) break;
    within.push(json);
  }
  return within;
}

/** A value of JSON, whose arrays are small. What is large is made in slices of time. */
export async function jsonOf(value: unknown, slices = new TimeSlices()): Promise<JsonText> {
  const size = sizeOf(value);
  if (size > stepCharacters && typeof value === "string") return jsonOfText(value, slices);
  if (size > stepCharacters && isObject(value)) return jsonOfMembers(value, slices);
  const json = new JsonText();
  json.add(JSON.stringify(value));
  await slices.spend(size);
  return json;
}

/** In characters, roughly. */
function sizeOf(value: unknown): number {
  if (typeof value === "string") return value.length;
  if (!isObject(value)) return 0;
  let size = 0;
  for (const name in value) size += name.length + sizeOf(value[name]);
  return size;
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

async function jsonOfMembers(value: Readonly<Record<string, unknown>>, slices: TimeSlices): Promise<JsonText> {
  const members: Record<string, JsonText> = Object.create(null);
  // The message of an entry is two of its members.
  const made = new Map<unknown, JsonText>();
  for (const [name, member] of Object.entries(value)) {
    const json = made.get(member) ?? (await jsonOf(member, slices));
    if (typeof member === "string") made.set(member, json);
    members[name] = json;
  }
  return jsonObject(members);
}

async function jsonOfText(text: string, slices: TimeSlices): Promise<JsonText> {
  const json = new JsonText();
  json.add('"');
  for (let from = 0; from < text.length; ) {
    const to = endOfStep(text, from);
    json.add(JSON.stringify(text.slice(from, to)).slice(1, -1));
    await slices.spend(to - from);
    from = to;
  }
  json.add('"');
  return json;
}

/** Not between the two halves of a character beyond U+FFFF. */
function endOfStep(text: string, from: number): number {
  const to = from + stepCharacters;
  if (to >= text.length) return text.length;
  const last = text.charCodeAt(to - 1);
  return last >= 0xd800 && last <= 0xdbff ? to - 1 : to;
}
