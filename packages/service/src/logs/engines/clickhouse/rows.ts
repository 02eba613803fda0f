import { type LogRow as RowOf, storedLog } from "../../log-row.ts";
import type { StoredLog } from "../../log-store.ts";
import type { NormalisedEntry } from "../../normalised-entry.ts";
import { isoOfMicros } from "../../time.ts";
import { decodeAttributes, encodeAttribute } from "./attributes.ts";
import { verbatim } from "./statement.ts";

/** A row of the table as the server prints it. */
export type LogRow = RowOf<Readonly<Record<string, string>>>;

/** The columns of a `LogRow`. */
export const logColumns = verbatim(`project_number, toUnixTimestamp64Micro(ts) as micros, id, level,
  service, environment, trace_id, span_id, message, attributes`);

/** Roughly what an answer shows of a row: the message stands in it twice, and JSON escapes may make it longer. */
export function answerBytes({ message, attributes }: LogRow): number {
  let bytes = 2 * message.length;
  for (const key in attributes) bytes += key.length + (attributes[key] as string).length;
  return bytes;
}

/** A row as a line of JSON, as the server takes it. */
export function rowLine(projectNumber: number, id: number, entry: NormalisedEntry, patternId: number | null): string {
  const { timestampMicros, level, service, environment, traceId, spanId, message } = entry;
  let attributes = "";
  for (const key of Object.keys(entry.attributes)) {
    const value = encodeAttribute(entry.attributes[key] as NormalisedEntry["attributes"][string]);
    attributes += `${attributes === "" ? "" : ","}${JSON.stringify(key)}:${JSON.stringify(value)}`;
  }
  return (
    `{"project_number":${projectNumber},"ts":"${timeText(timestampMicros)}","id":${id},"level":${level},` +
    `"service":${JSON.stringify(service)},"environment":${JSON.stringify(environment)},` +
    `"trace_id":${JSON.stringify(traceId)},"span_id":${JSON.stringify(spanId)},` +
    `"message":${JSON.stringify(message)},"attributes":{${attributes}},"pattern_id":${patternId}}\n`
  );
}

export function toLog(row: LogRow): StoredLog {
  return storedLog(row, decodeAttributes(row.attributes));
}

/** `2026-11-22 10:45:00.123456`, which every setting of the server reads. */
function timeText(micros: number): string {
  return isoOfMicros(micros).replace("T", " ").slice(0, -1);
}
