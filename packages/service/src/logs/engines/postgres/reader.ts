import { join, raw, type Sql, sql } from "../../../db/sql.ts";
import { keptWindow } from "../../kept-window.ts";
import { type LogRow as RowOf, storedLog } from "../../log-row.ts";
import type { LogScope, StoredLog } from "../../log-store.ts";
import { isoOfMicros } from "../../time.ts";

export type LogRow = RowOf<StoredLog["attributes"]>;

/** The columns of a `LogRow`, and `ts` to sort by. */
export const logColumns =
  raw(`project_number, ts, (extract(epoch from ts) * 1000000)::bigint::text as micros, id, level,
  service, environment, trace_id, span_id, message, attributes`);

/** Roughly what an answer shows of a row: the message stands in it twice, and JSON escapes may make it longer. */
export const answerBytes = raw("(2 * octet_length(message) + octet_length(attributes::text))");

/** The window, without what is past the retention of its project. */
export function within(scope: Pick<LogScope, "projectNumbers" | "fromMicros" | "toMicros" | "keptFrom">): Sql {
  const { fromMicros, later } = keptWindow(scope);
  const conditions = [
    sql`ts >= ${isoOfMicros(fromMicros)}::timestamptz`,
    sql`ts < ${isoOfMicros(scope.toMicros)}::timestamptz`,
  ];
  for (const start of later) {
    const from = isoOfMicros(start.fromMicros);
    conditions.push(sql`(project_number <> ${start.projectNumber} or ts >= ${from}::timestamptz)`);
  }
  return join(conditions, " and ");
}

export function toLog(row: LogRow): StoredLog {
  return storedLog(row, row.attributes);
}
