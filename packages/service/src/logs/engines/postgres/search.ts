import type { QueryNode } from "@sazabi/sdk/protocol";
import type { Database } from "../../../db/database.ts";
import { join, raw, type Sql, sql } from "../../../db/sql.ts";
import { type FoundLogs, type LogPosition, type LogSearch, maxAnswerBytes, type StoredLog } from "../../log-store.ts";
import { queryTimeout } from "../../query-timeout.ts";
import { isoOfMicros } from "../../time.ts";
import { searchSlices, type TimeRange } from "./adaptive-time-slices.ts";
import { compileQuery } from "./compile.ts";
import type { Sealed } from "./partition-index-builder.ts";
import { answerBytes, type LogRow, logColumns, toLog, within } from "./reader.ts";
import { mightContain, placesOf } from "./skip-index.ts";

/**
 * The entries that the query holds for, nearest to the start of the order first.
 *
 * What every entry may match is read along the time index, and the cost follows the limit. A query that may match few
 * is read in parts (`partsOf`): the nearest rows along the time index, in case it matches many; then more and more of
 * the window at once, each part by whatever finds it fastest.
 */
export async function searchLogs(
  db: Database,
  search: LogSearch,
  { sealed, timeoutMs }: { readonly sealed: Sealed; readonly timeoutMs: number },
): Promise<FoundLogs> {
  const { limit, maxBytes = maxAnswerBytes } = search;
  const range = rangeOf(search);
  const nearest = mayMatchFew(search.query) ? await findNearest(db, search, range) : undefined;
  const wanted = limit + 1;
  if (!nearest) {
    const { logs, bytes } = await readAlong(db, search, { ...range, limit: wanted, maxBytes });
    return { logs: logs.slice(0, limit), more: logs.length === wanted || bytes >= maxBytes };
  }
  const deadline = performance.now() + timeoutMs;
  const found: StoredLog[] = [];
  let foundBytes = 0;
  const parts = searchSlices(range, {
    nearest,
    nearestRows,
    direction: search.direction,
    sealedBeforeMicros: sealed.beforeMicros,
    progress: () => ({ found: found.length, wanted: wanted - found.length }),
  });
  for (const part of parts) {
    if (performance.now() > deadline) throw queryTimeout();
    const reading = { ...part, limit: wanted - found.length, maxBytes: maxBytes - foundBytes };
    const read = part.along ? readAlong(db, search, reading) : readAtOnce(db, search, reading, sealed);
    const { logs, bytes } = await read;
    found.push(...logs);
    foundBytes += bytes;
    if (found.length === wanted || foundBytes >= maxBytes) break;
  }
  return { logs: found.slice(0, limit), more: found.length === wanted || foundBytes >= maxBytes };
}

/** Whether what matches may be far apart: only then is it worth more than one statement. */
function mayMatchFew(query: QueryNode): boolean {
  switch (query.kind) {
    case "everything":
    case "level":
      return false;
    case "and":
      return query.nodes.some(mayMatchFew);
    default:
      return true;
  }
}

/** So many rows of each project are read along the time index first: about a millisecond. */
const nearestRows = 1_000;

/** From the first row of the order to where the nearest rows of a project end. Undefined when no project has more. */
async function findNearest(db: Database, search: LogSearch, range: TimeRange): Promise<TimeRange | undefined> {
  const order = raw(search.direction);
  const row = (offset: number) => sql`(
    select ts from logs where project_number = p.number and ${withinPart(search, range)}
    order by ts ${order}, id ${order} offset ${offset} limit 1)`;
  const nearestOf = raw(search.direction === "desc" ? "max" : "min");
  const { rows } = await db.query<{ first: string | null; edge: string | null }>(
    sql`
    select ${microsOf(sql`${nearestOf}(first)`)} as first, ${microsOf(sql`${nearestOf}(edge)`)} as edge
    from (select ${row(0)} as first, ${row(nearestRows)} as edge
          from unnest(${search.projectNumbers}::int[]) as p(number)) ends`,
    search,
  );
  if (!rows[0]?.edge) return undefined;
  const [from, to] = [Number(rows[0].first), Number(rows[0].edge)].sort((a, b) => a - b) as [number, number];
  return { fromMicros: from, toMicros: to + 1 };
}

/** So many of a range, in the order of the search. */
interface Reading extends TimeRange {
  readonly limit: number;
  /** The first entry may be larger. */
  readonly maxBytes: number;
}

interface Read {
  readonly logs: readonly StoredLog[];
  /** At least `maxBytes` when there may be more entries than fit. */
  readonly bytes: number;
}

/** The rows of `found`, as far as they fit. Texts beyond that are not read from where the table keeps long ones. */
async function readWithin(db: Database, found: Sql, search: LogSearch, { limit, maxBytes }: Reading): Promise<Read> {
  const order = raw(search.direction);
  const { rows } = await db.query<LogRow & { bytes: string }>(
    sql`
    select * from (
      select f.*, ${answerBytes} as own_bytes, sum(${answerBytes}) over (
               order by ts ${order}, project_number ${order}, id ${order} rows unbounded preceding
             )::bigint as bytes
      from (${found}) f
    ) counted
    where bytes - own_bytes < ${maxBytes}::bigint
    order by ts ${order}, project_number ${order}, id ${order}
    limit ${limit}`,
    search,
  );
  return { logs: rows.map(toLog), bytes: Number(rows.at(-1)?.bytes ?? 0) };
}

/** Each project is read along its own index, and the streams are merged: the cost follows the limit, not the range. */
function readAlong(db: Database, search: LogSearch, reading: Reading): Promise<Read> {
  const order = raw(search.direction);
  const { limit } = reading;
  const found = sql`
    select l.*
    from unnest(${search.projectNumbers}::int[]) as p(number)
    cross join lateral (
      select ${logColumns} from logs
      where project_number = p.number and ${withinPart(search, reading)} and (${compileQuery(search.query, "scan")})
      order by ts ${order}, id ${order}
      limit ${limit}
    ) l
    order by l.ts ${order}, l.project_number ${order}, l.id ${order}
    limit ${limit}`;
  return readWithin(db, found, search, reading);
}

/**
 * All that match are found, then put in order: so the planner looks for what finds them, not for the first of them.
 * Words that no index finds are looked for where they can be by the maps of words, and in entries without a message,
 * which the maps do not know and an index finds.
 */
function readAtOnce(db: Database, search: LogSearch, reading: Reading, sealed: Sealed): Promise<Read> {
  const order = raw(search.direction);
  const isIndexed = sealed.words && reading.toMicros <= sealed.beforeMicros;
  const condition = isIndexed ? undefined : mightContain(search.query);
  const matching = sql`${withinPart(search, reading)} and (${compileQuery(search.query, isIndexed ? "index" : "scan")})`;
  const all = (rows: Sql) =>
    sql`select ${logColumns} from logs where project_number = any(${search.projectNumbers}::int[]) and ${rows}`;
  const from = condition
    ? sql`(
        select l.* from (${placesOf(search.projectNumbers, reading, condition)}) place
        cross join lateral (
          select ${logColumns} from logs
          where project_number = place.number and ts >= place.from_ts and ts <= place.to_ts
            and id >= place.first_id and id <= place.last_id and message <> '' and ${matching}
          offset 0
        ) l
        union all
        ${all(sql`message = '' and ${matching}`)}
      ) l`
    : sql`(${all(matching)}) l`;
  const found = sql`
    select l.* from ${from}
    order by ts + interval '0' ${order}, project_number ${order}, id ${order}
    limit ${reading.limit}`;
  return readWithin(db, found, search, reading);
}

/** The window, cut at the cursor, so that the index begins where the last page ended. */
function rangeOf({ fromMicros, toMicros, after, direction }: LogSearch): TimeRange {
  if (!after) return { fromMicros, toMicros };
  return direction === "desc"
    ? { fromMicros, toMicros: Math.min(toMicros, after.micros + 1) }
    : { fromMicros: Math.max(fromMicros, after.micros), toMicros };
}

function withinPart({ after, direction, ...scope }: LogSearch, { fromMicros, toMicros }: TimeRange): Sql {
  const window = within({ ...scope, fromMicros, toMicros });
  return after ? join([window, beyond(after, direction === "desc")], " and ") : window;
}

function beyond({ micros, projectNumber, id }: LogPosition, descending: boolean): Sql {
  const comparison = raw(descending ? "<" : ">");
  return sql`(ts, project_number, id) ${comparison} (${isoOfMicros(micros)}::timestamptz, ${projectNumber}::int, ${id}::bigint)`;
}

function microsOf(time: Sql): Sql {
  return sql`(extract(epoch from ${time}) * 1000000)::bigint::text`;
}
