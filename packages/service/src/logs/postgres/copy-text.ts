import type { NormalisedEntry } from "../entry.ts";

/** The columns of a row of `copyText`, in its order. */
export const copyColumns =
  "id, project_number, ts, level, service, environment, trace_id, span_id, message, attributes, pattern_id";

const idDigits = 16;
/** Ids are given when rows are committed, in their order: until then there is room for one. */
const roomForId = "0".repeat(idDigits);

/**
 * A row of COPY's text format (PostgreSQL, "COPY", File Formats), whose id is nought: `numberRows` writes it. The only
 * line feed in it is its last character.
 */
export function copyText(projectNumber: number, entry: NormalisedEntry, patternId: number): string {
  return (
    `${roomForId}\t${projectNumber}\t${timeText(entry.timestampMicros)}\t${entry.level}\t${escaped(entry.service)}\t` +
    `${nullable(entry.environment)}\t${nullable(entry.traceId)}\t${nullable(entry.spanId)}\t${escaped(entry.message)}\t` +
    `${escapedJson(entry.attributes)}\t${patternId}\n`
  );
}

const lineFeed = 0x0a;
const nought = 0x30;

/** Gives the rows ascending ids, whatever ids they had; returns the id that comes next. Ids are safe integers. */
export function numberRows(rows: Buffer, firstId: number): number {
  let id = firstId;
  for (let start = 0; start < rows.length; id++) {
    let rest = id;
    for (let place = start + idDigits - 1; place >= start; place--) {
      const digit = rest % 10;
      rows[place] = nought + digit;
      rest = (rest - digit) / 10;
    }
    start = rows.indexOf(lineFeed, start + idDigits) + 1;
  }
  return id;
}

let lastSecond = Number.NaN;
let lastSecondText = "";

/** Neighbours share their second, and its text is most of the work. */
function timeText(micros: number): string {
  const second = Math.floor(micros / 1_000_000);
  if (second !== lastSecond) {
    lastSecond = second;
    lastSecondText = new Date(second * 1000).toISOString().slice(0, 20);
  }
  return `${lastSecondText}${String(micros - second * 1_000_000).padStart(6, "0")}Z`;
}

function nullable(text: string | null): string {
  return text === null ? "\\N" : escaped(text);
}

const special = /[\\\n\r\t]/;
const escapes: Readonly<Record<string, string>> = { "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t" };

function escaped(text: string): string {
  return special.test(text) ? text.replace(/[\\\n\r\t]/g, (character) => escapes[character] as string) : text;
}

/** What `JSON.stringify` makes of the attributes, escaped; put together by hand, since it is mostly keys that come again. */
function escapedJson(attributes: NormalisedEntry["attributes"]): string {
  let text = "";
  for (const key in attributes) {
    const value = attributes[key];
    text += text === "" ? escapedKey(key) : `,${escapedKey(key)}`;
    if (typeof value === "string") text += isPlain(value) ? `"${value}"` : escaped(JSON.stringify(value));
    else text += typeof value === "number" ? value : String(value);
  }
  return `{${text}}`;
}

const keysRemembered = 5_000;
const escapedKeys = new Map<string, string>();

/** With the quotes and the colon. */
function escapedKey(key: string): string {
  const known = escapedKeys.get(key);
  if (known !== undefined) return known;
  const text = `${escaped(JSON.stringify(key))}:`;
  if (escapedKeys.size < keysRemembered) escapedKeys.set(key, text);
  return text;
}

const quote = 0x22;
const backslash = 0x5c;
const firstPrintable = 0x20;
/** Above it JSON.stringify is quicker. */
const shortLength = 60;

/** Whether a short text needs no escaping, in JSON or by COPY. Lone surrogates, which JSON escapes, are in no entry. */
function isPlain(text: string): boolean {
  if (text.length > shortLength) return false;
  for (let place = 0; place < text.length; place++) {
    const code = text.charCodeAt(place);
    if (code < firstPrintable || code === quote || code === backslash) return false;
  }
  return true;
}
