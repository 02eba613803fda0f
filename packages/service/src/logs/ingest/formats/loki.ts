import { entryAliases, fitsSlot, intakeLimits, levelOfLine, type Rejection } from "@sazabi/sdk/protocol";
import type { TimeSlices } from "../../../concurrency/event-loop-fairness.ts";
import { ApiError } from "../../../errors.ts";
import { type Format, type IntakeBody, invalid, tooMany } from "../body.ts";
import { decodeText, isJsonObject, type Parsed, parseDocument, parseEntry } from "./json-text.ts";
import { mediaTypeOf } from "./media-type.ts";
import { addMembers, type Members, names, newMembers, SharedMembers, sizeOf } from "./members.ts";

/** What `POST /loki/api/v1/push` takes: JSON. Loki's other form, protobuf under snappy, is refused with the way out. */
export function lokiFormat(contentType: string | undefined): Format {
  const type = mediaTypeOf(contentType);
  if (type === "" || type === "application/json") return readPush;
  throw new ApiError(
    "UNSUPPORTED_MEDIA_TYPE",
    "Of Loki's two push formats the JSON one is taken, not protobuf with snappy. Send Content-Type: application/json, or OTLP to /v1/logs: Alloy and the OpenTelemetry collector speak it, Fluent Bit and Vector have outputs for both.",
  );
}

/**
 * `{ "streams": [{ "stream": { labels }, "values": [["<nanoseconds>", "<line>", { metadata }], …] }] }`. A value that is
 * wrong is rejected alone; a wrong frame throws.
 */
async function readPush(bytes: Buffer, slices: TimeSlices): Promise<IntakeBody> {
  const parsed = await parseDocument(decodeText(bytes), slices);
  if ("error" in parsed) throw invalid(`The body ${parsed.error}.`);
  const streams = isJsonObject(parsed.value) ? parsed.value["streams"] : undefined;
  if (!Array.isArray(streams)) throw invalid('The body must be { "streams": [{ "stream": { … }, "values": [ … ] }] }.');
  const entries: { index: number; value: unknown }[] = [];
  const rejected: Rejection[] = [];
  const sharing = new SharedMembers();
  let index = 0;
  for (const [place, stream] of streams.entries()) {
    const { labels, values } = readStream(stream, `streams[${place}]`);
    const labelsSize = values.length > 0 ? sizeOf(labels) : 0;
    for (const value of values) {
      if (index === intakeLimits.entries) throw tooMany();
      sharing.count(labelsSize);
      const reading = readValue(value, labels, slices);
      const read = reading instanceof Promise ? await reading : reading;
      if ("rejected" in read) rejected.push({ index, ...read.rejected });
      else entries.push({ index, value: read.entry });
      index += 1;
      const wait = slices.spend(workOfAValue + labelsSize);
      if (wait) await wait;
    }
  }
  return { entries, rejected };
}

/** What a value costs beside its labels, in characters. */
const workOfAValue = 500;

function readStream(stream: unknown, path: string): { readonly labels: Members; readonly values: readonly unknown[] } {
  if (!isJsonObject(stream)) throw invalid(`${path}: must be an object.`);
  const { stream: labels = {}, values = [] } = stream as { stream?: unknown; values?: unknown };
  if (!isJsonObject(labels)) throw invalid(`${path}.stream: must be an object of labels.`);
  if (!Array.isArray(values)) throw invalid(`${path}.values: must be an array of [time, line].`);
  return { labels: labels as Members, values };
}

type ReadValue = { readonly entry: Members } | { readonly rejected: Omit<Rejection, "index"> };

/** A promise only for a long line. */
function readValue(value: unknown, labels: Members, slices: TimeSlices): ReadValue | Promise<ReadValue> {
  if (!Array.isArray(value))
    return { rejected: { field: "values", message: "must be [time, line] or [time, line, metadata]." } };
  const [time, line, metadata = {}] = value as unknown[];
  if (typeof time !== "string" && typeof time !== "number") {
    return { rejected: { field: "time", message: "must be a string of nanoseconds since 1970." } };
  }
  if (typeof line !== "string") return { rejected: { field: "line", message: "must be a string." } };
  if (metadata !== null && !isJsonObject(metadata)) {
    return { rejected: { field: "metadata", message: "must be an object." } };
  }
  const sent = { time, line, metadata: (metadata ?? {}) as Members, labels };
  const parsing = line.startsWith("{") ? parseEntry(line, slices) : { error: "" };
  return parsing instanceof Promise ? parsing.then((parsed) => readLine(sent, parsed)) : readLine(sent, parsing);
}

interface SentLine {
  readonly time: string | number;
  readonly line: string;
  readonly metadata: Members;
  readonly labels: Members;
}

/** A line that is a log of its own, as JSON, is read like attributes. */
function readLine({ time, line, metadata, labels }: SentLine, parsed: Parsed): ReadValue {
  const entry = newMembers();
  const attributes = newMembers();
  entry["timestamp"] = time;
  const members = membersOf(parsed);
  if (members) addMembers(attributes, members, "line");
  else entry["message"] = line;
  addMembers(attributes, metadata, "metadata");
  addMembers(attributes, labels, "stream");
  const level = members || namesLevel(attributes) ? undefined : levelOfLine(line);
  if (level !== undefined) entry["level"] = level;
  const service = labels["app"] ?? labels["job"];
  if (typeof service === "string" && !names(attributes, "service")) entry["service"] = service;
  entry["attributes"] = attributes;
  return { entry };
}

function namesLevel(members: Members): boolean {
  return Object.keys(members).some((name) => {
    const alias = entryAliases.get(name);
    return alias?.slot === "level" && !alias.vague && members[name] !== "" && fitsSlot(members[name], alias);
  });
}

/** What a line says that is a log of its own; undefined for one that is text. */
function membersOf(parsed: Parsed): Members | undefined {
  const members = "value" in parsed && isJsonObject(parsed.value) ? (parsed.value as Members) : undefined;
  return members && names(members, "message") ? members : undefined;
}
