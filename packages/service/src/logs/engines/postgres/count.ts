import { type ConditionField, levels, type QueryNode } from "@sazabi/sdk/protocol";
import type { Database } from "../../../db/database.ts";
import { join, raw, type Sql, sql } from "../../../db/sql.ts";
import { maxCounts as defaultMaxCounts, tooManyCounts } from "../../count-limit.ts";
import {
  type FacetRequest,
  type FacetValue,
  type LogScope,
  maxAnswerBytes,
  type VolumeCount,
  type VolumeRequest,
} from "../../log-store.ts";
import { compileQuery } from "./compile.ts";
import { within } from "./reader.ts";

const minuteMicros = 60_000_000;

/** Exact below 2^53. A sum of bigints is a numeric, which takes longer. */
const total = sql`sum(entries::float8)::bigint`;

/** By the counts per minute where they can tell, and by the rows for what lies between: exactly the entries of the window. */
export async function countVolume(db: Database, request: VolumeRequest): Promise<readonly VolumeCount[]> {
  const { bucketMicros, groupBy, largestGroups, maxCounts = defaultMaxCounts } = request;
  const wholeMinutes = bucketMicros % minuteMicros === 0 && (groupBy === undefined || isCounted(groupBy));
  const bucket = sql`date_bin(${bucketMicros}::bigint * interval '1 microsecond', ts, 'epoch'::timestamptz)`;
  const named = { name: rawOf(groupBy), bucket };
  // A minute that was counted is its own bucket: to compute that for each of them takes a tenth of the time.
  const ofMinutes = bucketMicros === minuteMicros ? { ...named, bucket: sql`ts` } : named;
  const all = counts(request, wholeMinutes, named, ofMinutes);
  const order = groupBy === "level" ? sql`` : sql`collate "C"`;
  const found = await readCounts(
    db,
    request,
    sql`select name, bucket, entries from (${all}) c order by bucket, name ${order} nulls first limit ${maxCounts + 1}`,
  );
  if (found.length <= maxCounts) return found;
  // There are six levels: only services and environments, which are texts, can be so many.
  if (largestGroups === undefined || groupBy === "level") throw tooManyCounts();
  const largest = await readCounts(db, request, largestOf(all, largestGroups), sql`, json_agg(other_groups) as others`);
  if (largest.length > maxCounts) throw tooManyCounts();
  return largest;
}

/** The counts of the largest groups, and of all others as one. */
function largestOf(all: Sql, groups: number): Sql {
  return sql`
    with counted as materialized (select coalesce(name, '') as name, bucket, entries from (${all}) c),
    ranked as (
      select name, row_number() over (order by sum(entries) desc, name collate "C") as place
      from counted group by name
    ), others as (select count(*)::int as groups from ranked where place > ${groups})
    select * from (
      select case when place <= ${groups} then nullif(name, '') end as name,
             case when place > ${groups} then others.groups end as other_groups,
             bucket, ${total} as entries
      from counted join ranked using (name) cross join others
      group by 1, 2, 3
    ) shown
    order by bucket, other_groups nulls first, name collate "C" nulls first`;
}

/** What a statement counts, whose columns are `name`, `bucket` and `entries`, in its order. */
async function readCounts(
  db: Database,
  request: VolumeRequest,
  statement: Sql,
  others = sql``,
): Promise<readonly VolumeCount[]> {
  const { bucketMicros } = request;
  // Buckets begin at multiples of their length, and their numbers are shorter than times. Seconds as a double, which are
  // rounded to the number that they are off by less than a millionth, take a quarter of the time of a numeric.
  const bucketNumber = sql`(date_part('epoch', bucket) * 1000000 / ${bucketMicros}::bigint)::bigint`;
  // As columns: thousands of rows of three short values cost more on the way than to count.
  const { rows } = await db.query<{
    names: readonly (string | number | null)[] | null;
    others?: readonly (number | null)[] | null;
    buckets: readonly number[];
    entries: readonly number[];
  }>(
    sql`
      select json_agg(name) as names, json_agg(bucket_number) as buckets, json_agg(entries) as entries ${others}
      from (select c.*, ${bucketNumber} as bucket_number from (${statement}) c) ordered`,
    request,
  );
  const { names, others: otherGroups, buckets, entries } = rows[0] as (typeof rows)[number];
  if (!names) return [];
  return names.map((name, index) => ({
    group: typeof name === "number" ? levelName(name) : name,
    ...(otherGroups?.[index] && { otherGroups: otherGroups[index] as number }),
    startMicros: (buckets[index] as number) * bucketMicros,
    entries: entries[index] as number,
  }));
}

export async function countValues(db: Database, request: FacetRequest): Promise<readonly FacetValue[]> {
  const { field, limit } = request;
  const column = field === "level" ? field : "column" in field ? field.column : undefined;
  const collation = field === "level" ? sql`` : sql`collate "C"`;
  const { rows } = await db.query<{ value: string; entries: string }>(
    sql`
      select value, entries::text from (
        select value, entries, place, sum(octet_length(value)) over (order by place rows unbounded preceding) as bytes
        from (
          select value::text, entries, row_number() over (order by entries desc, value ${collation}) as place
          from (${counts(request, isCounted(column), { value: rawOf(field) })}) c
          where value is not null
          order by place
          limit ${limit}
        ) most
      ) counted
      where bytes - octet_length(value) < ${maxAnswerBytes}
      order by place`,
    request,
  );
  return rows.map(({ value, entries }) => ({
    value: field === "level" ? (levelName(Number(value)) as string) : value,
    entries: Number(entries),
  }));
}

/**
 * For each of what these expressions make of the entries: their values, and `entries`, which says how many there are.
 * `ofMinutes` are the same for the counts per minute.
 */
function counts(
  scope: LogScope,
  mayUseMinutes: boolean,
  expressions: Readonly<Record<string, Sql>>,
  ofMinutes = expressions,
): Sql {
  const names = Object.keys(expressions);
  const selected = (from: typeof expressions) =>
    join(
      names.map((name) => sql`${from[name] as Sql} as ${raw(name)}`),
      ", ",
    );
  const places = raw(names.map((_, index) => index + 1).join(", "));
  const condition = compileQuery(scope.query);
  const { projectNumbers } = scope;
  // Compared with each row: one number takes less than a list of one.
  const ofProjects =
    projectNumbers.length === 1
      ? sql`project_number = ${projectNumbers[0]}::int`
      : sql`project_number = any(${projectNumbers}::int[])`;
  const scan = (window: Sql) => sql`
    select ${selected(expressions)}, count(*) as entries from logs
    where ${ofProjects} and ${window} and (${condition}) group by ${places}`;
  const fromMinute = Math.ceil(scope.fromMicros / minuteMicros) * minuteMicros;
  const toMinute = Math.floor(scope.toMicros / minuteMicros) * minuteMicros;
  if (!mayUseMinutes || fromMinute >= toMinute || !isAnsweredByMinutes(scope.query)) return scan(within(scope));
  const whole = sql`
    select ${selected(ofMinutes)}, ${total} as entries
    from (select project_number, minute as ts, level, service, nullif(environment, '') as environment, entries
          from log_volume_complete) v
    where ${ofProjects} and ${within({ ...scope, fromMicros: fromMinute, toMicros: toMinute })} and (${condition})
    group by ${places}`;
  const edges: Sql[] = [];
  if (scope.fromMicros < fromMinute) edges.push(scan(within({ ...scope, toMicros: fromMinute })));
  if (toMinute < scope.toMicros) edges.push(scan(within({ ...scope, fromMicros: toMinute })));
  if (edges.length === 0) return whole;
  const parts = join([whole, ...edges], " union all ");
  return sql`select ${raw(names.join(", "))}, ${total} as entries from (${parts}) p group by ${places}`;
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

/** The value of a field as text, or null; a level as its rank, which is grouped faster. */
function rawOf(field: ConditionField | VolumeRequest["groupBy"]): Sql {
  if (field === undefined) return sql`null::text`;
  if (field === "level") return sql`level`;
  if (typeof field === "object" && "attribute" in field) return sql`(attributes ->> ${field.attribute}::text)`;
  return sql`nullif(${raw(typeof field === "string" ? field : field.column)}, '')`;
}

function levelName(rank: number): string | null {
  return levels[rank] ?? null;
}
