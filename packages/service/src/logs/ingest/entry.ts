import {
  type Alias,
  type AttributeValue,
  canonicalId,
  fitsSlot,
  intakeLimits,
  levels,
  levelUnder,
  nestedRank,
  parseTimestamp,
  slotPlaces,
  storable,
} from "@sazabi/sdk/protocol";
import type { NormalisedEntry } from "../normalised-entry.ts";
import { Attributes, attributeBytes, attributeSize, entryOverheadBytes } from "./entry-attributes.ts";
import { normaliseFast } from "./entry-fast-path.ts";
import { plainIdentity, uidIdentity } from "./entry-identity.ts";
import { cutToBytes, futureMicros, idBytes, isLongerThan, shortTextBytes } from "./entry-limits.ts";
import { LastNames, levelRanks, type Members, type Name, parsePath, uidName } from "./entry-names.ts";
import { excessOf } from "./entry-size.ts";
import { withJournalTexts } from "./journal-entry.ts";

export type { NormalisedEntry };

export interface EntryRefusal {
  readonly rejected: { readonly field: string; readonly message: string };
}

/**
 * What is stored of an entry that was sent, or why it is not; docs/intake.md lists what is mended. `arrivedAtMs` is
 * the time it gets when its own is missing, unreadable, older than `retentionMs` or more than a day ahead. Never
 * throws.
 */
export function normaliseEntry(
  value: unknown,
  arrivedAtMs: number,
  retentionMs: number,
): NormalisedEntry | EntryRefusal {
  const members = typeof value === "string" ? { message: value } : value;
  if (!isObject(members)) return refuse("", "must be an object or a string.");
  if (passing > 0) {
    passing -= 1;
  } else {
    const usual = normaliseFast(members, arrivedAtMs * 1000, retentionMs * 1000);
    if (usual !== undefined) {
      declined = 0;
      return usual;
    }
    declined += 1;
    passing = Math.min(2 ** declined, longestPass);
  }
  return normaliseAny(members, arrivedAtMs, retentionMs);
}

/** Entries in a row that `normaliseFast` declined, and how many are not shown to it now: the next are like them. */
let declined = 0;
let passing = 0;
const longestPass = 64;

/** Any entry, also those that `normaliseFast` takes. */
export function normaliseAny(
  members: Members,
  arrivedAtMs: number,
  retentionMs: number,
): NormalisedEntry | EntryRefusal {
  const excess = excessOf(members);
  if (excess !== undefined) return refuse("", excess);
  try {
    const sent = withJournalTexts(members);
    let draft = newDraft();
    readMembers(draft, sent);
    if (draft.isFull) {
      // Not all members have room: those that are nested least are kept as attributes.
      draft = { ...newDraft(), nested: [] };
      readMembers(draft, sent);
      for (const { prefix, value, depth } of draft.nested ?? []) readNested(draft, prefix, value, depth);
    }
    return finish(draft, members, arrivedAtMs, retentionMs);
  } catch (error) {
    if (!(error instanceof TooDeep)) throw error;
    return refuse(error.field, `is nested more than ${intakeLimits.jsonDepth} levels deep.`);
  }
}

function refuse(field: string, message: string): EntryRefusal {
  return { rejected: { field, message } };
}

/** Nested too deeply to be serialised without running out of stack. */
class TooDeep extends Error {
  readonly field: string;

  constructor(field: string) {
    super();
    this.field = field;
  }
}

interface Candidate {
  readonly name: Name;
  readonly value: unknown;
  readonly rank: number;
  readonly vague: boolean;
}

const info = levels.indexOf("info");

/** An entry while its members are read. */
interface Draft {
  readonly attributes: Record<string, AttributeValue>;
  /** By `slotPlaces`. */
  readonly slots: (Candidate | undefined)[];
  /** What the attributes were read from. While it is one object, no two of them have one name. */
  source: object | undefined;
  mayRepeat: boolean;
  /** What has no place among the attributes; stored as one JSON text, so that it is not lost. */
  overflow: Map<string, AttributeValue[]> | undefined;
  /** Of the overflow, roughly. Beyond what an entry has room for, no more is kept. */
  overflowBytes: number;
  /** A `log.record.uid` was sent. */
  hasUid: boolean;
  /** Attributes of the sender's. */
  count: number;
  /** There are more of them than an entry may have. */
  isFull: boolean;
  /** Objects in the order in which they are read, level by level; undefined: each is read where it stands. */
  readonly nested: { readonly prefix: string; readonly value: Members; readonly depth: number }[] | undefined;
  bytes: number;
}

function newDraft(): Draft {
  return {
    attributes: new Attributes(),
    slots: [undefined, undefined, undefined, undefined, undefined, undefined, undefined],
    source: undefined,
    mayRepeat: false,
    overflow: undefined,
    overflowBytes: 0,
    hasUid: false,
    count: 0,
    isFull: false,
    nested: undefined,
    bytes: entryOverheadBytes,
  };
}

function readMembers(draft: Draft, members: Members): void {
  let place = 0;
  // Quicker than over a list of the keys; an object made from a body inherits nothing that would be listed.
  for (const key in members) {
    const value = members[key];
    const name = topNames.at(place++, key);
    const { alias } = name;
    if (alias !== undefined && offer(draft, name, value, alias, alias.rank)) continue;
    if (typeof value !== "object" || value === null) {
      if (value !== null || key !== "attributes") setAttribute(draft, name, value, members);
    } else if (key !== "attributes") flatten(draft, name, value, 1, members);
    else if (isObject(value)) readNested(draft, "", value, 1);
    else setAttribute(draft, name, value, members);
  }
}

function readNested(draft: Draft, prefix: string, members: Members, depth: number): void {
  let place = 0;
  for (const key in members) {
    const value = members[key];
    const name = prefix === "" ? nestedNames.at(place++, key) : parsePath(prefix + key);
    const { alias } = name;
    if (alias?.nests && offer(draft, name, value, alias, nestedRank + alias.rank)) continue;
    flatten(draft, name, value, depth, members);
  }
}

/** `source` is the object that the value is a member of. */
function flatten(draft: Draft, name: Name, value: unknown, depth: number, source: object): void {
  const { path } = name;
  // Below a name that is too long already, every path would be: it stays one text, or a small body could grow without end.
  const canNest = depth < intakeLimits.attributeDepth && path.length <= intakeLimits.attributeKeyBytes;
  if (isObject(value) && canNest && hasMembers(value)) {
    if (draft.nested) draft.nested.push({ prefix: `${path}.`, value, depth: depth + 1 });
    else readNested(draft, `${path}.`, value, depth + 1);
  } else {
    setAttribute(draft, name, value, source);
  }
}

/**
 * True when the value is taken for the slot, or says nothing. What it displaces becomes an attribute; a vague name
 * stays one in any case.
 */
function offer(draft: Draft, name: Name, value: unknown, alias: Alias, rank: number): boolean {
  if (value === null || value === undefined || value === "") return !alias.vague;
  if (!fitsSlot(value, alias)) return false;
  const before = draft.slots[alias.place];
  if (before !== undefined && before.rank <= rank) return false;
  draft.slots[alias.place] = { name, value, rank, vague: alias.vague };
  if (before !== undefined && !before.vague) flatten(draft, before.name, before.value, 1, before);
  return !alias.vague;
}

function setAttribute(draft: Draft, name: Name, value: unknown, source: object): void {
  const kept = typeof value === "string" ? storable(value) : attributeValue(name.path, value);
  if (kept === undefined || name.holdsKey) return;
  const { attributes } = draft;
  const { key } = name;
  if (source !== draft.source) {
    draft.mayRepeat = draft.count > 0;
    draft.source = source;
  }
  // Undefined is never a value, and looking it up is quicker than asking whether it is there.
  const before = draft.mayRepeat || name.isMended ? attributes[key] : undefined;
  if (before !== undefined && before === kept) return;
  if (before !== undefined || name.isTooLong || draft.count >= intakeLimits.attributes) {
    draft.isFull ||= draft.count >= intakeLimits.attributes;
    keepApart(draft, key, kept);
    return;
  }
  attributes[key] = kept;
  draft.count += 1;
  draft.bytes += attributeSize(key, kept);
  if (key === uidName && typeof kept === "string" && kept !== "" && kept.length <= maxUidLength) draft.hasUid = true;
}

const maxUidLength = 200;

const topNames = new LastNames();
const nestedNames = new LastNames();

/** An attribute of ours. It counts towards the size, and not towards the number, of the sender's. */
function note(draft: Draft, key: string, value: unknown): void {
  const kept = attributeValue(key, value);
  if (kept === undefined) return;
  const { attributes } = draft;
  if (key in attributes && attributes[key] !== kept) keepApart(draft, key, attributes[key] as AttributeValue);
  attributes[key] = kept;
  draft.bytes += attributeSize(key, kept);
}

/** Attributes have half of an entry's room. */
const maxOverflowBytes = intakeLimits.entryBytes / 2;

function keepApart(draft: Draft, key: string, value: AttributeValue): void {
  if (draft.overflowBytes > maxOverflowBytes) return;
  draft.overflowBytes += attributeSize(key, value);
  if (draft.overflowBytes > maxOverflowBytes) return;
  draft.overflow ??= new Map();
  const before = draft.overflow.get(key);
  if (before) before.push(value);
  else draft.overflow.set(key, [value]);
}

function finish(
  draft: Draft,
  members: Members,
  arrivedAtMs: number,
  retentionMs: number,
): NormalisedEntry | EntryRefusal {
  const sent = draft.slots[slotPlaces.message];
  const message = sent === undefined ? "" : storable(textOf(sent.name.path, sent.value));
  if (message === "" && draft.count === 0) return refuse("message", "is missing, and there are no attributes either.");
  const timestampMicros = readTimestamp(draft, arrivedAtMs * 1000, retentionMs * 1000);
  const level = readLevel(draft);
  const service = readName(draft, "service") ?? "";
  const environment = readName(draft, "environment");
  const traceId = readId(draft, "traceId");
  const spanId = readId(draft, "spanId");
  if (draft.overflowBytes > maxOverflowBytes) note(draft, "sazabi.truncated", true);
  if (draft.overflow) note(draft, "sazabi.overflow", overflowText(draft.overflow));
  const stored = fit(draft, message);
  const { attributes, bytes } = draft;
  return {
    timestampMicros,
    level,
    service,
    environment,
    traceId,
    spanId,
    message: stored,
    attributes,
    uid: draft.hasUid ? uidIdentity(members) : plainIdentity(members, draft.slots[slotPlaces.timestamp]?.value),
    bytes: bytes + stored.length + service.length,
  };
}

function readTimestamp(draft: Draft, arrived: number, retention: number): number {
  const sent = draft.slots[slotPlaces.timestamp];
  if (sent === undefined) return arrived;
  const micros = parseTimestamp(sent.value);
  if (micros !== undefined && micros >= arrived - retention && micros <= arrived + futureMicros) return micros;
  note(draft, "timestamp.original", sent.value);
  return arrived;
}

function readLevel(draft: Draft): number {
  const sent = draft.slots[slotPlaces.level];
  if (sent === undefined) return info;
  const spelled = sent.value as string | number | boolean;
  const known = levelRanks.get(spelled);
  if (known !== undefined) return known;
  const level = typeof spelled === "boolean" ? undefined : levelUnder(sent.name.alias?.scale, spelled);
  if (level === undefined || String(spelled).toLowerCase() !== level) note(draft, "level.original", spelled);
  return level === undefined ? info : levels.indexOf(level);
}

function readName(draft: Draft, slot: "service" | "environment"): string | null {
  const sent = draft.slots[slotPlaces[slot]];
  if (sent === undefined) return null;
  const text = storable(String(sent.value));
  if (!isLongerThan(text, shortTextBytes)) return text;
  note(draft, `${slot}.original`, text);
  return cutToBytes(text, shortTextBytes);
}

function readId(draft: Draft, slot: "traceId" | "spanId"): string | null {
  const sent = draft.slots[slotPlaces[slot]];
  if (sent === undefined) return null;
  const text = storable(String(sent.value));
  if (!isLongerThan(text, idBytes)) return canonicalId(text);
  note(draft, slot === "traceId" ? "trace_id.original" : "span_id.original", text);
  return null;
}

/** Cuts what is too long: attributes to half of the entry's limit, and the message to what they leave. */
function fit(draft: Draft, message: string): string {
  const limit = intakeLimits.entryBytes;
  // A UTF-16 unit takes three bytes at most: nearly every entry needs no closer look.
  if ((draft.bytes + message.length) * 3 <= limit) return message;
  const { attributes } = draft;
  const sizes = Object.keys(attributes).map((key) => attributeBytes(key, attributes[key]));
  const total = sizes.reduce((sum, size) => sum + size, 0);
  if (total + Buffer.byteLength(message) <= limit) return message;
  attributes["sazabi.truncated"] = true;
  let allowed = limit / 2;
  while (sizes.reduce((sum, size) => sum + Math.min(size, allowed), 0) > limit / 2) allowed /= 2;
  let left = limit;
  for (const key of Object.keys(attributes)) {
    const value = attributes[key];
    if (typeof value === "string") attributes[key] = cutToBytes(value, allowed);
    left -= attributeBytes(key, attributes[key]);
  }
  draft.bytes = limit - left;
  return cutToBytes(message, left);
}

/** The value as an attribute holds it; undefined for what JSON has no word for. */
function attributeValue(path: string, value: unknown): AttributeValue | undefined {
  switch (typeof value) {
    case "string":
      return storable(value);
    case "number":
      // `1e999` reads as Infinity, which JSON cannot write.
      return Number.isFinite(value) ? value : String(value);
    case "boolean":
      return value;
    case "bigint":
      return String(value);
    case "object":
      return value === null ? null : textOf(path, value);
    default:
      return undefined;
  }
}

function textOf(path: string, value: unknown): string {
  if (typeof value !== "object") return String(value);
  if (isDeeperThan(value as object, intakeLimits.jsonDepth)) throw new TooDeep(storable(path).slice(0, 200));
  return JSON.stringify(value);
}

/** Looks level by level rather than by recursion, which the depth it guards against would break. */
function isDeeperThan(value: object, depth: number): boolean {
  let level: unknown[] = [value];
  for (let at = 1; level.length > 0; at++) {
    if (at > depth) return true;
    const next: unknown[] = [];
    for (const one of level) {
      for (const inner of Object.values(one as object))
        if (typeof inner === "object" && inner !== null) next.push(inner);
    }
    level = next;
  }
  return false;
}

function overflowText(overflow: ReadonlyMap<string, readonly AttributeValue[]>): string {
  const members = [...overflow].map(
    ([key, values]) => `${JSON.stringify(key)}:${JSON.stringify(values.length === 1 ? values[0] : values)}`,
  );
  return `{${members.join(",")}}`;
}

function isObject(value: unknown): value is Members {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function hasMembers(value: object): boolean {
  for (const _ in value) return true;
  return false;
}
