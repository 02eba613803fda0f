import { fieldAliases, levels } from "@sazabi/sdk/protocol";

/** What an entry has a place of its own for. */
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
}

/** Best first. Names in `fieldAliases` are also what queries and filters call the field. */
const names: Readonly<Record<Slot, readonly string[]>> = {
  timestamp: ["timestamp", "@timestamp", "time", "ts", "@t", "datetime", "date", "dateTime", "eventTime", "event_time"],
  level: [...fieldAliases.level, "logLevel", "severityText", "levelName", "@l"],
  message: [
    ...fieldAliases.message,
    "@message",
    "@m",
    "short_message",
    "textPayload",
    "log",
    "text",
    "content",
    "event.original",
  ],
  service: [...fieldAliases.service, "serviceName"],
  environment: fieldAliases.environment,
  traceId: [...fieldAliases.trace_id, "traceId"],
  spanId: [...fieldAliases.span_id, "spanId"],
};

const vagueNames: Partial<Readonly<Record<Slot, readonly string[]>>> = {
  level: ["priority", "syslog.severity"],
  service: ["app", "application", "source", "syslog_identifier"],
};

export const slotPlaces: Readonly<Record<Slot, number>> = {
  timestamp: 0,
  level: 1,
  message: 2,
  service: 3,
  environment: 4,
  traceId: 5,
  spanId: 6,
};

/** Levels as most senders spell them, and their ranks. */
export const levelsAsSpelled: ReadonlyMap<unknown, number> = new Map(levels.map((level, rank) => [level, rank]));

/** Name of a member → the slot it may fill. As written, capitalised (.NET) and in capitals (journald). */
export const entryAliases: ReadonlyMap<string, Alias> = aliasTable();

function aliasTable(): Map<string, Alias> {
  const table = new Map<string, Alias>();
  for (const slot of Object.keys(names) as Slot[]) {
    const clear = names[slot];
    for (const [rank, name] of [...clear, ...(vagueNames[slot] ?? [])].entries()) {
      const takesObjects = slot === "message" && rank < fieldAliases.message.length;
      const alias: Alias = { slot, place: slotPlaces[slot], rank, vague: rank >= clear.length, takesObjects };
      const capitalised = `${name.charAt(0).toUpperCase()}${name.slice(1)}`;
      for (const spelling of [name, capitalised, name.toUpperCase()]) {
        if (!table.has(spelling)) table.set(spelling, alias);
      }
    }
  }
  return table;
}
