import { type LogFilter, searchAheadMs } from "@sazabi/sdk/protocol";
import { type ApiError, invalidMember } from "../../errors.ts";

export interface Window {
  /** Microseconds since 1970, included. */
  readonly fromMicros: number;
  /** Excluded. */
  readonly toMicros: number;
}

const defaultLookBackMs = 24 * 3600 * 1000;

/**
 * The time window of a search: what its `timestamp` filters say, else the last 24 hours. A search never goes
 * without one. 400 for a filter that is no time, or a window that ends before it begins.
 */
export function readWindow(filters: readonly LogFilter[], nowMs: number): Window {
  let from: number | undefined;
  let to: number | undefined;
  for (const filter of filters) {
    if (!isTimestamp(filter)) continue;
    const bounds = boundsOf(filter);
    if (bounds.fromMicros !== undefined) from = Math.max(from ?? bounds.fromMicros, bounds.fromMicros);
    if (bounds.toMicros !== undefined) to = Math.min(to ?? bounds.toMicros, bounds.toMicros);
  }
  return withDefaults({ from, to }, { nowMs }) ?? fail("the window ends before it begins");
}

/**
 * The one default of all searches and counts: up to the latest time that an entry may have, from so far before the end or
 * now. Undefined when the window is empty.
 */
function withDefaults(
  { from, to }: { readonly from: number | undefined; readonly to: number | undefined },
  { nowMs, lookBackMs = defaultLookBackMs }: WindowDefaults,
): Window | undefined {
  const toMicros = to ?? (nowMs + searchAheadMs) * 1000;
  return windowOf(from ?? Math.min(nowMs * 1000, toMicros) - lookBackMs * 1000, toMicros);
}

interface WindowDefaults {
  readonly nowMs: number;
  readonly lookBackMs?: number;
}

/** The window between two ISO 8601 times, with the defaults of `readWindow`. 400 as there. */
export function windowOfDates(
  { startDate, endDate }: { readonly startDate?: string | undefined; readonly endDate?: string | undefined },
  defaults: WindowDefaults,
): Window {
  const to = endDate === undefined ? undefined : microsOfIso(endDate, "endDate");
  const from = startDate === undefined ? undefined : microsOfIso(startDate, "startDate");
  return withDefaults({ from, to }, defaults) ?? fail("must be later than startDate", "endDate");
}

/**
 * The year 1 and the last second of the year 9999. Both are whole seconds: beyond 2^53 µs (the year 2255) not every
 * microsecond is a number, and a time near the end of 9999 would be rounded into the year 10000.
 */
const minMicros = Date.parse("0001-01-01T00:00:00Z") * 1000;
const maxMicros = Date.parse("9999-12-31T23:59:59Z") * 1000;

/** The window within the years that the stores can hold; undefined when it is empty. */
function windowOf(from: number, to: number): Window | undefined {
  const fromMicros = Math.max(from, minMicros);
  const toMicros = Math.min(to, maxMicros);
  return fromMicros < toMicros ? { fromMicros, toMicros } : undefined;
}

/** True for a filter that is about the window, and not a condition on each entry. */
export function isTimestamp({ field }: LogFilter): boolean {
  return field === "timestamp" || field === "@timestamp";
}

function boundsOf({ op, value }: LogFilter): Partial<Window> {
  if (op === "between" && typeof value === "object" && "from" in value) {
    return { fromMicros: microsOf(value.from), toMicros: microsOf(value.to) + 1 };
  }
  if (typeof value === "string") {
    if (op === "gte") return { fromMicros: microsOf(value) };
    if (op === "gt") return { fromMicros: microsOf(value) + 1 };
    if (op === "lt") return { toMicros: microsOf(value) };
    if (op === "lte") return { toMicros: microsOf(value) + 1 };
    if (op === "eq") return { fromMicros: microsOf(value), toMicros: microsOf(value) + 1 };
  }
  throw invalid("takes gt, gte, lt, lte, eq with an ISO 8601 time, or between with { from, to }");
}

function microsOfIso(text: string, path: string): number {
  const match = /^(\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d)?)(?:\.(\d{1,9}))?(Z|[+-]\d\d:?\d\d)$/i.exec(text);
  const seconds = match ? Date.parse(`${match[1]}${match[3]}`) : Date.parse(text);
  if (Number.isNaN(seconds)) throw invalid(`"${text.slice(0, 40)}" is not an ISO 8601 time`, path);
  const year = new Date(seconds).getUTCFullYear();
  if (year < 1 || year > 9999) throw invalid(`"${text.slice(0, 40)}" is not in the years 1 to 9999`, path);
  const fraction = match?.[2] ? Number(match[2].slice(0, 6).padEnd(6, "0")) : 0;
  return seconds * 1000 + fraction;
}

function microsOf(text: string): number {
  return microsOfIso(text, timestampPath);
}

const timestampPath = "filters.timestamp";

function fail(message: string, path?: string): never {
  throw invalid(message, path);
}

function invalid(message: string, path = timestampPath): ApiError {
  return invalidMember(path, message);
}
