import { TimeSlices } from "../event-loop-fairness.ts";

/** Characters that are encoded, or escaped, in one step, and the size of the pieces that an answer is sent in. */
const pieceCharacters = 64 * 1024;

/** JSON as UTF-8, in pieces. The last part is a text as long as it is short, so that a small answer is one text. */
export class JsonText {
  readonly #pieces: Buffer[] = [];
  #text = "";

  /** Undefined when it is so long that it consists of pieces. */
  get short(): string | undefined {
    return this.#pieces.length === 0 ? this.#text : undefined;
  }

  /** All of it. The pieces that were added last are made now. */
  pieces(): Buffer[] {
    this.#encodeText();
    return this.#pieces;
  }

  add(json: string | JsonText): void {
    if (typeof json === "string") {
      this.#text += json;
    } else {
      if (json.#pieces.length > 0) this.#encodeText();
      this.#pieces.push(...json.#pieces);
      this.#text += json.#text;
    }
    if (this.#text.length >= pieceCharacters) this.#encodeText();
  }

  #encodeText(): void {
    for (const piece of piecesOf(this.#text)) this.#pieces.push(Buffer.from(piece));
    this.#text = "";
  }
}

/** An array of values that are JSON already. */
export async function jsonArray(values: readonly string[], slices = new TimeSlices()): Promise<JsonText> {
  const json = new JsonText();
  json.add("[");
  for (const [index, value] of values.entries()) {
    if (index > 0) json.add(",");
    await addInSteps(json, value, slices);
  }
  json.add("]");
  return json;
}

/** A text, or an object with long texts as members. */
export async function jsonOf(value: string | object, slices = new TimeSlices()): Promise<JsonText> {
  const json = new JsonText();
  await addInSteps(json, await jsonInSteps(value, slices), slices);
  return json;
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

/** The values as JSON up to `maxBytes` together, but the first of them in any case. Values may have long members. */
export async function jsonWithin(
  values: Iterable<object>,
  maxBytes: number,
  slices = new TimeSlices(),
): Promise<string[]> {
  const texts: string[] = [];
  let bytes = 0;
  for (const value of values) {
    const text = await jsonInSteps(value, slices);
    bytes += Buffer.byteLength(text) + 1;
    if (texts.length > 0 && bytes > maxBytes) break;
    texts.push(text);
  }
  return texts;
}

async function addInSteps(json: JsonText, text: string, slices: TimeSlices): Promise<void> {
  for (const piece of piecesOf(text)) {
    json.add(piece);
    await slices.spend(piece.length);
  }
}

/** A text as JSON, a long one in slices of time. */
async function jsonOfText(text: string, slices: TimeSlices): Promise<string> {
  if (text.length <= pieceCharacters) return JSON.stringify(text);
  const pieces: string[] = [];
  for (const piece of piecesOf(text)) {
    pieces.push(JSON.stringify(piece).slice(1, -1));
    await slices.spend(piece.length);
  }
  return `"${pieces.join("")}"`;
}

/** Its long texts in steps; whatever else it holds is at most as large as an entry's attributes. */
async function jsonInSteps(value: string | object, slices: TimeSlices): Promise<string> {
  if (typeof value === "string") return jsonOfText(value, slices);
  const members: string[] = [];
  let isLong = false;
  for (const member of Object.values(value)) isLong ||= typeof member === "string" && member.length > pieceCharacters;
  if (!isLong) {
    const text = JSON.stringify(value);
    await slices.spend(text.length);
    return text;
  }
  for (const [name, member] of Object.entries(value)) {
    const json = typeof member === "string" ? await jsonOfText(member, slices) : JSON.stringify(member);
    if (json === undefined) continue;
    members.push(`${JSON.stringify(name)}:${json}`);
    await slices.spend(json.length);
  }
  return `{${members.join(",")}}`;
}

/** The text in pieces; no character beyond the first 65,536 is cut in two. */
function* piecesOf(text: string): Generator<string> {
  for (let from = 0; from < text.length; ) {
    let to = Math.min(from + pieceCharacters, text.length);
    if (to < text.length && isHighSurrogate(text.charCodeAt(to - 1))) to -= 1;
    yield text.slice(from, to);
    from = to;
  }
}

function isHighSurrogate(unit: number): boolean {
  return unit >= 0xd800 && unit <= 0xdbff;
}
