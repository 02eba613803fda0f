import { intakeLimits, levels, type Rejection } from "@sazabi/sdk/protocol";
import { ApiError } from "../../../errors.ts";
import { type IntakeBody, invalid, tooMany } from "../body.ts";
import { keyAttribute } from "../entry-names.ts";
import {
  addMembers,
  isMembers,
  type JsonValue,
  type Members,
  names,
  newMembers,
  SharedMembers,
  sizeOf,
} from "./members.ts";

/*
 * What an OTLP request for logs says (opentelemetry-proto, logs/v1), whichever encoding it came in, and what becomes of
 * it. docs/intake.md has the table.
 */

export interface OtlpRecord {
  /** Nanoseconds since 1970, in decimal digits; "" when it is not known. */
  readonly time: string;
  /** When the collector saw it. */
  readonly observedTime: string;
  /** 1 to 24; 0 when it is not known. */
  readonly severityNumber: number;
  readonly severityText: string;
  readonly body: JsonValue | undefined;
  readonly attributes: Members;
  readonly droppedAttributesCount: number;
  readonly flags: number;
  /** Hexadecimal. */
  readonly traceId: string;
  readonly spanId: string;
  readonly eventName: string;
}

export interface OtlpScope {
  readonly name: string;
  readonly version: string;
  readonly attributes: Members;
}

/** Values in values; deeper ones are refused with their record. */
export const maxValueDepth = intakeLimits.jsonDepth;

/** Resources and scopes. Two bytes are enough for an empty one. */
export const maxFrames = 2 * intakeLimits.entries;

/** What a record costs beside its members, in characters. */
export const workOfARecord = 500;
/** What a member of it costs. */
const workOfAMember = 20;

/** An attribute has a name, a value and the kind of the value. */
const fieldsOfAMember = 4;
const maxFields = fieldsOfAMember * intakeLimits.entryMembers;

/** A record has more members than an entry may have. */
export class TooManyMembers extends Error {}

/** Counts the members and elements of one record or frame while it is read, and stops where there are too many. */
export class MemberCount {
  #count = 0;
  #fields = 0;

  /** Throws `TooManyMembers`. */
  add(members: number): void {
    this.#count += members;
    if (this.#count > intakeLimits.entryMembers) {
      throw new TooManyMembers(`has more than ${intakeLimits.entryMembers} members and elements`);
    }
  }

  /** Counts a field of protobuf, which is work though it may say nothing. Throws `TooManyMembers`. */
  addField(): void {
    this.#fields += 1;
    if (this.#fields > maxFields) throw new TooManyMembers(`has more than ${maxFields} fields`);
  }

  /** In characters, roughly. */
  get work(): number {
    return Math.max(this.#count, this.#fields / fieldsOfAMember) * workOfAMember;
  }
}

/** Takes the parts of a request in their order, and makes entries of them. */
export class OtlpEntries {
  readonly #entries: { readonly index: number; readonly value: unknown }[] = [];
  readonly #rejected: Rejection[] = [];
  readonly #sharing = new SharedMembers();
  #count = 0;
  #frames = 0;
  #key: string | undefined;
  #keyless = 0;
  #resource: Members = newMembers();
  #hasKey = false;
  #service: JsonValue | undefined;
  #environment: JsonValue | undefined;
  #scope: OtlpScope = { name: "", version: "", attributes: newMembers() };
  #shared: { readonly members: Members; readonly size: number } | undefined;

  /** What follows is of this resource. Throws when it carries another key than one before. */
  startResource(attributes: Members): void {
    this.#countFrame();
    this.#hasKey = this.#takeKey(attributes[keyAttribute]);
    delete attributes[keyAttribute];
    this.#service = takeText(attributes, "service.name");
    this.#environment =
      takeText(attributes, "deployment.environment.name") ?? takeText(attributes, "deployment.environment");
    this.#resource = attributes;
  }

  /** What follows is of this scope of the resource. */
  startScope(scope: OtlpScope): void {
    this.#countFrame();
    this.#scope = scope;
    this.#shared = undefined;
  }

  addRecord(record: OtlpRecord): void {
    const index = this.#next();
    this.#shared ??= this.#whatRecordsShare();
    this.#sharing.count(this.#shared.size);
    this.#entries.push({ index, value: this.#entryOf(record, this.#shared.members) });
  }

  rejectRecord(field: string, message: string): void {
    this.#rejected.push({ index: this.#next(), field, message });
  }

  finish(): IntakeBody {
    return {
      entries: this.#entries,
      rejected: this.#rejected,
      isOtlp: true,
      ...(this.#key !== undefined && { credential: { key: this.#key, coversAll: this.#keyless === 0 } }),
    };
  }

  #next(): number {
    if (this.#count === intakeLimits.entries) throw tooMany();
    if (!this.#hasKey) this.#keyless += 1;
    return this.#count++;
  }

  #countFrame(): void {
    this.#frames += 1;
    if (this.#frames > maxFrames) throw tooManyFrames();
  }

  #takeKey(value: JsonValue | undefined): boolean {
    if (value === undefined || value === null || value === "") return false;
    if (typeof value !== "string") throw invalid(`The resource attribute ${keyAttribute} must be a string.`);
    const key = value.trim();
    this.#key ??= key;
    if (this.#key === key) return true;
    throw new ApiError(
      "VALIDATION_ERROR",
      "The resources of this request carry different public keys. Send the logs of each key in a request of its own.",
      { reason: "conflicting_credentials" },
    );
  }

  /** Made when a record needs it: a body has room for a large resource and thousands of scopes without records. */
  #whatRecordsShare(): { readonly members: Members; readonly size: number } {
    const { name, version, attributes } = this.#scope;
    const members = newMembers();
    if (name !== "") members["otel.scope.name"] = name;
    if (version !== "") members["otel.scope.version"] = version;
    for (const key of Object.keys(attributes)) members[`otel.scope.${key}`] = attributes[key] as JsonValue;
    addMembers(members, this.#resource, "resource");
    return { members, size: sizeOf(members) };
  }

  #entryOf(record: OtlpRecord, shared: Members): Members {
    const { body, attributes } = record;
    const entry = newMembers();
    const time = record.time || record.observedTime;
    if (time !== "") entry["timestamp"] = time;
    if (this.#service !== undefined) entry["service"] = this.#service;
    if (this.#environment !== undefined) entry["environment"] = this.#environment;
    if (isGiven(record.traceId)) entry["trace_id"] = record.traceId;
    if (isGiven(record.spanId)) entry["span_id"] = record.spanId;
    if (isMembers(body) && names(body, "message")) addMembers(attributes, body, "body");
    else if (body !== undefined && body !== null) entry["message"] = body;
    const level = noteSeverity(record, attributes);
    if (level !== "") entry["level"] = level;
    if (record.eventName !== "") note(attributes, "event.name", record.eventName);
    if (record.flags !== 0) note(attributes, "trace_flags", record.flags);
    if (record.droppedAttributesCount !== 0) {
      note(attributes, "otel.dropped_attributes_count", record.droppedAttributesCount);
    }
    addMembers(attributes, shared, "resource");
    entry["attributes"] = attributes;
    return entry;
  }
}

export function tooManyFrames(): ApiError {
  return new ApiError(
    "PAYLOAD_TOO_LARGE",
    `The body holds more than ${maxFrames} resources and scopes. Send it in parts.`,
  );
}

/** The number decides; the sender's word stays as it was where it says something else, and so does a finer number. */
function noteSeverity({ severityNumber, severityText }: OtlpRecord, attributes: Members): string {
  if (severityNumber === 0) return severityText;
  const level = levels[Math.floor((severityNumber - 1) / 4)];
  if (level === undefined || (severityNumber - 1) % 4 !== 0) note(attributes, "severity_number", severityNumber);
  if (level === undefined) return severityText;
  if (severityText !== "" && severityText.toLowerCase() !== level) note(attributes, "level.original", severityText);
  return level;
}

function note(attributes: Members, name: string, value: string | number): void {
  if (!(name in attributes)) attributes[name] = value;
}

/** An id of zeros says that there is none (W3C Trace Context). */
function isGiven(id: string): boolean {
  return id !== "" && !/^0+$/.test(id);
}

function takeText(attributes: Members, name: string): string | undefined {
  const value = attributes[name];
  if (typeof value !== "string" || value === "") return undefined;
  delete attributes[name];
  return value;
}

/** JSON has no word for these. */
export function numberValue(value: number): number | string {
  return Number.isFinite(value) ? value : String(value);
}
