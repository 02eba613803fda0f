import { sql } from "../../../db/sql.ts";
import type { CommitTimeRange } from "../../commit-log/commit-time-ranges.ts";
import type { Followed, FollowRequest, StoredLog } from "../../log-store.ts";
import {
  type FindRequest,
  followProjects,
  type ProjectFollowed,
  type ProjectRequest,
  readCommits,
} from "../postgres/follow.ts";
import { isOutside, readVisible } from "./commit-visibility.ts";
import { compileQuery } from "./compile.ts";
import { type Reading, timestampLiteral } from "./reader.ts";
import { type LogRow, logColumns, toLog } from "./rows.ts";
import { ch, int64, joined, type Statement } from "./statement.ts";

/** Ids say where in time their entries lie (`log_commits`), and there they are read in the order of the table. */
export function followLogs(reading: Reading, request: FollowRequest): Promise<Followed> {
  return followProjects(request, (project) => followProject(reading, project));
}

/** The entry of this id in each of the projects that has one. */
export async function findLogs(
  reading: Reading,
  { projectNumbers, id, signal }: FindRequest,
): Promise<readonly StoredLog[]> {
  const { rows: held } = await reading.db.query<{ project_number: number; min: string; max: string }>(sql`
    select c.project_number, (extract(epoch from c.min_ts) * 1000000)::bigint::text as min,
           (extract(epoch from c.max_ts) * 1000000)::bigint::text as max
    from unnest(${projectNumbers}::int[]) as p(number)
    cross join lateral (
      select last_id from log_commits
      where project_number = p.number and last_id >= ${id}::bigint
      order by last_id limit 1
    ) held
    join log_commits c on c.project_number = p.number and c.last_id = held.last_id and c.first_id <= ${id}::bigint`);
  if (held.length === 0) return [];
  const places = held.map(
    ({ project_number, min, max }) =>
      ch`(project_number = ${int64(project_number)} and ${inStretch([Number(min), Number(max)])})`,
  );
  const rows = await reading.server.rows<LogRow>(
    ch`select ${logColumns} from logs where id = ${int64(id)} and (${joined(places, " or ")}) order by project_number`,
    { timeoutMs: reading.timeoutMs, signal },
  );
  return rows.map(toLog);
}

async function followProject(reading: Reading, request: ProjectRequest): Promise<ProjectFollowed> {
  const commits = await readCommits(reading.db, request);
  if (!commits) return { logs: [], after: request.from, more: false };
  // Read after the commits: whatever is a hole by then was one at the time of these.
  const holes = (await readVisible(reading.db, [request.number])).get(request.number)?.holes ?? [];
  const { number, from, limit, query, maxBytes, signal } = request;
  const conditions = [
    ch`project_number = ${int64(number)}`,
    ch`id > ${int64(from)}`,
    ch`id <= ${int64(commits.lastId)}`,
    ch`(${joined(commits.stretches.map(inStretch), " or ")})`,
    ch`(${compileQuery(query)})`,
    ...holes.filter(([first]) => first <= commits.lastId).map(isOutside),
  ];
  const taken: LogRow[] = [];
  let more = false;
  await reading.server.takeRows<LogRow & { bytes_before: string | null }>(
    ch`
      select *, sum(length(message) + arraySum(arrayMap(value -> length(value), mapValues(attributes)))) over (
        order by id rows between unbounded preceding and 1 preceding) as bytes_before
      from (
        select ${logColumns} from logs where ${joined(conditions, " and ")} order by id limit ${int64(limit + 1)}
      )
      order by id`,
    { timeoutMs: reading.timeoutMs, signal },
    (row) => {
      more = taken.length === limit || Number(row.bytes_before) >= maxBytes;
      if (!more) taken.push(row);
      return !more;
    },
  );
  const logs = taken.map(toLog);
  if (!more) return { logs, after: commits.lastId, more: commits.more };
  return { logs, after: BigInt((taken.at(-1) as LogRow).id), more: true };
}

function inStretch([fromMicros, toMicros]: CommitTimeRange): Statement {
  return ch`(ts >= ${timestampLiteral(fromMicros)} and ts <= ${timestampLiteral(toMicros)})`;
}
