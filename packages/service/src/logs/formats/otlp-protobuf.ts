import { type Format, invalid } from "../body.ts";
import { type JsonValue, type Members, newMembers } from "./members.ts";
import { maxValueDepth, numberValue, OtlpEntries, type OtlpRecord, type OtlpScope } from "./otlp.ts";
import { MalformedProtobuf, ProtobufReader, tagOf, wire } from "./protobuf.ts";

/**
 * An `ExportLogsServiceRequest` in protobuf. A record with values nested too deep is rejected alone; bytes that are no
 * message throw, since nobody knows what the rest means. Fields that are not known are skipped, and so are known ones
 * of another type.
 */
export const otlpProtobuf: Format = (bytes) => {
  const entries = new OtlpEntries();
  try {
    forEachField(new ProtobufReader(bytes), {
      [tagOf(1, wire.bytes)]: (request) => readResourceLogs(entries, request.bytes()),
    });
  } catch (error) {
    if (error instanceof MalformedProtobuf) throw invalid(`The body is not protobuf: ${error.message}.`, error);
    if (error instanceof TooDeep) throw invalid(`A resource is nested more than ${maxValueDepth} levels deep.`);
    throw error;
  }
  return entries.finish();
};

class TooDeep extends Error {}

type Fields = Readonly<Record<number, (message: ProtobufReader) => void>>;

function forEachField(message: ProtobufReader, fields: Fields): void {
  for (let tag = message.tag(); tag !== 0; tag = message.tag()) {
    const read = fields[tag];
    if (read) read(message);
    else message.skip(tag);
  }
}

/** Twice over the bytes: what a record needs of its resource may stand behind it. */
function readResourceLogs(entries: OtlpEntries, bytes: Buffer): void {
  const resource = newMembers();
  forEachField(new ProtobufReader(bytes), {
    [tagOf(1, wire.bytes)]: (message) =>
      forEachField(message.message(), {
        [tagOf(1, wire.bytes)]: (inner) => readKeyValue(inner.message(), resource, 1),
      }),
  });
  entries.startResource(resource);
  forEachField(new ProtobufReader(bytes), {
    [tagOf(2, wire.bytes)]: (message) => readScopeLogs(entries, message.bytes()),
  });
}

function readScopeLogs(entries: OtlpEntries, bytes: Buffer): void {
  const scope = { name: "", version: "", attributes: newMembers() };
  forEachField(new ProtobufReader(bytes), {
    [tagOf(1, wire.bytes)]: (message) => readScope(message.message(), scope),
  });
  entries.startScope(scope);
  forEachField(new ProtobufReader(bytes), {
    [tagOf(2, wire.bytes)]: (message) => addRecord(entries, message.message()),
  });
}

type Draft<T> = { -readonly [Member in keyof T]: T[Member] };

function readScope(message: ProtobufReader, scope: Draft<OtlpScope>): void {
  forEachField(message, {
    [tagOf(1, wire.bytes)]: (field) => {
      scope.name = field.string();
    },
    [tagOf(2, wire.bytes)]: (field) => {
      scope.version = field.string();
    },
    [tagOf(3, wire.bytes)]: (field) => readKeyValue(field.message(), scope.attributes, 1),
  });
}

function addRecord(entries: OtlpEntries, message: ProtobufReader): void {
  let record: OtlpRecord;
  try {
    record = readRecord(message);
  } catch (error) {
    if (!(error instanceof TooDeep)) throw error;
    entries.rejectRecord("", `is nested more than ${maxValueDepth} levels deep.`);
    return;
  }
  entries.addRecord(record);
}

/** A switch, since this runs for every record. */
function readRecord(message: ProtobufReader): OtlpRecord {
  const record: Draft<OtlpRecord> = {
    time: "",
    observedTime: "",
    severityNumber: 0,
    severityText: "",
    body: undefined,
    attributes: newMembers(),
    droppedAttributesCount: 0,
    flags: 0,
    traceId: "",
    spanId: "",
    eventName: "",
  };
  for (let tag = message.tag(); tag !== 0; tag = message.tag()) {
    switch (tag) {
      case tagOf(1, wire.fixed64):
        record.time = nanos(message);
        break;
      case tagOf(11, wire.fixed64):
        record.observedTime = nanos(message);
        break;
      case tagOf(2, wire.varint):
        record.severityNumber = message.uint32();
        break;
      case tagOf(3, wire.bytes):
        record.severityText = message.string();
        break;
      case tagOf(5, wire.bytes):
        record.body = readValue(message.message(), 1);
        break;
      case tagOf(6, wire.bytes):
        readKeyValue(message.message(), record.attributes, 1);
        break;
      case tagOf(7, wire.varint):
        record.droppedAttributesCount = message.uint32();
        break;
      case tagOf(8, wire.fixed32):
        record.flags = message.fixed32();
        break;
      case tagOf(9, wire.bytes):
        record.traceId = message.bytes().toString("hex");
        break;
      case tagOf(10, wire.bytes):
        record.spanId = message.bytes().toString("hex");
        break;
      case tagOf(12, wire.bytes):
        record.eventName = message.string();
        break;
      default:
        message.skip(tag);
    }
  }
  return record;
}

function nanos(message: ProtobufReader): string {
  const digits = message.fixed64();
  return digits === "0" ? "" : digits;
}

function readKeyValue(message: ProtobufReader, into: Members, depth: number): void {
  let key = "";
  let value: JsonValue = null;
  for (let tag = message.tag(); tag !== 0; tag = message.tag()) {
    if (tag === tagOf(1, wire.bytes)) key = message.string();
    else if (tag === tagOf(2, wire.bytes)) value = readValue(message.message(), depth);
    else message.skip(tag);
  }
  into[key] = value;
}

/** Of several kinds in one value the last counts, as for every `oneof`. */
function readValue(message: ProtobufReader, depth: number): JsonValue {
  if (depth > maxValueDepth) throw new TooDeep();
  let value: JsonValue = null;
  for (let tag = message.tag(); tag !== 0; tag = message.tag()) {
    switch (tag) {
      case tagOf(1, wire.bytes):
        value = message.string();
        break;
      case tagOf(2, wire.varint):
        value = message.bool();
        break;
      case tagOf(3, wire.varint):
        value = message.int64();
        break;
      case tagOf(4, wire.fixed64):
        value = numberValue(message.double());
        break;
      case tagOf(5, wire.bytes):
        value = readArray(message.message(), depth + 1);
        break;
      case tagOf(6, wire.bytes):
        value = readList(message.message(), depth + 1);
        break;
      case tagOf(7, wire.bytes):
        value = message.bytes().toString("base64");
        break;
      default:
        message.skip(tag);
    }
  }
  return value;
}

function readArray(message: ProtobufReader, depth: number): JsonValue {
  const values: JsonValue[] = [];
  for (let tag = message.tag(); tag !== 0; tag = message.tag()) {
    if (tag === tagOf(1, wire.bytes)) values.push(readValue(message.message(), depth));
    else message.skip(tag);
  }
  return values;
}

function readList(message: ProtobufReader, depth: number): Members {
  const members = newMembers();
  for (let tag = message.tag(); tag !== 0; tag = message.tag()) {
    if (tag === tagOf(1, wire.bytes)) readKeyValue(message.message(), members, depth);
    else message.skip(tag);
  }
  return members;
}
