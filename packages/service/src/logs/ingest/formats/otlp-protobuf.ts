import { intakeLimits } from "@sazabi/sdk/protocol";
import type { TimeSlices } from "../../../concurrency/event-loop-fairness.ts";
import { type Format, invalid, tooMany } from "../body.ts";
import { type JsonValue, type Members, newMembers } from "./members.ts";
import {
  MemberCount,
  maxFrames,
  maxValueDepth,
  numberValue,
  OtlpEntries,
  type OtlpRecord,
  type OtlpScope,
  TooManyMembers,
  tooManyFrames,
  workOfARecord,
} from "./otlp.ts";
import { MalformedProtobuf, ProtobufReader, tagOf, wire } from "./protobuf.ts";

/**
 * An `ExportLogsServiceRequest` in protobuf. A record with values nested too deep, or with too many of them, is rejected
 * alone; bytes that are no message throw, since nobody knows what the rest means. Fields that are not known are skipped,
 * and so are known ones of another type.
 */
export const otlpProtobuf: Format = async (bytes, slices) => {
  const entries = new OtlpEntries();
  try {
    for (const resourceLogs of messagesIn(new ProtobufReader(bytes)))
      await readResourceLogs(entries, resourceLogs, slices);
  } catch (error) {
    if (error instanceof MalformedProtobuf) throw invalid(`The body is not protobuf: ${error.message}.`, error);
    if (error instanceof TooManyMembers) throw invalid(`A resource or scope ${error.message}.`);
    if (error instanceof TooDeep) throw invalid(`A resource is nested more than ${maxValueDepth} levels deep.`);
    throw error;
  }
  return entries.finish();
};

class TooDeep extends Error {}

type Fields = Readonly<Record<number, (message: ProtobufReader) => void>>;

/** More than the records and attributes that a frame may have. */
const maxFrameFields = 50_000;

function forEachField(message: ProtobufReader, fields: Fields): void {
  let count = 0;
  for (let tag = message.tag(); tag !== 0; tag = message.tag()) {
    count += 1;
    if (count > maxFrameFields) throw new MalformedProtobuf(`a message has more than ${maxFrameFields} fields`);
    const read = fields[tag];
    if (read) read(message);
    else message.skip(tag);
  }
}

/** The resources of a request. */
function messagesIn(request: ProtobufReader): readonly Buffer[] {
  const messages: Buffer[] = [];
  forEachField(request, {
    [tagOf(1, wire.bytes)]: (field) => {
      if (messages.push(field.bytes()) > maxFrames) throw tooManyFrames();
    },
  });
  return messages;
}

/** All of the message is looked at before the records are read: what they need of their resource may stand behind them. */
async function readResourceLogs(entries: OtlpEntries, bytes: Buffer, slices: TimeSlices): Promise<void> {
  const resource = newMembers();
  const members = new MemberCount();
  const scopes: Buffer[] = [];
  forEachField(new ProtobufReader(bytes), {
    [tagOf(1, wire.bytes)]: (message) =>
      forEachField(message.message(), {
        [tagOf(1, wire.bytes)]: (inner) => readKeyValue(inner.message(), resource, 1, members),
      }),
    [tagOf(2, wire.bytes)]: (message) => {
      if (scopes.push(message.bytes()) > maxFrames) throw tooManyFrames();
    },
  });
  entries.startResource(resource);
  const wait = slices.spend(workOfARecord + members.work);
  if (wait) await wait;
  for (const scope of scopes) await readScopeLogs(entries, scope, slices);
}

async function readScopeLogs(entries: OtlpEntries, bytes: Buffer, slices: TimeSlices): Promise<void> {
  const scope = { name: "", version: "", attributes: newMembers() };
  const records: ProtobufReader[] = [];
  forEachField(new ProtobufReader(bytes), {
    [tagOf(1, wire.bytes)]: (message) => readScope(message.message(), scope),
    [tagOf(2, wire.bytes)]: (message) => {
      if (records.push(message.message()) > intakeLimits.entries) throw tooMany();
    },
  });
  entries.startScope(scope);
  const frameWait = slices.spend(bytes.length / 10);
  if (frameWait) await frameWait;
  for (const record of records) {
    const wait = slices.spend(workOfARecord + addRecord(entries, record));
    if (wait) await wait;
  }
}

type Draft<T> = { -readonly [Member in keyof T]: T[Member] };

function readScope(message: ProtobufReader, scope: Draft<OtlpScope>): void {
  const members = new MemberCount();
  forEachField(message, {
    [tagOf(1, wire.bytes)]: (field) => {
      scope.name = field.string();
    },
    [tagOf(2, wire.bytes)]: (field) => {
      scope.version = field.string();
    },
    [tagOf(3, wire.bytes)]: (field) => readKeyValue(field.message(), scope.attributes, 1, members),
  });
}

/** Returns how much work it was. */
function addRecord(entries: OtlpEntries, message: ProtobufReader): number {
  const members = new MemberCount();
  let record: OtlpRecord;
  try {
    record = readRecord(message, members);
  } catch (error) {
    if (error instanceof TooManyMembers) entries.rejectRecord("", `${error.message}.`);
    else if (error instanceof TooDeep) entries.rejectRecord("", `is nested more than ${maxValueDepth} levels deep.`);
    else throw error;
    return members.work;
  }
  entries.addRecord(record);
  return members.work;
}

/** A switch, since this runs for every record. */
function readRecord(message: ProtobufReader, members: MemberCount): OtlpRecord {
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
    members.addField();
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
        record.body = readValue(message.message(), 1, members);
        break;
      case tagOf(6, wire.bytes):
        readKeyValue(message.message(), record.attributes, 1, members);
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

function readKeyValue(message: ProtobufReader, into: Members, depth: number, members: MemberCount): void {
  members.add(1);
  let key = "";
  let value: JsonValue = null;
  for (let tag = message.tag(); tag !== 0; tag = message.tag()) {
    members.addField();
    if (tag === tagOf(1, wire.bytes)) key = message.string();
    else if (tag === tagOf(2, wire.bytes)) value = readValue(message.message(), depth, members);
    else message.skip(tag);
  }
  into[key] = value;
}

/** Of several kinds in one value the last counts, as for every `oneof`. */
function readValue(message: ProtobufReader, depth: number, members: MemberCount): JsonValue {
  if (depth > maxValueDepth) throw new TooDeep();
  let value: JsonValue = null;
  for (let tag = message.tag(); tag !== 0; tag = message.tag()) {
    members.addField();
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
        value = readArray(message.message(), depth + 1, members);
        break;
      case tagOf(6, wire.bytes):
        value = readList(message.message(), depth + 1, members);
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

function readArray(message: ProtobufReader, depth: number, members: MemberCount): JsonValue {
  const values: JsonValue[] = [];
  for (let tag = message.tag(); tag !== 0; tag = message.tag()) {
    members.add(1);
    if (tag === tagOf(1, wire.bytes)) values.push(readValue(message.message(), depth, members));
    else message.skip(tag);
  }
  return values;
}

function readList(message: ProtobufReader, depth: number, members: MemberCount): Members {
  const list = newMembers();
  for (let tag = message.tag(); tag !== 0; tag = message.tag()) {
    members.addField();
    if (tag === tagOf(1, wire.bytes)) readKeyValue(message.message(), list, depth, members);
    else message.skip(tag);
  }
  return list;
}
