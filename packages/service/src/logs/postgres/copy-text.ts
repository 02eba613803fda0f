import type { NormalisedEntry } from "../entry.ts";
import { isoOfMicros } from "../time.ts";

/** The columns of a row of `copyText`, in its order. */
export const copyColumns =
  "project_number, ts, id, level, service, environment, trace_id, span_id, message, attributes";

/** A row of COPY's text format (PostgreSQL, "COPY", File Formats). */
export function copyText(projectNumber: number, id: bigint, entry: NormalisedEntry): string {
  return (
    `${projectNumber}\t${isoOfMicros(entry.timestampMicros)}\t${id}\t${entry.level}\t${escaped(entry.service)}\t` +
    `${nullable(entry.environment)}\t${nullable(entry.traceId)}\t${nullable(entry.spanId)}\t${escaped(entry.message)}\t` +
    `${escaped(JSON.stringify(entry.attributes))}\n`
  );
}

function nullable(text: string | null): string {
  return text === null ? "\\N" : escaped(text);
}

const special = /[\\\n\r\t]/;
const escapes: Readonly<Record<string, string>> = { "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t" };

function escaped(text: string): string {
  return special.test(text) ? text.replace(/[\\\n\r\t]/g, (character) => escapes[character] as string) : text;
}
