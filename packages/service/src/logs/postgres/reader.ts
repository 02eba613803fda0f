import { levels } from "@sazabi/sdk/protocol";
import type { Database } from "../../store/database.ts";
import { join, raw, type Sql, sql } from "../../store/sql.ts";
import type { LogPosition, LogScope, LogSearch, StoredLog } from "../store.ts";
import { isoOfMicros } from "../time.ts";
import { compileQuery } from "./compile.ts";

export interface LogRow {
  project_number: number;
  micros: string;
  id: string;
  level: number;
  service: string;
  environment: string | null;
  trace_id: string | null;
  span_id: string | null;
  message: string;
  attributes: StoredLog["attributes"];
}

/** The columns of a `LogRow`, and `ts` to sort by. */
export const logColumns =
  raw(`project_number, ts, (extract(epoch from ts) * 1000000)::bigint::text as micros, id, level,
  service, environment, trace_id, span_id, message, attributes`);

/** Each project is read along its own index, and the streams are merged: the cost follows the limit, not the window. */
export async function searchLogs(db: Database, search: LogSearch): Promise<readonly StoredLog[]> {
  const order = raw(search.direction);
  const limit = search.limit + 1;
  const statement = sql`
    select l.*
    from unnest(${search.projectNumbers}::int[]) as p(number)
    cross join lateral (
      select ${logColumns}
      from logs
      where project_number = p.number and ${withinWindow(search)} and (${compileQuery(search.query)})
      order by ts ${order}, id ${order}
      limit ${limit}
    ) l
    order by l.ts ${order}, l.project_number ${order}, l.id ${order}
    limit ${limit}`;
  const { rows } = await db.query<LogRow>(statement, search);
  return rows.map(toLog);
}

/** The window, cut at the cursor, so that the index begins where the last page ended. */
function withinWindow({ fromMicros, toMicros, after, direction }: LogSearch): Sql {
  const descending = direction === "desc";
  const from = after && !descending ? Math.max(fromMicros, after.micros) : fromMicros;
  const to = after && descending ? Math.min(toMicros, after.micros + 1) : toMicros;
  const window = within({ fromMicros: from, toMicros: to });
  return after ? join([window, beyond(after, descending)], " and ") : window;
}

export function within({ fromMicros, toMicros }: Pick<LogScope, "fromMicros" | "toMicros">): Sql {
  return sql`ts >= ${isoOfMicros(fromMicros)}::timestamptz and ts < ${isoOfMicros(toMicros)}::timestamptz`;
}

function beyond({ micros, projectNumber, id }: LogPosition, descending: boolean): Sql {
  const comparison = raw(descending ? "<" : ">");
  return sql`(ts, project_number, id) ${comparison} (${isoOfMicros(micros)}::timestamptz, ${projectNumber}::int, ${id}::bigint)`;
}

export function toLog(row: LogRow): StoredLog {
  return {
    position: { micros: Number(row.micros), projectNumber: row.project_number, id: row.id },
    level: levels[row.level] ?? "info",
    service: row.service,
    environment: row.environment,
    traceId: row.trace_id,
    spanId: row.span_id,
    message: row.message,
    attributes: row.attributes,
  };
}
