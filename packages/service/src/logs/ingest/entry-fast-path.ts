import {
  type Alias,
  type AttributeValue,
  canonicalId,
  fitsSlot,
  intakeLimits,
  levels,
  parseTimestamp,
  slotPlaces as places,
  storable,
} from "@sazabi/sdk/protocol";
import type { NormalisedEntry } from "../normalised-entry.ts";
import { Attributes, attributeSize, entryOverheadBytes } from "./entry-attributes.ts";
import { futureMicros, idBytes, isLongerThan, shortTextBytes } from "./entry-limits.ts";
import { attributeRole, LastNames, levelRanks, type Members, unclearRole, vagueRole } from "./entry-names.ts";

const topNames = new LastNames();
const attributeNames = new LastNames();
const info = levels.indexOf("info");

/** How long the text for a slot may be, by its place. */
const textBytes: number[] = [];
textBytes[places.service] = shortTextBytes;
textBytes[places.environment] = shortTextBytes;
textBytes[places.traceId] = idBytes;
textBytes[places.spanId] = idBytes;
/** The texts of these slots, where they are filled. One list for all entries, which are read one by one. */
const texts: string[] = [];

/**
 * What `normaliseEntry` makes of an entry like most: one of which nothing has to be mended, cut, noted or told apart.
 * Undefined for any other. Times are in microseconds.
 */
export function normaliseFast(members: Members, arrived: number, retention: number): NormalisedEntry | undefined {
  const attributes = new Attributes();
  /** What they were read from: those of one object have different names. */
  let source: Members | undefined;
  let bytes = entryOverheadBytes;
  let timestampMicros = arrived;
  let level = info;
  let message = "";
  /** A bit for each slot. */
  let filled = 0;
  let place = 0;
  for (const key in members) {
    const value = members[key];
    const { role, alias } = topNames.at(place++, key);
    if (place > intakeLimits.attributes) return undefined;
    if (role === attributeRole || (role === vagueRole && !fitsSlot(value, alias as Alias))) {
      if (source !== undefined && source !== members) return undefined;
      source = members;
      const size = setAttribute(attributes, key, value);
      if (size === 0) return undefined;
      bytes += size;
    } else if (role >= unclearRole) {
      if (key !== "attributes" || typeof value !== "object") return undefined;
      if (value === null) continue;
      if (source !== undefined) return undefined;
      source = value as Members;
      const size = setAttributes(attributes, source);
      if (size < 0) return undefined;
      bytes += size;
    } else if (value !== undefined && value !== null && value !== "") {
      const slot = 1 << role;
      if ((filled & slot) !== 0) return undefined;
      filled |= slot;
      if (role === places.timestamp) {
        const micros = parseTimestamp(value);
        if (micros === undefined || micros < arrived - retention || micros > arrived + futureMicros) return undefined;
        timestampMicros = micros;
      } else if (role === places.level) {
        const known = levelRanks.get(value);
        if (known === undefined) return undefined;
        level = known;
      } else {
        if (typeof value !== "string") return undefined;
        if (value.length > intakeLimits.entryBytes) return undefined;
        const text = storable(value);
        // Not among the texts: it can be a part of a whole body, which would stay in memory with it.
        if (role === places.message) message = text;
        else if (isLongerThan(text, textBytes[role] as number)) return undefined;
        else texts[role] = text;
      }
    }
  }
  if (message === "") return undefined;
  const service = isFilled(filled, places.service) ? (texts[places.service] as string) : "";
  bytes += message.length + service.length;
  // A UTF-16 unit takes three bytes at most.
  if (bytes * 3 > intakeLimits.entryBytes) return undefined;
  return {
    timestampMicros,
    level,
    service,
    environment: isFilled(filled, places.environment) ? (texts[places.environment] as string) : null,
    traceId: isFilled(filled, places.traceId) ? canonicalId(texts[places.traceId] as string) : null,
    spanId: isFilled(filled, places.spanId) ? canonicalId(texts[places.spanId] as string) : null,
    message,
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
    const isUsual = (role === attributeRole || role === vagueRole) && place <= intakeLimits.attributes;
    const size = isUsual ? setAttribute(attributes, key, members[key]) : 0;
    if (size === 0) return -1;
    bytes += size;
  }
  return bytes;
}

/** What it takes in bytes, roughly; 0 when it was not set: an object, a long text, or a number that JSON has no word for. */
function setAttribute(attributes: Record<string, AttributeValue>, key: string, value: unknown): number {
  if (typeof value === "string") {
    if (value.length > intakeLimits.entryBytes) return 0;
    const kept = storable(value);
    attributes[key] = kept;
    return attributeSize(key, kept);
  }
  if (typeof value === "number" ? !Number.isFinite(value) : typeof value !== "boolean" && value !== null) return 0;
  attributes[key] = value as number | boolean | null;
  return attributeSize(key, value as number | boolean | null);
}
