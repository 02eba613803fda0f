import type { ClickHouseAddress } from "../../../config.ts";
import { type Database, openDatabase, openSession } from "../../../db/database.ts";
import { sql } from "../../../db/sql.ts";
import { areInClickHouse, switchToClickHouse } from "../../backend-claim.ts";
import { type CommitTimeRange, mergeCommitTimeRanges } from "../../commit-log/commit-time-ranges.ts";
import { isoOfMicros } from "../../time.ts";
import { readCommits } from "../postgres/follow.ts";
import { type LogRow, logColumns } from "../postgres/reader.ts";
import { type ClickHouse, connectClickHouse } from "./connection.ts";
import { rowLine } from "./rows.ts";
import { ensureTable } from "./schema.ts";
import { ch, int64 } from "./statement.ts";

export interface MoveOptions {
  readonly databaseUrl: string;
  readonly address: ClickHouseAddress;
  readonly retentionDays: number;
  readonly onProgress: (message: string) => void;
}

/** One number for every Sazabi process: entries are moved by one at a time. */
const moveLock = 4_600_005;
const insertTimeoutMs = 60_000;
const readTimeoutMs = 300_000;
/** So few are copied in a moment, for which nobody minds that intake waits. */
const lastStep = 10_000n;

/**
 * Copies all entries from PostgreSQL to ClickHouse while the service goes on, and then switches: from that moment on
 * PostgreSQL refuses entries, and every process has to be started with `SAZABI_LOG_STORE`. Killed at any time, it goes
 * on where it was when it is called again. Ids, cursors and idempotency keys stay as they are. Resolves with the
 * number of entries that it copied itself.
 */
export async function moveLogs(options: MoveOptions): Promise<number> {
  const { databaseUrl: url, address, retentionDays, onProgress } = options;
  const session = await openSession({ url, name: "sazabi move", settings: {} });
  const db = openDatabase({ url, connections: 4, statementTimeoutMs: readTimeoutMs });
  const server = await connectClickHouse(address);
  try {
    const { rows } = await session.query<{ mine: boolean }>(sql`select pg_try_advisory_lock(${moveLock}) as mine`);
    if (!rows[0]?.mine) throw new Error("Another process is moving the logs of this database.");
    if (await areInClickHouse(db)) return 0;
    await ensureTable(server, retentionDays);
    await checkTarget(server, db);
    let copied = 0;
    for (;;) {
      copied += await copyEverything({ server, db, onProgress });
      if ((await entriesLeft(db)) <= lastStep) break;
    }
    onProgress("Comparing …");
    await compare(server, db, retentionDays);
    onProgress("Switching: intake waits for a moment …");
    await switchToClickHouse(db, async () => {
      copied += await copyEverything({ server, db, onProgress: () => {} });
    });
    return copied;
  } finally {
    await Promise.all([session.close(), db.close(), server.close()]);
  }
}

/** Entries that are there before the first of ours: of another database, or of somebody who counts on them. */
async function checkTarget(server: ClickHouse, db: Database): Promise<void> {
  const { rows } = await db.query(sql`select 1 from log_moves limit 1`);
  if (rows.length > 0) return;
  const [found] = await server.rows(ch`select 1 as one from logs limit 1`, { timeoutMs: readTimeoutMs });
  if (found) throw new Error("The table logs in ClickHouse holds entries already. Name an empty database.");
}

async function entriesLeft(db: Database): Promise<bigint> {
  const { rows } = await db.query<{ entries: string }>(sql`
    select coalesce(sum(h.last_id - coalesce(m.moved_id, 0)), 0)::text as entries
    from log_heads h left join log_moves m using (project_number)`);
  return BigInt((rows[0] as { entries: string }).entries);
}

interface Move {
  readonly server: ClickHouse;
  readonly db: Database;
  readonly onProgress: (message: string) => void;
}

/** What is committed by now, project after project. */
async function copyEverything(move: Move): Promise<number> {
  const { rows } = await move.db.query<{ number: number; moved: string; moving: string }>(sql`
    select h.project_number as number, coalesce(m.moved_id, 0)::text as moved, coalesce(m.moving_id, 0)::text as moving
    from log_heads h left join log_moves m using (project_number)
    where h.last_id > coalesce(m.moved_id, 0)
    order by 1`);
  let copied = 0;
  for (const { number, moved, moving } of rows) {
    let place: Place | undefined = { number, moved: BigInt(moved), moving: BigInt(moving) };
    while (place) {
      const step: { readonly entries: number; readonly next: Place | undefined } = await copyStep(move, place);
      copied += step.entries;
      place = step.next;
      if (step.entries > 0) move.onProgress(`Copied ${copied} entries; project ${number} …`);
    }
  }
  return copied;
}

interface Place {
  readonly number: number;
  readonly moved: bigint;
  /** Beyond `moved`: a step up to there was begun, and nobody knows how far it came. */
  readonly moving: bigint;
}

/**
 * Some whole commits. Where a step ends is noted before it begins, so that after a death it is the same step again, of
 * the same rows, under the same token: ClickHouse stores them once.
 */
async function copyStep(
  { server, db }: Move,
  { number, moved, moving }: Place,
): Promise<{ readonly entries: number; readonly next: Place | undefined }> {
  const upTo = moving > moved ? moving : undefined;
  const commits = await readCommits(db, { number, from: moved, upTo, signal: undefined });
  if (!commits) return { entries: 0, next: undefined };
  const { lastId, stretches } = commits;
  await noteStep(db, number, moved, upTo ?? lastId);
  const rows = await readRows(db, number, { moved, lastId, stretches });
  const lines = rows.map(({ micros, project_number, id, pattern_id, trace_id, span_id, ...row }) =>
    rowLine(
      project_number,
      Number(id),
      { ...row, timestampMicros: Number(micros), traceId: trace_id, spanId: span_id, bytes: 0 },
      pattern_id,
    ),
  );
  if (lines.length > 0) await server.insert("logs", lines, insertTimeoutMs, `move ${number} ${moved} ${lastId}`);
  await noteStep(db, number, lastId, upTo ?? lastId);
  return { entries: rows.length, next: { number, moved: lastId, moving: upTo ?? lastId } };
}

async function noteStep(db: Database, number: number, moved: bigint, moving: bigint): Promise<void> {
  await db.query(sql`
    insert into log_moves (project_number, moved_id, moving_id) values (${number}, ${moved}::bigint, ${moving}::bigint)
    on conflict (project_number) do update set moved_id = excluded.moved_id, moving_id = excluded.moving_id`);
}

async function readRows(
  db: Database,
  number: number,
  { moved, lastId, stretches }: { moved: bigint; lastId: bigint; stretches: readonly CommitTimeRange[] },
): Promise<readonly (LogRow & { pattern_id: number | null })[]> {
  const apart = mergeCommitTimeRanges(stretches);
  const { rows } = await db.query<LogRow & { pattern_id: number | null }>(sql`
    select l.*
    from unnest(${apart.map(([min]) => isoOfMicros(min))}::timestamptz[],
                ${apart.map(([, max]) => isoOfMicros(max))}::timestamptz[]) as s(min_ts, max_ts)
    cross join lateral (
      select ${logColumns}, pattern_id from logs
      where project_number = ${number} and ts >= s.min_ts and ts <= s.max_ts
        and id > ${moved}::bigint and id <= ${lastId}::bigint
    ) l
    order by l.id`);
  return rows;
}

/** What both hold of the last days must be the same, entry by entry in number and sum of ids. Throws what differs. */
async function compare(server: ClickHouse, db: Database, retentionDays: number): Promise<void> {
  // What is about to expire may be gone here and not yet there.
  const from = (Date.now() - Math.max(retentionDays - 2, 0.5) * 86_400_000) * 1000;
  const { rows: moves } = await db.query<{ project_number: number; moved_id: string; days: number | null }>(sql`
    select project_number, moved_id, p.retention_days as days
    from log_moves join projects p on p.number = project_number`);
  for (const { project_number, moved_id, days } of moves) {
    if (days !== null) continue;
    const { rows } = await db.query<{ entries: string; ids: string }>(sql`
      select count(*)::text as entries, coalesce(sum(id), 0)::text as ids from logs
      where project_number = ${project_number} and id <= ${moved_id}::bigint and ts >= ${isoOfMicros(from)}::timestamptz`);
    const [there] = await server.rows<{ entries: string; ids: string }>(
      ch`
        select toString(count()) as entries, toString(sum(toInt128(id))) as ids from logs
        where project_number = ${int64(project_number)} and id <= ${int64(moved_id)}
          and ts >= fromUnixTimestamp64Micro(${int64(from)}, 'UTC')`,
      { timeoutMs: readTimeoutMs },
    );
    const here = rows[0] as { entries: string; ids: string };
    if (here.entries !== there?.entries || here.ids !== there.ids) {
      throw new Error(
        `Project ${project_number} has ${here.entries} entries in PostgreSQL and ${there?.entries} in ClickHouse. ` +
          "Nothing was switched. Empty the table in ClickHouse and sazabi.log_moves, and move again.",
      );
    }
  }
}
