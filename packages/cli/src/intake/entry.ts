import {
  fieldAliases,
  intakeLimits,
  type Level,
  levelOfLine,
  parseTimestamp,
  slotValue,
  withLineLevel,
  wrappedEntries,
} from "@sazabi/sdk/protocol";
import { beginsTraceback } from "./continuation.ts";
import { type Members, parseObject } from "./json-object.ts";
import { isoOfMicros, leadingTime } from "./line-time.ts";
import type { LogRecord } from "./log-record.ts";

export interface EntryDefaults {
  readonly service: string | undefined;
  readonly level: Level | undefined;
  /** Parse the time at the beginning of a plain text line. */
  readonly lineTimes: boolean;
  /** Join the lines of a stack trace, and of multi-line JSON, into one entry. */
  readonly multiline: boolean;
  /** A time without a year is at most one day after it. */
  readonly now: Date;
}

/** An entry of the request. */
export interface SentEntry {
  /** A line of NDJSON. */
  readonly text: string;
  readonly service: string | undefined;
  /** The entry's own time, in microseconds since 1970. */
  readonly timeMicros: number | undefined;
  /** True for a plain text line whose time was requested and could not be parsed. */
  readonly lacksTime: boolean;
}

/** Converts a record to entries: one, or those that a CloudTrail or CloudWatch document wraps. */
export function entriesOf(
  { text, members = {} }: Pick<LogRecord, "text" | "members">,
  defaults: EntryDefaults,
): readonly SentEntry[] {
  const trimmed = text.trim();
  const object = parseObject(trimmed);
  if (!object) return [plainEntry(text, members, defaults)];
  const wrapped = wrappedEntries(object);
  if (!wrapped) return [withDefaults(trimmed, { object, members }, defaults)];
  return wrapped
    .map((entry) => (defaults.level === undefined ? withLineLevel(entry) : entry))
    .map((entry) => withDefaults(JSON.stringify(entry), { object: entry, members }, defaults));
}

/** Returns true if the service will truncate the entry. The limit applies to the content, without JSON syntax. */
export function isLongerThanKept(entry: string): boolean {
  const { entryBytes } = intakeLimits;
  return entry.length * 3 > entryBytes && contentBytes(JSON.parse(entry)) > entryBytes;
}

function contentBytes(value: unknown): number {
  if (typeof value !== "object" || value === null) return Buffer.byteLength(String(value));
  return Object.entries(value).reduce((sum, [name, inner]) => sum + Buffer.byteLength(name) + contentBytes(inner), 0);
}

/**
 * Adds a missing service or level to the text of a JSON object, under a name that the intake accepts. The rest of the
 * text is unchanged, because parsing and printing would round long numbers.
 */
function withDefaults(
  text: string,
  { object, members }: { readonly object: Members; readonly members: Members },
  { service, level }: EntryDefaults,
): SentEntry {
  const ownService = slotValue(object, "service");
  const ownTime = slotValue(object, "timestamp");
  const { timestamp, ...others } = members;
  const lacking = {
    ...(timestamp !== undefined && ownTime === undefined ? { [freeName(object, "timestamp")]: timestamp } : {}),
    ...Object.fromEntries(Object.entries(others).filter(([name]) => !Object.hasOwn(object, name))),
    ...(service !== undefined && ownService === undefined ? { [freeName(object, "service")]: service } : {}),
    ...(level !== undefined && slotValue(object, "level") === undefined ? { [freeName(object, "level")]: level } : {}),
  };
  const added = JSON.stringify(lacking).slice(1, -1);
  const rest = text.slice(1).trimStart();
  return {
    text: added === "" ? text : `{${added}${rest.startsWith("}") ? "" : ","}${rest}`,
    service: ownService === undefined ? service : String(ownService),
    timeMicros: parseTimestamp(ownTime ?? timestamp),
    lacksTime: false,
  };
}

/** Returns a name of the field that the object does not use, because the last of two duplicate members would win. */
function freeName(object: Members, field: "service" | "level" | "timestamp"): string {
  const names = field === "timestamp" ? ["timestamp", "@timestamp", "time"] : fieldAliases[field];
  return names.find((name) => !Object.hasOwn(object, name)) ?? field;
}

function plainEntry(message: string, members: Members, defaults: EntryDefaults): SentEntry {
  const { service, level, lineTimes, now } = defaults;
  const lineTime = lineTimes ? leadingTime(message, now) : undefined;
  const timestamp = lineTime === undefined ? members["timestamp"] : isoOfMicros(lineTime);
  const ownLevel = beginsTraceback(message) ? "error" : levelOfLine(message);
  const text = JSON.stringify({ message, level: level ?? ownLevel, service, ...members, timestamp });
  const timeMicros = lineTime ?? parseTimestamp(timestamp);
  return { text, service, timeMicros, lacksTime: lineTimes && timeMicros === undefined };
}
