import { intakeLimits, levelOfLine, type Rejection, withLineLevel, wrappedEntries } from "@sazabi/sdk/protocol";
import type { TimeSlices } from "../../../concurrency/event-loop-fairness.ts";
import { ApiError } from "../../../errors.ts";
import { type Format, type IntakeBody, invalid, tooMany } from "../body.ts";
import {
  decodeText,
  isJsonObject,
  type JsonObject,
  parseDocument,
  parseEntry,
  refuseTooManyMembers,
} from "./json-text.ts";
import { readLogplex } from "./logplex.ts";
import { isProtobuf, mediaTypeOf } from "./media-type.ts";
import { isOtlpDocument, readOtlpDocument } from "./otlp-json.ts";
import { otlpProtobuf } from "./otlp-protobuf.ts";

type Kind = "json" | "lines" | "text" | "form" | "logplex";

const kinds: Readonly<Record<string, Kind>> = {
  "": "json",
  "application/json": "json",
  "text/json": "json",
  "application/octet-stream": "json",
  "application/x-ndjson": "lines",
  "application/ndjson": "lines",
  "application/jsonl": "lines",
  "application/x-jsonl": "lines",
  "application/jsonlines": "lines",
  "application/x-jsonlines": "lines",
  "application/json-lines": "lines",
  "text/plain": "text",
  "application/logplex-1": "logplex",
  // What curl says of `-d` when it is not told otherwise.
  "application/x-www-form-urlencoded": "form",
};

/**
 * What `POST /v1/logs` takes: one JSON object, an array, `{ "logs": […] }`, or lines, each of JSON or text; and OTLP,
 * which is told by its type in protobuf and by its `resourceLogs` in JSON. 415 for a type that is none of these.
 */
export function entriesFormat(contentType: string | undefined): Format {
  const type = mediaTypeOf(contentType);
  if (isProtobuf(type)) return otlpProtobuf;
  const kind = Object.hasOwn(kinds, type) ? kinds[type] : type.endsWith("+json") ? "json" : undefined;
  if (kind) return (bytes, slices) => entriesOf(decodeText(bytes), kind, slices);
  throw new ApiError(
    "UNSUPPORTED_MEDIA_TYPE",
    "Logs are taken as application/json, application/x-ndjson, text/plain, or OTLP as application/x-protobuf. Set Content-Type to one of them.",
  );
}

async function entriesOf(text: string, kind: Kind, slices: TimeSlices): Promise<IntakeBody> {
  const start = text.trimStart();
  if (start === "") throw invalid("The body is empty. Send a JSON object with a message, an array of them, or lines.");
  if (kind === "logplex") return entriesOfArray(readLogplex(text), slices);
  if (kind === "text" && !/^[{[]/.test(start)) return entriesOfText(text, slices);
  // Such a text is no document; without this, each body of lines would first be an error to be made and thrown away.
  if (kind !== "text" && (await isSeveralLines(start, slices))) return entriesOfLines(text, slices);
  const whole = await parseDocument(text, slices);
  if ("value" in whole) return entriesOfDocument(whole.value, kind, slices);
  if (kind === "text") return entriesOfText(text, slices);
  if (kind === "lines" || (await beginsWithObjectLine(start, slices))) return entriesOfLines(text, slices);
  if (kind === "form") {
    throw new ApiError(
      "UNSUPPORTED_MEDIA_TYPE",
      "The body is not JSON. Set Content-Type: application/json and send JSON.",
    );
  }
  throw invalid(`The body ${whole.error}.`);
}

/** A whole object in the first line, and more in the second. */
async function isSeveralLines(text: string, slices: TimeSlices): Promise<boolean> {
  const end = text.indexOf(lineFeed);
  const mayBe = end > 0 && text.charCodeAt(end + 1) > space && text[end - 1] === "}";
  return mayBe && beginsWithObjectLine(text, slices);
}

/** Lines are often sent as `application/json`. They are taken for what they are when the first is an object. */
async function beginsWithObjectLine(text: string, slices: TimeSlices): Promise<boolean> {
  const end = text.indexOf("\n");
  return text.startsWith("{") && end !== -1 && "value" in (await parseDocument(text.slice(0, end), slices));
}

function entriesOfDocument(document: unknown, kind: Kind, slices: TimeSlices): IntakeBody | Promise<IntakeBody> {
  if (Array.isArray(document)) return entriesOfArray(document, slices);
  if (isJsonObject(document)) return entriesOfObject(document, slices);
  if (kind === "lines" && typeof document === "string") return entriesOfArray([document], slices);
  throw invalid('The body must be a JSON object, an array of objects, or { "logs": […] }.');
}

/** An object is a batch when its `logs` is a list, and an entry when it is anything with more to it than that. */
function entriesOfObject(document: JsonObject, slices: TimeSlices): IntakeBody | Promise<IntakeBody> {
  if (isOtlpDocument(document)) return readOtlpDocument(document, slices);
  if (!Object.hasOwn(document, "logs") || Object.hasOwn(document, "message")) return entriesOfArray([document], slices);
  const { logs } = document;
  if (Array.isArray(logs)) return entriesOfArray(logs, slices);
  if (Object.keys(document).length > 1) return entriesOfArray([document], slices);
  throw invalid("logs: must be an array of entries.");
}

async function entriesOfArray(values: readonly unknown[], slices: TimeSlices): Promise<IntakeBody> {
  if (values.length > intakeLimits.entries) throw tooMany();
  const list = new EntryList(slices);
  for (const value of values) {
    const adding = list.add(value);
    if (adding) await adding;
  }
  return list;
}

/** What the level of a wrapped line costs, in characters. */
const workOfALine = 500;

/** Entries and their verdicts, in the order of the body. */
class EntryList implements IntakeBody {
  readonly entries: { readonly index: number; readonly value: unknown }[] = [];
  readonly rejected: Rejection[] = [];
  readonly #slices: TimeSlices;
  #index = 0;

  constructor(slices: TimeSlices) {
    this.#slices = slices;
  }

  /** A promise only for a document that wraps entries. A whole OTLP request would be stored as one entry, which nobody means. */
  add(value: unknown): Promise<void> | undefined {
    if (isJsonObject(value) && isOtlpDocument(value)) {
      this.reject("resourceLogs", "makes this an OTLP request. Send each as a body of its own.");
      return undefined;
    }
    const wrapped = isJsonObject(value) ? wrappedEntries(value) : undefined;
    if (wrapped === undefined) {
      this.entries.push({ index: this.#index++, value });
      return undefined;
    }
    if (this.#index + wrapped.length > intakeLimits.entries) throw tooMany();
    return this.#addWrapped(wrapped);
  }

  async #addWrapped(wrapped: readonly JsonObject[]): Promise<void> {
    for (const entry of wrapped) {
      this.entries.push({ index: this.#index++, value: withLineLevel(entry) });
      const wait = this.#slices.spend(workOfALine);
      if (wait) await wait;
    }
  }

  reject(field: string, message: string): void {
    this.rejected.push({ index: this.#index++, field, message });
  }
}

async function entriesOfLines(text: string, slices: TimeSlices): Promise<IntakeBody> {
  await refuseTooManyMembers(text, slices);
  const list = new EntryList(slices);
  for (const line of linesOf(text)) {
    const wait = slices.spend(line.length);
    if (wait) await wait;
    const parsing = parseEntry(line, slices);
    const parsed = parsing instanceof Promise ? await parsing : parsing;
    if ("error" in parsed) list.reject("", `${parsed.error}.`);
    const adding = "value" in parsed ? list.add(parsed.value) : undefined;
    if (adding) await adding;
  }
  return list;
}

/** Plain text: a line is an entry, with the level it names; one that is a JSON object is that object. */
async function entriesOfText(text: string, slices: TimeSlices): Promise<IntakeBody> {
  const list = new EntryList(slices);
  for (const line of linesOf(text)) {
    const wait = slices.spend(line.length);
    if (wait) await wait;
    const parsed = line.startsWith("{") ? await parseEntry(line, slices) : undefined;
    const adding = list.add(parsed && "value" in parsed ? parsed.value : entryOfLine(line));
    if (adding) await adding;
  }
  return list;
}

function entryOfLine(message: string): unknown {
  const level = levelOfLine(message);
  return level === undefined ? message : { message, level };
}

const lineFeed = "\n";
const carriageReturn = 0x0d;
const space = 0x20;

/** The lines that hold something, without their ends. Throws when there are too many. */
function* linesOf(text: string): Generator<string> {
  let count = 0;
  for (let start = 0; start < text.length; ) {
    const newline = text.indexOf(lineFeed, start);
    const next = newline === -1 ? text.length : newline;
    const end = next > start && text.charCodeAt(next - 1) === carriageReturn ? next - 1 : next;
    const line = text.slice(start, end);
    start = next + 1;
    // What begins with a character that shows needs no closer look.
    if (!(line.charCodeAt(0) > space) && line.trim() === "") continue;
    count += 1;
    if (count > intakeLimits.entries) throw tooMany();
    yield line;
  }
}
