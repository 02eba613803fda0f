import type { NormalisedEntry } from "../entry.ts";

/** The columns of a row of `copyText`, in its order. */
export const copyColumns =
  "project_number, ts, id, level, service, environment, trace_id, span_id, message, attributes, pattern_id";

/** A row of COPY's text format (PostgreSQL, "COPY", File Formats). */
export function copyText(projectNumber: number, id: number, entry: NormalisedEntry, patternId: number): string {
  return (
    `${projectNumber}\t${timeText(entry.timestampMicros)}\t${id}\t${entry.level}\t${escaped(entry.service)}\t` +
    `${nullable(entry.environment)}\t${nullable(entry.traceId)}\t${nullable(entry.spanId)}\t${escaped(entry.message)}\t` +
    `${escaped(JSON.stringify(entry.attributes))}\t${patternId}\n`
  );
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
