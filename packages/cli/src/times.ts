import { parseDuration } from "@sazabi/sdk";
import { usageError } from "./errors.ts";

const accepted =
  "a date (2026-11-22), a local time (2026-11-22T08:30, seconds optional), a time with its zone (2026-11-22T08:30:00Z, +02:00), or now.";

/** Parses `text`, the value of `option`, as a time. */
export function parseTime(option: string, text: string, now: Date, span: "ago" | "from now" = "ago"): Date {
  const trimmed = text.trim();
  if (trimmed === "now") return now;
  const duration = parseDuration(trimmed);
  const sign = span === "ago" ? -1 : 1;
  const time = duration === undefined ? parseDate(trimmed) : new Date(now.getTime() + sign * duration);
  if (time && !isWritable(time)) throw usageError(`${option}: ${text} is outside of the years 0 to 9999.`);
  if (time === undefined) {
    throw usageError(
      `${option} does not understand ${JSON.stringify(text)} as a time.`,
      `Accepted: a time ${span} (90s, 30m, 1h, 2d, 1w, 1d12h), ${accepted}`,
    );
  }
  return time;
}

/** Returns true if the API's time format can represent the time. */
const isWritable = (time: Date) => time.getTime() >= firstMoment && time.getTime() <= lastMoment;

const firstMoment = Date.parse("0000-01-01T00:00:00Z");
const lastMoment = Date.parse("9999-12-31T23:59:59.999Z");

const isoTime =
  /^(\d{4})-(\d{2})-(\d{2})(?:[T ](\d{2}):(\d{2})(?::(\d{2})(?:[.,](\d{1,9}))?)?)?\s*(Z|[+-]\d{2}(?::?\d{2})?)?$/i;

/**
 * Parses ISO 8601. A time without a zone is local; a date is its first instant. Returns undefined for invalid dates
 * such as 30 February.
 */
function parseDate(text: string): Date | undefined {
  const match = isoTime.exec(text);
  if (!match) return undefined;
  const [, year, month, day, hour = "0", minute = "0", second = "0", fraction = "0", zone] = match;
  const fields = [Number(year), Number(month) - 1, Number(day), Number(hour), Number(minute), Number(second)] as const;
  const ms = Math.floor(Number(`0.${fraction}`) * 1000);
  const inUtc = new Date(Date.UTC(...fields, ms));
  // Date converts 30 February to March, so an invalid date reads back differently.
  const readBack = [inUtc.getUTCFullYear(), inUtc.getUTCMonth(), inUtc.getUTCDate(), inUtc.getUTCHours()];
  if (readBack.some((field, i) => field !== fields[i]) || fields[4] > 59 || fields[5] > 59) return undefined;
  // A date always has a first instant, even if clocks are set forward at midnight.
  if (zone === undefined) return match[4] === undefined ? new Date(...fields, ms) : localTime(fields, ms);
  const offset = offsetMinutes(zone);
  return offset === undefined ? undefined : new Date(inUtc.getTime() - offset * 60_000);
}

/** Returns undefined for a local time that is skipped when clocks are set forward. */
function localTime(fields: readonly [number, number, number, number, number, number], ms: number): Date | undefined {
  const time = new Date(...fields, ms);
  return time.getHours() === fields[3] && time.getMinutes() === fields[4] ? time : undefined;
}

function offsetMinutes(zone: string): number | undefined {
  if (zone.toUpperCase() === "Z") return 0;
  const [hours, minutes] = [Number(zone.slice(1, 3)), Number(zone.slice(3).replace(":", "") || 0)];
  if (hours > 14 || minutes > 59) return undefined;
  return (zone.startsWith("-") ? -1 : 1) * (hours * 60 + minutes);
}

/** Formats local time: `2026-11-22 08:30:00`. A time that occurs twice has its offset: `2026-11-01 01:30:00 -04:00`. */
export function formatTime(time: Date): string {
  return formatSeconds(time) + offsetIfRepeated(time);
}

/** Formats local time without seconds: `2026-11-22 08:30`. */
export function formatMinute(time: Date): string {
  return formatParts(time).slice(0, 16) + offsetIfRepeated(time);
}

/** Formats local time with milliseconds: `2026-11-22 08:30:00.123`. */
export function formatMoment(time: Date): string {
  return formatParts(time) + offsetIfRepeated(time);
}

/**
 * Formats the start of an interval. Intervals of six hours and of a day are parts of a UTC day: `2026-11-22 UTC`,
 * `2026-11-22 06:00 UTC`.
 */
export function formatIntervalStart(time: Date, interval: string): string {
  if (interval === "1d") return `${time.toISOString().slice(0, 10)} UTC`;
  if (interval === "6h") return `${time.toISOString().slice(0, 16).replace("T", " ")} UTC`;
  return formatTime(time);
}

/** Formats the offset of the local zone at `time`: `UTC+02:00`. */
export function formatZone(time: Date): string {
  return time.getTimezoneOffset() === 0 ? "UTC" : `UTC${formatOffset(time)}`;
}

function formatOffset(time: Date): string {
  const minutes = -time.getTimezoneOffset();
  const size = Math.abs(minutes);
  return `${minutes < 0 ? "-" : "+"}${two(Math.floor(size / 60))}:${two(size % 60)}`;
}

const dayMs = 86_400_000;

/**
 * Returns the offset, such as ` -04:00`, if clocks are set back and this local time occurs twice. Otherwise returns an
 * empty string.
 */
function offsetIfRepeated(time: Date): string {
  const offset = time.getTimezoneOffset();
  for (const distance of [-dayMs, dayMs]) {
    const other = new Date(time.getTime() + distance).getTimezoneOffset();
    if (other === offset) continue;
    const sameClockTime = new Date(time.getTime() + (other - offset) * 60_000);
    if (sameClockTime.getTimezoneOffset() === other) return ` ${formatOffset(time)}`;
  }
  return "";
}

/** Formats a time range, with both zones if they differ: `2026-11-22 08:30:00 to … (UTC+02:00)`. */
export function formatSpan(from: Date, to: Date): string {
  const [zone, endZone] = [formatZone(from), formatZone(to)];
  if (zone === endZone) return `${formatSeconds(from)} to ${formatSeconds(to)} (${zone})`;
  return `${formatSeconds(from)} (${zone}) to ${formatSeconds(to)} (${endZone})`;
}

const formatSeconds = (time: Date) => formatParts(time).slice(0, 19);

function formatParts(time: Date): string {
  const date = `${time.getFullYear()}-${two(time.getMonth() + 1)}-${two(time.getDate())}`;
  const clock = `${two(time.getHours())}:${two(time.getMinutes())}:${two(time.getSeconds())}`;
  return `${date} ${clock}.${String(time.getMilliseconds()).padStart(3, "0")}`;
}

const two = (value: number) => String(value).padStart(2, "0");
