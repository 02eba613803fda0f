import { fieldAliases } from "./fields.ts";
import { levelOfSeverityNumber, parseLevel } from "./levels.ts";
import { parseTimestamp } from "./timestamp.ts";

/** A field of its own of an entry. */
export type Slot = "timestamp" | "level" | "message" | "service" | "environment" | "traceId" | "spanId";

export interface Alias {
  readonly slot: Slot;
  /** The slot's number: an array is quicker to look into than an object. */
  readonly place: number;
  /** The lowest wins; what the others say stays in attributes of their names. */
  readonly rank: number;
  /** A word with other meanings as well: it fills its slot and stays an attribute too. */
  readonly vague: boolean;
  /** An object under this name is the message, as JSON; under other names it is a group of attributes. */
  readonly takesObjects: boolean;
  /** Which values are a level under this name. */
  readonly scale: LevelScale | undefined;
  /** Fills its slot also inside `attributes` and other objects. */
  readonly nests: boolean;
}

/** `any`: every spelling and number; `severityNumber`: OpenTelemetry's 1 to 24; the others take only certain words. */
type LevelScale = "any" | "severityNumber" | "words" | "mongodb";

/** Best first. Names in `fieldAliases` are also what queries and filters call the field. */
const names: Readonly<Record<Slot, readonly string[]>> = {
  timestamp: [
    ...["timestamp", "@timestamp", "time", "ts", "@t", "datetime", "date", "dateTime", "eventTime", "event_time"],
    ...["_source_realtime_timestamp", "__realtime_timestamp", "isodate", "_time", "asctime", "timeMillis", "t.$date"],
  ],
  level: [...fieldAliases.level, "logLevel", "severityText", "levelName", "level_name", "@l"],
  message: [
    ...fieldAliases.message,
    ...["@message", "@m", "short_message", "textPayload", "log", "text", "content", "event.original", "@mt"],
    ...["fields.message", "jsonPayload.message"],
  ],
  service: [...fieldAliases.service, "serviceName", "resource.service.name"],
  environment: fieldAliases.environment,
  traceId: [...fieldAliases.trace_id, "traceId"],
  spanId: [...fieldAliases.span_id, "spanId"],
};

const vagueNames: Partial<Readonly<Record<Slot, readonly string[]>>> = {
  level: ["priority", "syslog.severity", "severityNumber", "severity_number", "status", "s"],
  service: ["app", "application", "syslog_identifier", "_systemd_unit", "program", "source"],
};

const scales: Readonly<Record<string, LevelScale>> = {
  severityNumber: "severityNumber",
  severity_number: "severityNumber",
  // Datadog's; an HTTP status is none.
  status: "words",
  // MongoDB's: F, E, W, I, D1 to D5.
  s: "mongodb",
};

/** In syslog-ng's JSON, `SOURCE` is the name of an input in its configuration. */
const otherSpellings: ReadonlySet<string> = new Set(["SOURCE"]);

export const slotPlaces: Readonly<Record<Slot, number>> = {
  timestamp: 0,
  level: 1,
  message: 2,
  service: 3,
  environment: 4,
  traceId: 5,
  spanId: 6,
};

/** Name of a member → the slot it may fill. As written, capitalised (.NET) and in capitals (journald). */
export const entryAliases: ReadonlyMap<string, Alias> = aliasTable();

function aliasTable(): Map<string, Alias> {
  const table = new Map<string, Alias>();
  for (const slot of Object.keys(names) as Slot[]) {
    const clear = names[slot];
    for (const [rank, name] of [...clear, ...(vagueNames[slot] ?? [])].entries()) {
      const vague = rank >= clear.length;
      const alias: Alias = {
        slot,
        place: slotPlaces[slot],
        rank,
        vague,
        takesObjects: slot === "message" && rank < fieldAliases.message.length,
        scale: slot === "level" ? (scales[name] ?? "any") : undefined,
        // A time inside an entry can be anybody's: the time of an order, a duration.
        nests: !vague && (slot !== "timestamp" || name === "t.$date"),
      };
      const capitalised = `${name.charAt(0).toUpperCase()}${name.slice(1)}`;
      for (const spelling of [name, capitalised, name.toUpperCase()]) {
        if (!table.has(spelling) && !otherSpellings.has(spelling)) table.set(spelling, alias);
      }
    }
  }
  return table;
}

/** Whether a slot can hold the value. What it cannot hold stays an attribute under its own name. */
export function fitsSlot(value: unknown, { slot, rank, vague, takesObjects, scale }: Alias): boolean {
  const type = typeof value;
  if (slot === "message") return type !== "object" || takesObjects;
  if (slot === "timestamp") {
    // Under a name like `date` there may be anything; under `timestamp` a time was meant.
    return (type === "string" || type === "number") && (rank < 2 || parseTimestamp(value) !== undefined);
  }
  if (!vague) return type === "string" || type === "number" || type === "boolean";
  if (slot !== "level") return type === "string";
  return (type === "string" || type === "number") && levelUnder(scale, value as string | number) !== undefined;
}

/** The level that a value means under a name of this scale; undefined for none. */
export function levelUnder(scale: LevelScale | undefined, value: string | number) {
  if (scale === "severityNumber") return levelOfSeverityNumber(value);
  if (scale === "words") return typeof value === "string" && /^[a-z]{3,}$/i.test(value) ? parseLevel(value) : undefined;
  if (scale === "mongodb")
    return typeof value === "string" && /^(?:[FEWI]|D[1-5])$/.test(value) ? parseLevel(value) : undefined;
  return parseLevel(value);
}

/** The value with which an entry fills a slot, as the intake decides it, or undefined. `null` and `""` fill none. */
export function slotValue(members: Members, slot: Slot): unknown {
  let best: { readonly value: unknown; readonly rank: number } | undefined;
  const walk = (inner: Members, prefix: string, depth: number) => {
    for (const [name, value] of Object.entries(inner)) {
      const path = prefix + name;
      const alias = entryAliases.get(path);
      const fits = alias !== undefined && (depth === 0 || alias.nests) && fitsSlot(value, alias);
      const rank = alias === undefined ? 0 : (depth === 0 ? 0 : nestedRank) + alias.rank;
      const says = value !== null && value !== undefined && value !== "";
      if (fits && says && alias.slot === slot && (best === undefined || rank < best.rank)) best = { value, rank };
      const isGroup = !fits && isObject(value) && depth < maxDepth;
      if (isGroup) walk(value, depth === 0 && name === "attributes" ? "" : `${path}.`, depth + 1);
    }
  };
  walk(members, "", 0);
  return (best as { readonly value: unknown } | undefined)?.value;
}

/** Names inside `attributes` and other objects fill a slot only when no name at the top does. */
export const nestedRank = 100;
/** No alias has more parts. */
const maxDepth = 4;

type Members = Readonly<Record<string, unknown>>;

function isObject(value: unknown): value is Members {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
