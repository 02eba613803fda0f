import type { QueryNode } from "@sazabi/sdk/protocol";
import type { Database } from "../../../db/database.ts";
import { sql } from "../../../db/sql.ts";
import { type CommitTimeRange, mergeCommitTimeRanges } from "../../commit-log/commit-time-ranges.ts";
import type { Followed, FollowRequest, StoredLog } from "../../log-store.ts";
import { isoOfMicros } from "../../time.ts";
import { compileQuery } from "./compile.ts";
import { type LogRow, logColumns, toLog } from "./reader.ts";

/** Ids that one statement looks at, unless a single commit holds more. */
const idsAtOnce = 5_000;
const stretchesAtOnce = 1_000;
/** What a bigint holds. */
export const maxId = 9_223_372_036_854_775_807n;
const defaultMaxBytes = 4 * 1024 * 1024;

export async function readHeads(db: Database, projectNumbers: readonly number[]): Promise<ReadonlyMap<number, bigint>> {
  const { rows } = await db.query<{ project_number: number; last_id: string }>(sql`
    select project_number, last_id from log_heads where project_number = any(${projectNumbers}::int[])`);
  const heads = new Map(rows.map((row) => [row.project_number, BigInt(row.last_id)]));
  return new Map(projectNumbers.map((number) => [number, heads.get(number) ?? 0n]));
}

/** Ids say where in time their entries lie (`log_commits`), and there they are read along the time index. */
export function followLogs(db: Database, request: FollowRequest): Promise<Followed> {
  return followProjects(request, (project) => followProject(db, project));
}

/** One project after the other, up to the limit. */
export async function followProjects(
  request: FollowRequest,
  followOne: (project: ProjectRequest) => Promise<ProjectFollowed>,
): Promise<Followed> {
  const after = new Map(request.after);
  const logs: StoredLog[] = [];
  let more = false;
  for (const number of request.projectNumbers) {
    if (logs.length >= request.limit) {
      more = true;
      break;
    }
    const from = after.get(number) ?? 0n;
    const limit = request.limit - logs.length;
    const { query, maxBytes = defaultMaxBytes, signal } = request;
    const found = await followOne({ number, from, limit, query, maxBytes, signal });
    logs.push(...found.logs);
    after.set(number, found.after);
    more ||= found.more;
  }
  return { logs, after, more };
}

export interface FindRequest {
  readonly projectNumbers: readonly number[];
  readonly id: bigint;
  readonly signal?: AbortSignal | undefined;
}

/** The entry of this id in each of the projects that has one. */
export async function findLogs(
  db: Database,
  { projectNumbers, id, signal }: FindRequest,
): Promise<readonly StoredLog[]> {
  const { rows } = await db.query<LogRow>(
    sql`
    select l.*
    from unnest(${projectNumbers}::int[]) as p(number)
    cross join lateral (
      select last_id, first_id from log_commits
      where project_number = p.number and last_id >= ${id}::bigint
      order by last_id limit 1
    ) held
    join log_commits c on c.project_number = p.number and c.last_id = held.last_id and held.first_id <= ${id}::bigint
    cross join lateral (
      select ${logColumns} from logs
      where project_number = p.number and ts >= c.min_ts and ts <= c.max_ts and id = ${id}::bigint
    ) l`,
    { signal },
  );
  return rows.map(toLog);
}

export interface ProjectRequest {
  readonly number: number;
  readonly from: bigint;
  readonly limit: number;
  readonly query: QueryNode;
  readonly maxBytes: number;
  readonly signal: AbortSignal | undefined;
}

export interface ProjectFollowed {
  readonly logs: readonly StoredLog[];
  readonly after: bigint;
  readonly more: boolean;
}

async function followProject(db: Database, request: ProjectRequest): Promise<ProjectFollowed> {
  const commits = await readCommits(db, request);
  if (!commits) return { logs: [], after: request.from, more: false };
  const { rows, total } = await readRows(db, request, commits);
  const logs = rows.map(toLog);
  if (rows.length === total) return { logs, after: commits.lastId, more: commits.more };
  return { logs, after: BigInt((rows.at(-1) as LogRow).id), more: true };
}

export interface Commits {
  readonly lastId: bigint;
  readonly stretches: readonly CommitTimeRange[];
  /** There are commits beyond these. */
  readonly more: boolean;
}

/** The next commits, whole ones, beyond `upTo` none; undefined when there is none. */
export async function readCommits(
  db: Database,
  {
    number,
    from,
    upTo,
    signal,
  }: Pick<ProjectRequest, "number" | "from" | "signal"> & { readonly upTo?: bigint | undefined },
): Promise<Commits | undefined> {
  const { rows } = await db.query<{ last_id: string; min: string; max: string }>(
    sql`
      select last_id, (extract(epoch from min_ts) * 1000000)::bigint::text as min,
             (extract(epoch from max_ts) * 1000000)::bigint::text as max
      from log_commits
      where project_number = ${number} and last_id > ${from}::bigint
        and last_id <= ${upTo ?? maxId}::bigint
      order by last_id
      limit ${stretchesAtOnce + 1}`,
    { signal },
  );
  const first = rows[0];
  if (!first) return undefined;
  // The stretches of the last commit may not all be here.
  const whole = rows.length > stretchesAtOnce ? rows.filter(({ last_id }) => last_id !== rows.at(-1)?.last_id) : rows;
  const taken = whole.filter(({ last_id }) => last_id === first.last_id || BigInt(last_id) - from <= BigInt(idsAtOnce));
  return {
    lastId: BigInt((taken.at(-1) as typeof first).last_id),
    stretches: mergeCommitTimeRanges(taken.map(({ min, max }) => [Number(min), Number(max)])),
    more: taken.length < rows.length,
  };
}

/** Up to the limits of rows and bytes; `total` is how many there are without them, counted to one beyond the limit. */
async function readRows(
  db: Database,
  { number, from, limit, query, maxBytes, signal }: ProjectRequest,
  { lastId, stretches }: Commits,
): Promise<{ rows: readonly LogRow[]; total: number }> {
  const { rows } = await db.query<LogRow & { total: string }>(
    sql`
      select * from (
        select first.*, count(*) over () as total,
               coalesce(sum(octet_length(message) + octet_length(attributes::text)) over (
                 order by id rows between unbounded preceding and 1 preceding), 0) as bytes_before
        from (
          select l.*
          from unnest(${stretches.map(([min]) => isoOfMicros(min))}::timestamptz[],
                      ${stretches.map(([, max]) => isoOfMicros(max))}::timestamptz[]) as s(min_ts, max_ts)
          cross join lateral (
            select ${logColumns} from logs
            where project_number = ${number} and ts >= s.min_ts and ts <= s.max_ts
              and id > ${from}::bigint and id <= ${lastId}::bigint and (${compileQuery(query)})
          ) l
          order by l.id
          limit ${limit + 1}
        ) first
      ) counted
      where bytes_before < ${maxBytes}
      order by id
      limit ${limit}`,
    { signal },
  );
  return { rows, total: Number(rows[0]?.total ?? 0) };
}
