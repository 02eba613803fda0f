import { type AttributeValue, canonicalId, intakeLimits, levels, storable } from "@sazabi/sdk/protocol";
import type { NormalisedEntry } from "./entry.ts";
import { slotPlaces } from "./entry-aliases.ts";
import { Attributes, attributeSize, entryOverheadBytes } from "./entry-attributes.ts";
import { futureMicros, idBytes, isLongerThan, shortTextBytes } from "./entry-limits.ts";
import { attributeRole, LastNames, unclearRole } from "./entry-names.ts";
import { parseTimestamp } from "./timestamp.ts";

type Members = Readonly<Record<string, unknown>>;

const topNames = new LastNames();
const attributeNames = new LastNames();
const info = levels.indexOf("info");
/** As most senders spell them. */
const levelsAsSpelled: ReadonlyMap<unknown, number> = new Map(levels.map((level, place) => [level, place]));

const { timestamp, level, message, service, environment, traceId, spanId } = slotPlaces;
/** How long the text for a slot may be, by its place. */
const textBytes: number[] = [];
textBytes[message] = intakeLimits.entryBytes;
textBytes[service] = shortTextBytes;
textBytes[environment] = shortTextBytes;
textBytes[traceId] = idBytes;
textBytes[spanId] = idBytes;
/** The texts of the slots that are filled. One list for all entries, which are read one by one. */
const texts: string[] = [];

/**
 * What `normaliseEntry` makes of an entry like most, in two thirds of the time: one of which nothing has to be mended,
 * cut, noted or told apart. Undefined for any other. Times are in microseconds.
 */
export function normaliseUsual(members: Members, arrived: number, retention: number): NormalisedEntry | undefined {
  const attributes = new Attributes();
  /** What they were read from: those of one object have different names. */
  let source: Members | undefined;
  let bytes = entryOverheadBytes;
  let timestampMicros = arrived;
  let severity = info;
  /** A bit for each slot. */
  let filled = 0;
  let place = 0;
  for (const key in members) {
    const value = members[key];
    const { role } = topNames.at(place++, key);
    if (place > intakeLimits.attributes) return undefined;
    if (role === attributeRole) {
      if (source !== undefined && source !== members) return undefined;
      source = members;
      const size = setAttribute(attributes, key, value);
      if (size === 0) return undefined;
      bytes += size;
    } else if (role === unclearRole) {
      if (key !== "attributes" || source !== undefined || typeof value !== "object" || value === null) return undefined;
      source = value as Members;
      const size = setAttributes(attributes, source);
      if (size < 0) return undefined;
      bytes += size;
    } else {
      const slot = 1 << role;
      if ((filled & slot) !== 0) return undefined;
      filled |= slot;
      if (role === timestamp) {
        const micros = parseTimestamp(value);
        if (micros === undefined || micros < arrived - retention || micros > arrived + futureMicros) return undefined;
        timestampMicros = micros;
      } else if (role === level) {
        const known = levelsAsSpelled.get(value);
        if (known === undefined) return undefined;
        severity = known;
      } else {
        const text = textOf(value, textBytes[role] as number);
        if (text === "") return undefined;
        texts[role] = text;
      }
    }
  }
  if (!isFilled(filled, message)) return undefined;
  const text = texts[message] as string;
  const from = isFilled(filled, service) ? (texts[service] as string) : "";
  bytes += text.length + from.length;
  // A UTF-16 unit takes three bytes at most.
  if (bytes * 3 > intakeLimits.entryBytes) return undefined;
  return {
    timestampMicros,
    level: severity,
    service: from,
    environment: isFilled(filled, environment) ? (texts[environment] as string) : null,
    traceId: isFilled(filled, traceId) ? canonicalId(texts[traceId] as string) : null,
    spanId: isFilled(filled, spanId) ? canonicalId(texts[spanId] as string) : null,
    message: text,
    attributes,
    uid: undefined,
    bytes,
  };
}

function isFilled(filled: number, place: number): boolean {
  return (filled & (1 << place)) !== 0;
}

/** What they take in bytes, roughly; -1 when they are not all usual ones. */
function setAttributes(attributes: Record<string, AttributeValue>, members: Members): number {
  if (Array.isArray(members)) return -1;
  let bytes = 0;
  let place = 0;
  for (const key in members) {
    const { role } = attributeNames.at(place++, key);
    const isUsual = role === attributeRole && place <= intakeLimits.attributes;
    const size = isUsual ? setAttribute(attributes, key, members[key]) : 0;
    if (size === 0) return -1;
    bytes += size;
  }
  return bytes;
}

/** What it takes in bytes, roughly; 0 when it is not a text, a number or a boolean, and was not set. */
function setAttribute(attributes: Record<string, AttributeValue>, key: string, value: unknown): number {
  if (typeof value === "string") {
    const kept = storable(value);
    attributes[key] = kept;
    return attributeSize(key, kept);
  }
  if (typeof value === "boolean" || (typeof value === "number" && Number.isFinite(value))) {
    attributes[key] = value;
    return attributeSize(key, value);
  }
  return 0;
}

/** Empty when it is none, or too long. */
function textOf(value: unknown, maxBytes: number): string {
  if (typeof value !== "string") return "";
  const text = storable(value);
  return isLongerThan(text, maxBytes) ? "" : text;
}
