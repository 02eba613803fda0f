import { levels } from "@sazabi/sdk/protocol";
import type { NormalisedEntry } from "../../normalised-entry.ts";
import { escaped } from "./copy-escapes.ts";
import { copyJson } from "./copy-json.ts";

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
  const { environment, traceId, spanId } = entry;
  // Few pieces, since each that is put to the others costs as much as some twenty characters.
  const mostlyNull =
    environment === null && traceId === null && spanId === null
      ? "\t\\N\t\\N\t\\N\t"
      : `\t${nullable(environment)}\t${nullable(traceId)}\t${nullable(spanId)}\t`;
  return (
    beginOf(projectNumber) +
    timeText(entry.timestampMicros) +
    levelTexts[entry.level] +
    escaped(entry.service) +
    mostlyNull +
    escaped(entry.message) +
    "\t" +
    copyJson(entry.attributes) +
    "\t" +
    patternId +
    "\n"
  );
}

let lastProject = Number.NaN;
let lastBegin = "";

/** The id and the project. */
function beginOf(projectNumber: number): string {
  if (projectNumber !== lastProject) {
    lastProject = projectNumber;
    lastBegin = `${roomForId}\t${projectNumber}\t`;
  }
  return lastBegin;
}

/** Between the time and the service. */
const levelTexts = levels.map((_, level) => `Z\t${level}\t`);

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
const threeDigits = Array.from({ length: 1_000 }, (_, millis) => String(millis).padStart(3, "0"));

/**
 * Without the `Z`. Neighbours share their second, and its text is most of the work; most senders tell milliseconds. The
 * date has no hyphens: PostgreSQL reads it in half the time.
 */
function timeText(micros: number): string {
  const second = Math.floor(micros / 1_000_000);
  if (second !== lastSecond) {
    lastSecond = second;
    const [date, time] = new Date(second * 1000).toISOString().split("T") as [string, string];
    lastSecondText = `${date.replaceAll("-", "")} ${time.slice(0, "00:00:00.".length)}`;
  }
  const fraction = micros - second * 1_000_000;
  const millis = Math.floor(fraction / 1_000);
  const rest = fraction - millis * 1_000;
  const text = lastSecondText + threeDigits[millis];
  return rest === 0 ? text : text + threeDigits[rest];
}

function nullable(text: string | null): string {
  return text === null ? "\\N" : escaped(text);
}
