import type { Database } from "../../../db/database.ts";
import { keptWindow } from "../../kept-window.ts";
import {
  type FoundLogs,
  type LogPosition,
  type LogScope,
  type LogSearch,
  maxAnswerBytes,
  type StoredLog,
} from "../../log-store.ts";
import { isVisible, readVisible } from "./commit-visibility.ts";
import { compileQuery } from "./compile.ts";
import type { ClickHouse } from "./connection.ts";
import { answerBytes, type LogRow, logColumns, toLog } from "./rows.ts";
import { ch, int64, joined, type Statement, verbatim } from "./statement.ts";

/** What every query needs: the rows in ClickHouse, and PostgreSQL, which knows which of them are committed. */
export interface Reading {
  readonly server: ClickHouse;
  readonly db: Database;
  readonly timeoutMs: number;
}

export async function searchLogs(reading: Reading, search: LogSearch): Promise<FoundLogs> {
  const { after, direction, projectNumbers, limit, maxBytes = maxAnswerBytes } = search;
  const condition = await entriesOf(reading, search);
  if (!condition) return { logs: [], more: false };
  // Of one project, the order of the table, which is read only as far as the limit.
  const columns = projectNumbers.length === 1 ? ["project_number", "ts", "id"] : ["ts", "project_number", "id"];
  const order = verbatim(columns.map((column) => `${column} ${direction}`).join(", "));
  const logs: StoredLog[] = [];
  let bytes = 0;
  let more = false;
  await reading.server.takeRows<LogRow>(
    ch`
      select ${logColumns} from logs
      where ${condition}${after ? ch` and ${beyond(after, direction)}` : ch``}
      order by ${order}
      limit ${int64(limit + 1)}`,
    { timeoutMs: reading.timeoutMs, signal: search.signal },
    (row) => {
      more = logs.length === limit || bytes >= maxBytes;
      if (more) return false;
      logs.push(toLog(row));
      bytes += answerBytes(row);
      return true;
    },
  );
  return { logs, more };
}

/** The condition on rows that are in the scope and committed; undefined when there can be none. */
export async function entriesOf({ db }: Reading, scope: LogScope): Promise<Statement | undefined> {
  scope.signal?.throwIfAborted();
  const visible = await readVisible(db, scope.projectNumbers);
  if (visible.size === 0 || scope.fromMicros >= scope.toMicros) return undefined;
  return ch`${isVisible(visible)} and ${within(scope)} and (${compileQuery(scope.query)})`;
}

/** The window, without what is past the retention of its project. */
function within(scope: LogScope): Statement {
  const { fromMicros, later } = keptWindow(scope);
  const conditions = [ch`ts >= ${timestampLiteral(fromMicros)}`, ch`ts < ${timestampLiteral(scope.toMicros)}`];
  for (const start of later) {
    const from = timestampLiteral(start.fromMicros);
    conditions.push(ch`(project_number != ${int64(start.projectNumber)} or ts >= ${from})`);
  }
  return joined(conditions, " and ");
}

/** Exactly, and of the column's type. */
export function timestampLiteral(micros: number): Statement {
  return ch`fromUnixTimestamp64Micro(${int64(micros)}, 'UTC')`;
}

function beyond({ micros, projectNumber, id }: LogPosition, direction: "asc" | "desc"): Statement {
  const descending = direction === "desc";
  const edge = ch`ts ${verbatim(descending ? "<=" : ">=")} ${timestampLiteral(micros)}`;
  const tuple = ch`(${timestampLiteral(micros)}, ${int64(projectNumber)}, ${int64(id)})`;
  return ch`${edge} and (ts, project_number, id) ${verbatim(descending ? "<" : ">")} ${tuple}`;
}
