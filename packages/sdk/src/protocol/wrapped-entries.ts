import { slotValue } from "./entry-aliases.ts";
import { levelOfLine } from "./line-level.ts";

type Members = Readonly<Record<string, unknown>>;

/**
 * The entries inside a document that only wraps them, or undefined: `Records` of AWS CloudTrail, `logEvents` of a CloudWatch
 * Logs subscription, `events` of `aws logs get-log-events`. What the document says of all of them is in each.
 */
export function wrappedEntries(document: Members): readonly Members[] | undefined {
  if ("message" in document || !names.some((name) => document[name] !== undefined)) return undefined;
  const { Records: records, logEvents, events, ...shared } = document;
  if (areObjects(records) && records.every((record) => "eventTime" in record && "eventName" in record)) {
    return logEvents === undefined && events === undefined ? withShared(records, shared) : undefined;
  }
  if (areObjects(logEvents) && logEvents.every(isCloudWatchEvent) && "logGroup" in shared) {
    const { messageType: _, subscriptionFilters: __, ...group } = shared;
    return withShared(logEvents, group);
  }
  if (areObjects(events) && events.every(isCloudWatchEvent)) {
    const { nextForwardToken: _, nextBackwardToken: __, nextToken: ___, searchedLogStreams: ____, ...others } = shared;
    return withShared(events, others);
  }
  return undefined;
}

/** The same entry with the level that its message names as a line of text does, when it has no level of its own. */
export function withLineLevel(entry: Members): Members {
  const { message, level: own } = entry;
  const hasOwn = (own ?? "") !== "" || slotValue(entry, "level") !== undefined;
  if (typeof message !== "string" || hasOwn) return entry;
  const level = levelOfLine(message);
  return level === undefined ? entry : { ...entry, level };
}

const names = ["Records", "logEvents", "events"];

function withShared(entries: readonly Members[], shared: Members): readonly Members[] {
  return Object.keys(shared).length === 0 ? entries : entries.map((entry) => ({ ...shared, ...entry }));
}

function isCloudWatchEvent(event: Members): boolean {
  return typeof event["message"] === "string" && typeof event["timestamp"] === "number";
}

function areObjects(value: unknown): value is readonly Members[] {
  if (!Array.isArray(value) || value.length === 0) return false;
  return value.every((one) => typeof one === "object" && one !== null && !Array.isArray(one));
}
