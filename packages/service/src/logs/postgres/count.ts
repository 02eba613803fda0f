import { type ConditionField, levels, type QueryNode } from "@sazabi/sdk/protocol";
import type { Database } from "../../store/database.ts";
import { join, raw, type Sql, sql } from "../../store/sql.ts";
import { maxCounts, tooManyCounts } from "../counts.ts";
import type { FacetRequest, FacetValue, LogScope, VolumeCount, VolumeRequest } from "../store.ts";
import { compileQuery } from "./compile.ts";
import { within } from "./reader.ts";

const minuteMicros = 60_000_000;

/** By the counts per minute where they can tell, and by the rows for what lies between: exactly the entries of the window. */
export async function countVolume(db: Database, request: VolumeRequest): Promise<readonly VolumeCount[]> {
  const { bucketMicros, groupBy } = request;
  const wholeMinutes = bucketMicros % minuteMicros === 0 && (groupBy === undefined || isCounted(groupBy));
  const name = textOf(groupBy);
  const bucket = sql`date_bin(${bucketMicros}::bigint * interval '1 microsecond', ts, 'epoch'::timestamptz)`;
  const { rows } = await db.query<{ name: string | null; start: string; entries: string }>(
    sql`
      select name, (extract(epoch from bucket) * 1000000)::bigint::text as start, sum(entries)::text as entries
      from (${counts(request, wholeMinutes, [sql`${name} as name`, sql`${bucket} as bucket`])}) c
      group by name, bucket
      order by bucket, name collate "C" nulls first
      limit ${maxCounts + 1}`,
    request,
  );
  if (rows.length > maxCounts) throw tooManyCounts();
  return rows.map(({ name: group, start, entries }) => ({
    group: groupBy === "level" ? levelName(group) : group,
    startMicros: Number(start),
    entries: Number(entries),
  }));
}

export async function countValues(db: Database, request: FacetRequest): Promise<readonly FacetValue[]> {
  const { field, limit } = request;
  const column = field === "level" ? field : "column" in field ? field.column : undefined;
  const { rows } = await db.query<{ value: string; entries: string }>(
    sql`
      select value, sum(entries)::text as entries
      from (${counts(request, isCounted(column), [sql`${textOf(field)} as value`])}) c
      where value is not null
      group by value
      order by sum(entries) desc, value collate "C"
      limit ${limit}`,
    request,
  );
  return rows.map(({ value, entries }) => ({
    value: field === "level" ? (levelName(value) as string) : value,
    entries: Number(entries),
  }));
}

/** Rows of these expressions and of `entries`, which says for how many entries each stands. */
function counts(scope: LogScope, mayUseMinutes: boolean, expressions: readonly Sql[]): Sql {
  const selected = join(expressions, ", ");
  const places = join(
    expressions.map((_, index) => raw(String(index + 1))),
    ", ",
  );
  const condition = compileQuery(scope.query);
  const ofProjects = sql`project_number = any(${scope.projectNumbers}::int[])`;
  const scan = (window: Sql) => sql`
    select ${selected}, count(*) as entries from logs
    where ${ofProjects} and ${window} and (${condition}) group by ${places}`;
  const fromMinute = Math.ceil(scope.fromMicros / minuteMicros) * minuteMicros;
  const toMinute = Math.floor(scope.toMicros / minuteMicros) * minuteMicros;
  if (!mayUseMinutes || fromMinute >= toMinute || !isAnsweredByMinutes(scope.query)) return scan(within(scope));
  const parts = [
    sql`
      select ${selected}, sum(entries) as entries
      from (select project_number, minute as ts, level, service, nullif(environment, '') as environment, entries
            from log_volume) v
      where ${ofProjects} and ${within({ ...scope, fromMicros: fromMinute, toMicros: toMinute })} and (${condition})
      group by ${places}`,
  ];
  if (scope.fromMicros < fromMinute) parts.push(scan(within({ ...scope, toMicros: fromMinute })));
  if (toMinute < scope.toMicros) parts.push(scan(within({ ...scope, fromMicros: toMinute })));
  return join(parts, " union all ");
}

/** Whether the query asks only for what entries are counted by. */
function isAnsweredByMinutes(query: QueryNode): boolean {
  switch (query.kind) {
    case "everything":
    case "level":
      return true;
    case "and":
    case "or":
      return query.nodes.every(isAnsweredByMinutes);
    case "not":
      return isAnsweredByMinutes(query.node);
    case "field":
      return "column" in query.field && isCounted(query.field.column);
    default:
      return false;
  }
}

function isCounted(column: string | undefined): boolean {
  return column === "level" || column === "service" || column === "environment";
}

/** The value of a field as text, or null. */
function textOf(field: ConditionField | VolumeRequest["groupBy"]): Sql {
  if (field === undefined) return sql`null::text`;
  if (field === "level") return sql`level::text`;
  if (typeof field === "object" && "attribute" in field) return sql`(attributes ->> ${field.attribute}::text)`;
  return sql`nullif(${raw(typeof field === "string" ? field : field.column)}, '')`;
}

function levelName(rank: string | null): string | null {
  return rank === null ? null : (levels[Number(rank)] ?? null);
}
