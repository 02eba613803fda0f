const months = new Map(
  ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"].map((name, place) => [
    name,
    place,
  ]),
);

const numeric = /^[+-]?\d{1,20}(?:\.\d{0,20})?$/;

/** `2026-11-22T10:00:00.123456789+01:00`, also with a space, a comma, slashes, no seconds, no zone, no time. */
const iso =
  /^(\d{4})([-/])(\d\d)\2(\d\d)(?:[T\s]\s*(\d\d):?(\d\d)(?::?(\d\d)(?:[.,](\d{1,9})\d*)?)?\s*(Z|UTC|GMT|[+-]\d\d(?::?\d\d)?)?(?:\[[^\]]*\])?)?$/i;
/** RFC 2822 and HTTP: `Sun, 22 Nov 2026 10:00:00 +0100`; access logs: `22/Nov/2026:10:00:00 +0100`. */
const dayFirst =
  /^(?:[a-z]{3},?\s+)?(\d{1,2})[\s/-]([a-z]{3})[\s/-](\d{4})[\s:](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d{1,9})\d*)?)?\s*(Z|UTC|GMT|[+-]\d\d:?\d\d)?$/i;

/**
 * The time in microseconds since 1970, or undefined when it is none. A number, also in text, is in seconds,
 * milliseconds, microseconds or nanoseconds, by its size; a time without a zone is in UTC.
 */
export function parseTimestamp(value: unknown): number | undefined {
  if (typeof value === "number") return microsOfNumber(value);
  if (typeof value !== "string" || value.length > 64) return undefined;
  const usual = microsOfUsual(value);
  if (usual !== undefined) return usual;
  const text = value.trim();
  if (numeric.test(text)) return microsOfDigits(text);
  const match = iso.exec(text);
  if (match) {
    const [, year, , month, day, hours, minutes, seconds, fraction, zone] = match;
    return microsOf(year, Number(month) - 1, day, hours, minutes, seconds, fraction, zone);
  }
  const other = dayFirst.exec(text);
  if (!other) return undefined;
  const [, day, name = "", year, hours, minutes, seconds, fraction, zone] = other;
  return microsOf(year, months.get(name.toLowerCase()), day, hours, minutes, seconds, fraction, zone);
}

/**
 * The form nearly every sender uses, `2026-11-22T10:00:00.123Z` with any number of decimals, read ten times as fast
 * as by the expressions. Undefined for anything else, sound or not.
 */
function microsOfUsual(text: string): number | undefined {
  const end = text.length - 1;
  const sound =
    end >= 19 &&
    text.charCodeAt(4) === dash &&
    text.charCodeAt(7) === dash &&
    text.charCodeAt(10) === letterT &&
    text.charCodeAt(13) === colon &&
    text.charCodeAt(16) === colon &&
    text.charCodeAt(end) === letterZ &&
    (end === 19 || (text.charCodeAt(19) === dot && end > 20));
  if (!sound) return undefined;
  const year = digits(text, 0, 4);
  const month = digits(text, 5, 7);
  const day = digits(text, 8, 10);
  const hours = digits(text, 11, 13);
  const minutes = digits(text, 14, 16);
  const seconds = digits(text, 17, 19);
  const fraction = end === 19 ? 0 : Math.floor(digits(text, 20, end) * (microsPerUnit[end - 20] ?? 10 ** (26 - end)));
  const inRange = month >= 1 && month <= 12 && day >= 1 && day <= 28 && hours < 24 && minutes < 60 && seconds < 60;
  // Not a number is in no range: a character that is no digit ends here, and the ends of months are left to others.
  if (!inRange || !(year >= 1970) || Number.isNaN(fraction)) return undefined;
  const date = (year * 100 + month) * 100 + day;
  if (date !== lastDate) {
    lastDate = date;
    lastDateMs = Date.UTC(year, month - 1, day);
  }
  return (lastDateMs + ((hours * 60 + minutes) * 60 + seconds) * 1000) * 1000 + fraction;
}

/** Neighbours share their day. */
let lastDate = Number.NaN;
let lastDateMs = 0;

/** What a unit is worth behind so many decimals. */
const microsPerUnit = [1e6, 1e5, 1e4, 1e3, 1e2, 10, 1] as const;

const dash = 0x2d;
const dot = 0x2e;
const colon = 0x3a;
const letterT = 0x54;
const letterZ = 0x5a;

function digits(text: string, from: number, to: number): number {
  let value = 0;
  for (let place = from; place < to; place++) {
    const digit = text.charCodeAt(place) - 0x30;
    if (digit < 0 || digit > 9) return Number.NaN;
    value = value * 10 + digit;
  }
  return value;
}

/** Up to the year 5138, so that each unit has its own range. */
const largestSeconds = 1e11;

function microsOfNumber(value: number): number | undefined {
  const size = Math.abs(value);
  if (size < largestSeconds) return Math.round(value * 1e6);
  if (size < largestSeconds * 1e3) return Math.round(value * 1e3);
  if (size < largestSeconds * 1e6) return Math.round(value);
  return size < largestSeconds * 1e9 ? Math.round(value / 1e3) : undefined;
}

/** Nanoseconds have more digits than a double keeps, so what is beyond a microsecond is cut off as text. */
function microsOfDigits(text: string): number | undefined {
  const whole = /^[+-]?\d*/.exec(text)?.[0] ?? "";
  if (whole.replace(/^[+-]/, "").length < 18) return microsOfNumber(Number(text));
  const micros = Number(whole.slice(0, -3));
  return Math.abs(micros) < largestSeconds * 1e6 ? micros : undefined;
}

function microsOf(
  year: string | undefined,
  month: number | undefined,
  day: string | undefined,
  hours = "0",
  minutes = "0",
  seconds = "0",
  fraction = "",
  zone = "Z",
): number | undefined {
  if (month === undefined) return undefined;
  // A leap second is kept as the last moment before it ends.
  const leap = seconds === "60";
  const parts = [Number(day), Number(hours), Number(minutes), leap ? 59 : Number(seconds)] as const;
  const time = new Date(Date.UTC(Number(year), month, ...parts));
  const sound =
    time.getUTCMonth() === month &&
    time.getUTCDate() === parts[0] &&
    time.getUTCHours() === parts[1] &&
    time.getUTCMinutes() === parts[2] &&
    time.getUTCSeconds() === parts[3];
  if (!sound) return undefined;
  const micros = leap ? 999_999 : Number(fraction.slice(0, 6).padEnd(6, "0"));
  return (time.getTime() - offsetMs(zone)) * 1000 + micros;
}

function offsetMs(zone: string): number {
  const match = /^([+-])(\d\d):?(\d\d)?$/.exec(zone);
  if (!match) return 0;
  const minutes = Number(match[2]) * 60 + Number(match[3] ?? 0);
  return (match[1] === "-" ? -minutes : minutes) * 60_000;
}
