import {
  type AttributeValue,
  canonicalId,
  intakeLimits,
  levels,
  parseLevel,
  type QueriedEntry,
  storable,
} from "@sazabi/sdk/protocol";
import { type Alias, entryAliases, type Slot } from "./entry-aliases.ts";
import { parseTimestamp } from "./timestamp.ts";

/** An entry as it is stored. Every text in it can be stored: no NUL, no lone surrogate. */
export interface NormalisedEntry extends QueriedEntry {
  /** Microseconds since 1970, a safe integer, within the window of intake. */
  readonly timestampMicros: number;
  /** Memory it takes, roughly, in bytes. */
  readonly bytes: number;
}

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
  try {
    const reader = new EntryReader();
    reader.read(members);
    return reader.finish(arrivedAtMs, retentionMs);
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
  readonly key: string;
  readonly value: unknown;
  readonly rank: number;
  readonly vague: boolean;
}

/** Names inside `attributes` and other objects fill a slot only when no name at the top does. */
const nestedRank = 100;
/** Service and environment are in an index, whose rows have a limit; a longer one is cut, and kept as an attribute. */
const shortTextBytes = 200;
/** Likewise; a longer id is only kept as an attribute, since a part of an id is none. */
const idBytes = 128;
/** What an attribute takes besides its text: quotes, separators, headers. */
const attributeOverheadBytes = 16;
/** The columns and headers of a row. */
const entryOverheadBytes = 100;

/** Objects of their own shape, so that they stay fast, and without a prototype, so that `__proto__` is a key like others. */
function Attributes(this: object) {}
Attributes.prototype = Object.create(null);

class EntryReader {
  readonly #attributes: Record<string, AttributeValue> = new (
    Attributes as unknown as new () => Record<string, AttributeValue>
  )();
  readonly #candidates: Partial<Record<Slot, Candidate>> = {};
  /** What has no place among the attributes; stored as one JSON text, so that it is not lost. */
  #overflow: Map<string, AttributeValue[]> | undefined;
  #count = 0;
  #bytes = entryOverheadBytes;

  read(members: Readonly<Record<string, unknown>>): void {
    for (const key of Object.keys(members)) {
      const value = members[key];
      const alias = entryAliases.get(key);
      if (alias && this.#offer(key, value, alias, alias.rank)) continue;
      if (key !== "attributes") this.#flatten(key, value, 1);
      else if (isObject(value)) this.#readNested("", value, 1);
      else if (value !== null) this.#set(key, value);
    }
  }

  finish(arrivedAtMs: number, retentionMs: number): NormalisedEntry | EntryRefusal {
    const { message: sent } = this.#candidates;
    const message = sent ? storable(textOf(sent.key, sent.value)) : "";
    if (message === "" && this.#count === 0)
      return refuse("message", "is missing, and there are no attributes either.");
    const timestampMicros = this.#timestamp(arrivedAtMs, retentionMs);
    const level = this.#level();
    const service = this.#name("service") ?? "";
    const environment = this.#name("environment");
    const traceId = this.#id("traceId");
    const spanId = this.#id("spanId");
    if (this.#overflow) this.#note("sazabi.overflow", overflowText(this.#overflow));
    const stored = this.#fit(message);
    return {
      timestampMicros,
      level,
      service,
      environment,
      traceId,
      spanId,
      message: stored,
      attributes: this.#attributes,
      bytes: this.#bytes + stored.length + service.length,
    };
  }

  #readNested(prefix: string, members: Readonly<Record<string, unknown>>, depth: number): void {
    for (const key of Object.keys(members)) {
      const path = `${prefix}${key}`;
      const alias = entryAliases.get(path);
      // A time inside an entry can be anybody's: the time of an order, a duration.
      const canFill = alias && !alias.vague && alias.slot !== "timestamp";
      if (canFill && this.#offer(path, members[key], alias, nestedRank + alias.rank)) continue;
      this.#flatten(path, members[key], depth);
    }
  }

  #flatten(path: string, value: unknown, depth: number): void {
    if (isObject(value) && depth < intakeLimits.attributeDepth && hasMembers(value)) {
      this.#readNested(`${path}.`, value, depth + 1);
    } else {
      this.#set(path, value);
    }
  }

  /**
   * True when the value is taken for the slot, or says nothing. What it displaces becomes an attribute; a vague name
   * stays one in any case.
   */
  #offer(key: string, value: unknown, alias: Alias, rank: number): boolean {
    if (value === null || value === undefined || value === "") return !alias.vague;
    if (!fits(value, alias)) return false;
    const { slot, vague } = alias;
    const before = this.#candidates[slot];
    if (before && before.rank <= rank) return false;
    this.#candidates[slot] = { key, value, rank, vague };
    if (before && !before.vague) this.#flatten(before.key, before.value, 1);
    return !vague;
  }

  #set(path: string, value: unknown): void {
    const kept = attributeValue(path, value);
    if (kept === undefined) return;
    const key = storable(path);
    const taken = key in this.#attributes;
    if (taken && this.#attributes[key] === kept) return;
    if (taken || this.#count >= intakeLimits.attributes || isLongerThan(key, intakeLimits.attributeKeyBytes)) {
      this.#keepApart(key, kept);
      return;
    }
    this.#attributes[key] = kept;
    this.#count += 1;
    this.#bytes += key.length + attributeOverheadBytes + (typeof kept === "string" ? kept.length : 8);
  }

  /** An attribute of ours. It counts towards the size, and not towards the number, of the sender's. */
  #note(key: string, value: unknown): void {
    const kept = attributeValue(key, value);
    if (kept === undefined) return;
    if (key in this.#attributes && this.#attributes[key] !== kept) {
      this.#keepApart(key, this.#attributes[key] as AttributeValue);
    }
    this.#attributes[key] = kept;
    this.#bytes += key.length + attributeOverheadBytes + (typeof kept === "string" ? kept.length : 8);
  }

  #keepApart(key: string, value: AttributeValue): void {
    this.#overflow ??= new Map();
    const before = this.#overflow.get(key);
    if (before) before.push(value);
    else this.#overflow.set(key, [value]);
  }

  #timestamp(arrivedAtMs: number, retentionMs: number): number {
    const arrived = arrivedAtMs * 1000;
    const sent = this.#candidates.timestamp;
    if (!sent) return arrived;
    const micros = parseTimestamp(sent.value);
    const earliest = arrived - retentionMs * 1000;
    const latest = arrived + intakeLimits.futureHours * 3_600_000_000;
    if (micros !== undefined && micros >= earliest && micros <= latest) return micros;
    this.#note("timestamp.original", sent.value);
    return arrived;
  }

  #level(): number {
    const sent = this.#candidates.level;
    if (!sent) return levels.indexOf("info");
    const spelled = sent.value as string | number | boolean;
    const level = typeof spelled === "boolean" ? undefined : parseLevel(spelled);
    if (level === undefined || String(spelled).toLowerCase() !== level) this.#note("level.original", spelled);
    return levels.indexOf(level ?? "info");
  }

  #name(slot: "service" | "environment"): string | null {
    const sent = this.#candidates[slot];
    if (!sent) return null;
    const text = storable(String(sent.value));
    if (!isLongerThan(text, shortTextBytes)) return text;
    this.#note(`${slot}.original`, text);
    return cutToBytes(text, shortTextBytes);
  }

  #id(slot: "traceId" | "spanId"): string | null {
    const sent = this.#candidates[slot];
    if (!sent) return null;
    const text = storable(String(sent.value));
    if (!isLongerThan(text, idBytes)) return canonicalId(text);
    this.#note(slot === "traceId" ? "trace_id.original" : "span_id.original", text);
    return null;
  }

  /** Cuts what is too long: attributes to half of the entry's limit, and the message to what they leave. */
  #fit(message: string): string {
    const limit = intakeLimits.entryBytes;
    // A UTF-16 unit takes three bytes at most: nearly every entry needs no closer look.
    if ((this.#bytes + message.length) * 3 <= limit) return message;
    const sizes = Object.keys(this.#attributes).map((key) => attributeBytes(key, this.#attributes[key]));
    const total = sizes.reduce((sum, size) => sum + size, 0);
    if (total + Buffer.byteLength(message) <= limit) return message;
    this.#attributes["sazabi.truncated"] = true;
    let allowed = limit / 2;
    while (sizes.reduce((sum, size) => sum + Math.min(size, allowed), 0) > limit / 2) allowed /= 2;
    let left = limit;
    for (const key of Object.keys(this.#attributes)) {
      const value = this.#attributes[key];
      if (typeof value === "string") this.#attributes[key] = cutToBytes(value, allowed);
      left -= attributeBytes(key, this.#attributes[key]);
    }
    this.#bytes = limit - left;
    return cutToBytes(message, left);
  }
}

/** Whether a slot can hold the value. What it cannot hold stays an attribute under its own name. */
function fits(value: unknown, { slot, rank, vague, takesObjects }: Alias): boolean {
  const type = typeof value;
  if (slot === "message") return type !== "object" || takesObjects;
  if (slot === "timestamp") {
    // Under a name like `date` there may be anything; under `timestamp` a time was meant.
    return (type === "string" || type === "number") && (rank < 2 || parseTimestamp(value) !== undefined);
  }
  if (vague && slot === "level")
    return (type === "string" || type === "number") && parseLevel(value as string) !== undefined;
  if (vague) return type === "string";
  return type === "string" || type === "number" || type === "boolean";
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

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function hasMembers(value: object): boolean {
  for (const _ in value) return true;
  return false;
}

function isLongerThan(text: string, bytes: number): boolean {
  return text.length > bytes || (text.length * 3 > bytes && Buffer.byteLength(text) > bytes);
}

function attributeBytes(key: string, value: AttributeValue | undefined): number {
  return Buffer.byteLength(key) + attributeOverheadBytes + (typeof value === "string" ? Buffer.byteLength(value) : 8);
}

/** The longest beginning that takes no more than so many bytes in UTF-8, without half a character. */
function cutToBytes(text: string, bytes: number): string {
  if (!isLongerThan(text, bytes)) return text;
  const encoded = Buffer.from(text);
  let end = Math.max(0, Math.floor(bytes));
  while (end > 0 && ((encoded[end] as number) & 0xc0) === 0x80) end -= 1;
  return encoded.toString("utf8", 0, end);
}
