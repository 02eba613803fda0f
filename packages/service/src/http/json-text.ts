import { TimeSlices } from "../concurrency/event-loop-fairness.ts";

/** Characters of a text that one step converts to JSON; the result has at most six times as many. */
const stepCharacters = 16 * 1024;
/** Characters after which a piece is encoded. */
const pieceCharacters = 64 * 1024;

/**
 * Possibly large JSON, as UTF-8 in pieces: building one text of megabytes would block the event loop.
 * The last part stays a string, so that small JSON is one string.
 */
export class JsonText {
  readonly #pieces: Buffer[] = [];
  #pieceBytes = 0;
  #end = "";

  get bytes(): number {
    return this.#pieceBytes + Buffer.byteLength(this.#end);
  }

  /** The whole JSON text when it is short, otherwise undefined. */
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

/** Builds an object. Members may be `JsonText`; undefined members are omitted. */
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

/** Builds an array from values that are already JSON. */
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

/** Encodes as many values as fit into `maxBytes` together, and always the first. Works in time slices: see `jsonOf`. */
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

/** Encodes a value whose arrays are small. Large values are encoded in time slices. */
export async function jsonOf(value: unknown, slices = new TimeSlices()): Promise<JsonText> {
  const size = sizeOf(value);
  if (size > stepCharacters && typeof value === "string") return jsonOfText(value, slices);
  if (size > stepCharacters && isObject(value)) return jsonOfMembers(value, slices);
  const json = new JsonText();
  json.add(JSON.stringify(value));
  await slices.spend(size);
  return json;
}

/** Estimates the size in characters. */
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
  // The message of a log entry appears in two members, and is encoded once.
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

/** Does not split a surrogate pair. */
function endOfStep(text: string, from: number): number {
  const to = from + stepCharacters;
  if (to >= text.length) return text.length;
  const last = text.charCodeAt(to - 1);
  return last >= 0xd800 && last <= 0xdbff ? to - 1 : to;
}
