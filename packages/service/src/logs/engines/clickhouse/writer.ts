import type { Database, Queryable } from "../../../db/database.ts";
import { prepared, sql } from "../../../db/sql.ts";
import type { ApiError } from "../../../errors.ts";
import { stretchesOf } from "../../commit-log/commit-time-ranges.ts";
import { storeOnce } from "../../commit-log/deduplicate.ts";
import { GroupCommit, type GroupCommitLimits } from "../../commit-log/group-commit.ts";
import type { AppendOptions, LogBatch, StoredResult } from "../../log-store.ts";
import { isoOfMicros } from "../../time.ts";
import { type FreshTemplate, insertTemplates, StoredPatterns } from "../postgres/patterns.ts";
import type { ClickHouse } from "./connection.ts";
import { rowLine } from "./rows.ts";

/** A server that takes longer is away; the locks of the transaction are not held for longer. */
const insertTimeoutMs = 10_000;
/** More than the insert may take, and its repetition. */
const idleTimeoutMs = 15_000;

/** The ids of one project's new entries, and where in time these lie. */
interface Range {
  readonly projectNumber: number;
  readonly firstId: bigint;
  readonly entries: number;
  readonly times: readonly number[];
}

/**
 * Each group of requests in one insert. PostgreSQL decides what of it exists (docs/decisions/0008):
 * 1. a transaction enters the ledger and locks the heads of the projects, so that ids ascend in the order of commits;
 * 2. beside it, ids never used before are noted in `log_inserts` and committed;
 * 3. ClickHouse stores the rows, and answers when they are on disk;
 * 4. the transaction moves the heads past the ids, takes the note back, and commits: now the rows are seen.
 * Where this ends early the note stays, and what ClickHouse may have of these ids is never shown.
 */
export class ClickHouseWriter {
  readonly #server: ClickHouse;
  readonly #db: Database;
  readonly #notes: Database;
  readonly #queue: GroupCommit<LogBatch>;
  readonly #patterns = new StoredPatterns();

  /** `db` needs a connection for each lane; `notes` is used while one of them is held, and must be another pool. */
  constructor(
    server: ClickHouse,
    { db, notes }: { readonly db: Database; readonly notes: Database },
    limits: GroupCommitLimits,
  ) {
    this.#server = server;
    this.#db = db;
    this.#notes = notes;
    this.#queue = new GroupCommit({
      ...limits,
      prepare: (batch) => batch,
      commit: (batches) => this.#commit(batches),
      // Each row was written by us, as the server takes it.
      isRefused: () => false,
    });
  }

  /** What waits to be committed. */
  get queue(): { readonly bytes: number; readonly requests: number } {
    return this.#queue;
  }

  append(batch: LogBatch, options?: AppendOptions): Promise<StoredResult> {
    return this.#queue.append(batch, options);
  }

  /** Resolves when nothing is queued or being written. */
  drain(): Promise<void> {
    return this.#queue.drain();
  }

  async #commit(batches: readonly LogBatch[]): Promise<readonly (StoredResult | ApiError)[]> {
    let templates: readonly FreshTemplate[] = [];
    const results = await this.#db.transaction(async (tx) => {
      await tx.query(sql`select set_config('idle_in_transaction_session_timeout', ${String(idleTimeoutMs)}, true)`);
      return storeOnce(tx, batches, async (fresh) => {
        const ranges = await this.#reserve(tx, fresh);
        const patterns = this.#patterns.mine(fresh);
        await this.#server.insert("logs", linesOf(fresh, ranges, patterns.ids), insertTimeoutMs);
        await makeVisible(tx, ranges);
        await insertTemplates(tx, patterns.fresh);
        templates = patterns.fresh;
      });
    });
    this.#patterns.remember(templates);
    return results;
  }

  /** Locks the heads in `tx` until its end, and notes the ids for good. */
  async #reserve(tx: Queryable, batches: readonly LogBatch[]): Promise<readonly Range[]> {
    const times = timesByProject(batches);
    // In one order everywhere, so that two replicas cannot wait for each other.
    const projects = [...times.keys()].sort((a, b) => a - b);
    const { rows: heads } = await tx.query<{ project_number: number; last_id: string }>(
      prepared(
        "lock log heads",
        sql`
          insert into log_heads as h (project_number, last_id)
          select p, 0 from unnest(${projects}::int[]) as p
          on conflict (project_number) do update set last_id = h.last_id
          returning project_number, last_id`,
      ),
    );
    // Nobody else reserves ids of these projects now, so the highest of those ever noted is known.
    const { rows } = await this.#notes.query<{ project_number: number; first_id: string }>(
      prepared(
        "note log insert",
        sql`
          insert into log_inserts (project_number, first_id, last_id)
          select p, used.id + 1, used.id + entries
          from unnest(${heads.map((head) => head.project_number)}::int[], ${heads.map((head) => head.last_id)}::bigint[],
                      ${heads.map((head) => times.get(head.project_number)?.length)}::bigint[]) as a(p, head, entries)
          cross join lateral (
            select greatest(head, max(last_id)) as id from log_inserts where project_number = p
          ) used
          returning project_number, first_id`,
      ),
    );
    return rows.map(({ project_number, first_id }) => {
      const ofProject = times.get(project_number) as readonly number[];
      return {
        projectNumber: project_number,
        firstId: BigInt(first_id),
        entries: ofProject.length,
        times: ofProject,
      };
    });
  }
}

/** The rows are there: up to here everything of these projects may be shown, when `tx` commits. */
async function makeVisible(tx: Queryable, ranges: readonly Range[]): Promise<void> {
  const projects = ranges.map(({ projectNumber }) => projectNumber);
  const firstIds = ranges.map(({ firstId }) => String(firstId));
  const lastIds = ranges.map(({ firstId, entries }) => String(firstId + BigInt(entries) - 1n));
  const stretches = ranges.flatMap(({ projectNumber, times }) =>
    stretchesOf(times).map(([from, to]) => ({ projectNumber, from, to })),
  );
  await tx.query(
    prepared(
      "commit log insert",
      sql`
        with stored as (
          select * from unnest(${projects}::int[], ${firstIds}::bigint[], ${lastIds}::bigint[])
            as s(project_number, first_id, last_id)
        ), moved as (
          update log_heads h set last_id = s.last_id from stored s where h.project_number = s.project_number
        ), taken_back as (
          delete from log_inserts i using stored s
          where i.project_number = s.project_number and i.last_id = s.last_id
        )
        insert into log_commits (project_number, last_id, first_id, min_ts, max_ts)
        select s.project_number, s.last_id, s.first_id, t.min_ts, t.max_ts
        from stored s
        join unnest(${stretches.map(({ projectNumber }) => projectNumber)}::int[],
                    ${stretches.map(({ from }) => isoOfMicros(from))}::timestamptz[],
                    ${stretches.map(({ to }) => isoOfMicros(to))}::timestamptz[]) as t(project_number, min_ts, max_ts)
          using (project_number)`,
    ),
  );
}

function linesOf(
  batches: readonly LogBatch[],
  ranges: readonly Range[],
  patternIds: readonly number[],
): readonly string[] {
  let place = 0;
  const nextIds = new Map(ranges.map(({ projectNumber, firstId }) => [projectNumber, Number(firstId)]));
  return batches.map(({ projectNumber, entries }) => {
    let id = nextIds.get(projectNumber) as number;
    let lines = "";
    for (const entry of entries) lines += rowLine(projectNumber, id++, entry, patternIds[place++] as number);
    nextIds.set(projectNumber, id);
    return lines;
  });
}

function timesByProject(batches: readonly LogBatch[]): ReadonlyMap<number, readonly number[]> {
  const times = new Map<number, number[]>();
  for (const { projectNumber, entries } of batches) {
    const ofProject = times.get(projectNumber) ?? [];
    times.set(projectNumber, ofProject);
    for (const { timestampMicros } of entries) ofProject.push(timestampMicros);
  }
  return times;
}
