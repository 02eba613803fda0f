import { storable } from "@sazabi/sdk/protocol";
import type { TimeSlices } from "../../../concurrency/event-loop-fairness.ts";
import { type Format, type IntakeBody, invalid } from "../body.ts";
import { decodeText, isJsonObject, type JsonObject, parseDocument } from "./json-text.ts";
import { type JsonValue, type Members, newMembers } from "./members.ts";
import {
  MemberCount,
  maxValueDepth,
  numberValue,
  OtlpEntries,
  type OtlpRecord,
  type OtlpScope,
  TooManyMembers,
  workOfARecord,
} from "./otlp.ts";

/** An `ExportLogsServiceRequest` as JSON (OTLP specification, "JSON Protobuf Encoding"). */
export const otlpJson: Format = async (bytes, slices) => {
  const parsed = await parseDocument(decodeText(bytes), slices);
  if ("error" in parsed) throw invalid(`The body ${parsed.error}.`);
  const { value } = parsed;
  if (!isJsonObject(value)) throw invalid('The body must be an OTLP request: { "resourceLogs": […] }.');
  if (Object.keys(value).length > 0 && !isOtlpDocument(value)) {
    throw invalid('The body is no OTLP request for logs: it has no "resourceLogs". Other JSON goes to /v1/logs.');
  }
  return readOtlpDocument(value, slices);
};

/** Whether an object is a request, and not an entry with an attribute of that name. */
export function isOtlpDocument(document: JsonObject): boolean {
  return Object.hasOwn(document, "resourceLogs") && !Object.hasOwn(document, "message");
}

/**
 * A record that is wrong is rejected alone; a request whose frame is wrong throws, since nobody knows whose its records
 * are. Members that are not known are ignored, as the specification wants.
 */
export async function readOtlpDocument(document: JsonObject, slices: TimeSlices): Promise<IntakeBody> {
  const entries = new OtlpEntries();
  for (const [place, resourceLogs] of objects(document["resourceLogs"], "resourceLogs").entries()) {
    const path = `resourceLogs[${place}]`;
    entries.startResource(frameAttributes(resourceLogs["resource"], `${path}.resource`));
    for (const [at, scopeLogs] of objects(resourceLogs["scopeLogs"], `${path}.scopeLogs`).entries()) {
      entries.startScope(readScope(scopeLogs["scope"], `${path}.scopeLogs[${at}].scope`));
      const frameWait = slices.spend(workOfARecord);
      if (frameWait) await frameWait;
      for (const record of list(scopeLogs["logRecords"], `${path}.scopeLogs[${at}].logRecords`)) {
        const wait = slices.spend(workOfARecord + addRecord(entries, record));
        if (wait) await wait;
      }
    }
  }
  return entries.finish();
}

/** What is wrong with one record. */
class RecordFault extends Error {
  readonly field: string;

  constructor(field: string, message: string) {
    super(message);
    this.field = field;
  }
}

/** Returns how much work it was. */
function addRecord(entries: OtlpEntries, record: unknown): number {
  const members = new MemberCount();
  let read: OtlpRecord;
  try {
    read = readRecord(record, members);
  } catch (error) {
    if (error instanceof TooManyMembers) entries.rejectRecord("", `${error.message}.`);
    else if (error instanceof RecordFault) entries.rejectRecord(error.field, error.message);
    else throw error;
    return members.work;
  }
  entries.addRecord(read);
  return members.work;
}

function readRecord(record: unknown, members: MemberCount): OtlpRecord {
  if (!isJsonObject(record)) throw new RecordFault("", "must be an object.");
  return {
    time: readNanos(record["timeUnixNano"]),
    observedTime: readNanos(record["observedTimeUnixNano"]),
    severityNumber: readSeverity(record["severityNumber"]),
    severityText: readText(record["severityText"], "severityText"),
    body: record["body"] === undefined ? undefined : readValue(record["body"], { path: "body", depth: 1, members }),
    attributes: readAttributes(record["attributes"], { path: "attributes", depth: 1, members }),
    droppedAttributesCount: readCount(record["droppedAttributesCount"]),
    flags: readCount(record["flags"]),
    traceId: readText(record["traceId"], "traceId"),
    spanId: readText(record["spanId"], "spanId"),
    eventName: readText(record["eventName"], "eventName"),
  };
}

function readScope(scope: unknown, path: string): OtlpScope {
  if (scope === undefined || scope === null) return { name: "", version: "", attributes: newMembers() };
  const attributes = frameAttributes(scope, path);
  const { name, version } = scope as JsonObject;
  return {
    name: typeof name === "string" ? name : "",
    version: typeof version === "string" ? version : "",
    attributes,
  };
}

/** The attributes of a resource or a scope. */
function frameAttributes(holder: unknown, path: string): Members {
  if (holder === undefined || holder === null) return newMembers();
  if (!isJsonObject(holder)) throw invalid(`${path}: must be an object.`);
  try {
    return readAttributes(holder["attributes"], { path: `${path}.attributes`, depth: 1, members: new MemberCount() });
  } catch (error) {
    if (error instanceof TooManyMembers) throw invalid(`${path}.attributes: ${error.message}.`);
    if (error instanceof RecordFault) throw invalid(`${error.field}: ${error.message}`);
    throw error;
  }
}

function objects(value: unknown, path: string): readonly JsonObject[] {
  const values = list(value, path);
  const wrong = values.findIndex((one) => !isJsonObject(one));
  if (wrong !== -1) throw invalid(`${path}[${wrong}]: must be an object.`);
  return values as readonly JsonObject[];
}

function list(value: unknown, path: string): readonly unknown[] {
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value)) throw invalid(`${path}: must be an array.`);
  return value;
}

/** A time is a decimal string; a JSON number has lost its last digits, but is not made worse. */
function readNanos(value: unknown): string {
  if (typeof value === "number") return Number.isFinite(value) && value !== 0 ? String(BigInt(Math.trunc(value))) : "";
  return typeof value === "string" && !/^0*$/.test(value) ? value : "";
}

const severityNames = /^SEVERITY_NUMBER_(TRACE|DEBUG|INFO|WARN|ERROR|FATAL)([2-4]?)$/;
const severityOrder = ["TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"];

/** An enum may be written as its number or as its name. */
function readSeverity(value: unknown): number {
  if (value === undefined || value === null || value === "SEVERITY_NUMBER_UNSPECIFIED") return 0;
  const number = typeof value === "string" && /^\d{1,9}$/.test(value) ? Number(value) : value;
  if (typeof number === "number" && Number.isInteger(number) && number >= 0) return number;
  const named = typeof value === "string" ? severityNames.exec(value) : null;
  if (named) return severityOrder.indexOf(named[1] as string) * 4 + Number(named[2] || 1);
  throw new RecordFault("severityNumber", "must be a number from 0 to 24.");
}

function readText(value: unknown, field: string): string {
  if (value === undefined || value === null) return "";
  if (typeof value === "string") return value;
  throw new RecordFault(field, "must be a string.");
}

function readCount(value: unknown): number {
  const count = Number(value ?? 0);
  return Number.isSafeInteger(count) && count > 0 ? count : 0;
}

/** Where a value is. */
interface Place {
  readonly path: string;
  readonly depth: number;
  /** Of the record or frame that it is a part of. */
  readonly members: MemberCount;
}

function readAttributes(value: unknown, { path, depth, members }: Place): Members {
  const attributes = newMembers();
  if (value === undefined || value === null) return attributes;
  if (!Array.isArray(value)) throw new RecordFault(path, "must be an array of { key, value }.");
  members.add(value.length);
  for (const attribute of value) {
    if (!isJsonObject(attribute) || typeof attribute["key"] !== "string") {
      throw new RecordFault(path, "must be an array of { key, value }.");
    }
    const key = attribute["key"];
    attributes[key] = readValue(attribute["value"], { path: pathOf(path, key), depth, members });
  }
  return attributes;
}

/** Where something is wrong, for people: no longer than they can read. */
function pathOf(path: string, key: string): string {
  return path.length > 200 ? path : `${path}.${storable(key.slice(0, 100))}`;
}

/** An `AnyValue`. A value that is written plainly, `"body": "text"`, is taken for what it is. */
function readValue(value: unknown, { path, depth, members }: Place): JsonValue {
  if (value === undefined || value === null) return null;
  if (typeof value === "string" || typeof value === "boolean") return value;
  if (typeof value === "number") return numberValue(value);
  if (!isJsonObject(value)) throw new RecordFault(path, 'must be a value such as { "stringValue": "…" }.');
  if (depth > maxValueDepth) throw new RecordFault(path, `is nested more than ${maxValueDepth} levels deep.`);
  for (const kind in value) {
    const read = Object.hasOwn(kinds, kind) ? kinds[kind] : undefined;
    if (read && value[kind] !== null) return read(value[kind], { path, depth: depth + 1, members });
    members.add(1);
  }
  return null;
}

const kinds: Readonly<Record<string, (value: unknown, place: Place) => JsonValue>> = {
  stringValue: scalar,
  boolValue: scalar,
  intValue: readInteger,
  doubleValue: readDouble,
  bytesValue: scalar,
  arrayValue: (value, place) => {
    const { path, members } = place;
    if (!isJsonObject(value)) throw new RecordFault(path, 'must be { "values": […] }.');
    const values = value["values"] ?? [];
    if (!Array.isArray(values)) throw new RecordFault(path, 'must be { "values": […] }.');
    members.add(values.length);
    return values.map((one) => readValue(one, place));
  },
  kvlistValue: (value, place) => {
    if (!isJsonObject(value)) throw new RecordFault(place.path, 'must be { "values": [{ "key", "value" }, …] }.');
    return readAttributes(value["values"], place);
  },
};

function scalar(value: unknown, { path }: Pick<Place, "path">): JsonValue {
  if (typeof value === "string" || typeof value === "boolean") return value;
  if (typeof value === "number") return numberValue(value);
  throw new RecordFault(path, "must be a string, a number or a boolean.");
}

/** 64 bits come as digits; those that a number cannot keep stay digits. */
function readInteger(value: unknown, place: Place): JsonValue {
  if (typeof value !== "string" || !/^-?\d{1,20}$/.test(value)) return scalar(value, place);
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}

function readDouble(value: unknown, place: Place): JsonValue {
  if (typeof value !== "string" || value.trim() === "" || Number.isNaN(Number(value))) return scalar(value, place);
  return numberValue(Number(value));
}
