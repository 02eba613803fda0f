import type { ApiError } from "../../errors.ts";
import { type Database, isRefusedData, type Queryable, sqlState } from "../../store/database.ts";
import { prepared, sql } from "../../store/sql.ts";
import { GroupCommit, type GroupCommitLimits } from "../group-commit.ts";
import type { LogBatch, StoredResult } from "../store.ts";
import { isoOfMicros } from "../time.ts";
import { explainedMove } from "../whereabouts.ts";
import { stretchesOf } from "./commits.ts";
import { copyColumns, numberRows } from "./copy-text.ts";
import { type EncodedBatch, encodeBatch, recodeBatch } from "./encoded-batch.ts";
import { storeOnce } from "./once.ts";
import type { Partitions } from "./partitions.ts";
import { distinctTemplates, type FreshTemplate, StoredPatterns, templatesNoted } from "./patterns.ts";
import { volumeAdded } from "./volume.ts";

/** Each group of requests in one COPY, and one transaction. */
export class LogWriter {
  readonly #db: Database;
  readonly #partitions: Partitions;
  readonly #queue: GroupCommit<EncodedBatch>;
  readonly #patterns = new StoredPatterns();

  constructor(db: Database, partitions: Partitions, limits: GroupCommitLimits) {
    this.#db = db;
    this.#partitions = partitions;
    this.#queue = new GroupCommit({
      ...limits,
      prepare: (batch) => encodeBatch(batch, this.#patterns),
      commit: (batches) => this.#commit(batches),
      isRefused: isRefusedData,
    });
  }

  append(batch: LogBatch): Promise<StoredResult> {
    return this.#queue.append(batch);
  }

  /** Resolves when nothing is queued or being written. */
  drain(): Promise<void> {
    return this.#queue.drain();
  }

  /** Stores the batches in one transaction. A row that finds its partition gone gets one, and one more try. */
  async #commit(batches: readonly EncodedBatch[]): Promise<readonly (StoredResult | ApiError)[]> {
    await this.#partitions.ensure(timesOf(batches));
    try {
      return await this.#transaction(batches);
    } catch (error) {
      if (sqlState(error) !== "23514") throw explainedMove(error);
      this.#partitions.forget();
      await this.#partitions.ensure(timesOf(batches));
      return this.#transaction(batches);
    }
  }

  async #transaction(batches: readonly EncodedBatch[]): Promise<readonly (StoredResult | ApiError)[]> {
    let templates: readonly FreshTemplate[] = [];
    const results = await this.#db.transaction((tx) =>
      storeOnce(tx, batches, async (stored) => {
        const fresh = stored.map((batch) => recodeBatch(batch, this.#patterns));
        const nextIds = await reserveIds(tx, fresh);
        templates = distinctTemplates(fresh.flatMap((batch) => batch.fresh));
        await tx.finish([
          { copy: `copy logs (${copyColumns}) from stdin`, rows: rowsOf(fresh, nextIds) },
          volumeAdded(fresh.flatMap(({ counts }) => counts)),
          ...(templates.length > 0 ? [templatesNoted(templates)] : []),
        ]);
      }),
    );
    this.#patterns.remember(templates);
    return results;
  }
}

/**
 * Takes the next ids of each project, and notes where in time they lie. The row stays locked until the commit, so ids
 * ascend in the order of commits.
 */
async function reserveIds(tx: Queryable, batches: readonly EncodedBatch[]): Promise<Map<number, number>> {
  const times = new Map<number, number[]>();
  for (const { projectNumber, times: ofBatch } of batches) {
    const ofProject = times.get(projectNumber) ?? [];
    times.set(projectNumber, ofProject);
    for (const micros of ofBatch) ofProject.push(micros);
  }
  const countOf = (project: number) => (times.get(project) as number[]).length;
  // In one order everywhere, so that two replicas cannot wait for each other.
  const projects = [...times.keys()].sort((a, b) => a - b);
  const stretches = projects.flatMap((project) =>
    stretchesOf(times.get(project) as number[]).map(([from, to]) => ({ project, from, to })),
  );
  const { rows } = await tx.query<{ project_number: number; last_id: string }>(
    prepared(
      "reserve log ids",
      sql`
        with asked as (
          select * from unnest(${projects}::int[], ${projects.map(countOf)}::bigint[])
            as a(project_number, entries)
        ), reserved as (
          insert into log_heads as h (project_number, last_id)
          select * from asked
          on conflict (project_number) do update set last_id = h.last_id + excluded.last_id
          returning project_number, last_id
        ), noted as (
          insert into log_commits (project_number, last_id, first_id, min_ts, max_ts)
          select r.project_number, r.last_id, r.last_id - a.entries + 1, s.min_ts, s.max_ts
          from reserved r
          join asked a using (project_number)
          join unnest(${stretches.map(({ project }) => project)}::int[], ${stretches.map(({ from }) => isoOfMicros(from))}::timestamptz[],
                      ${stretches.map(({ to }) => isoOfMicros(to))}::timestamptz[]) as s(project_number, min_ts, max_ts)
            using (project_number)
        )
        select project_number, last_id from reserved`,
    ),
  );
  return new Map(rows.map((row) => [row.project_number, Number(row.last_id) - countOf(row.project_number) + 1]));
}

/** Below it, pieces are put together before they are sent: each costs more than its bytes. */
const smallBytes = 16 * 1024;

function rowsOf(batches: readonly EncodedBatch[], nextIds: Map<number, number>): readonly Buffer[] {
  let bytes = 0;
  for (const { projectNumber, rows } of batches) {
    nextIds.set(projectNumber, numberRows(rows, nextIds.get(projectNumber) as number));
    bytes += rows.length;
  }
  const pieces = batches.map(({ rows }) => rows);
  return bytes / pieces.length < smallBytes ? [Buffer.concat(pieces, bytes)] : pieces;
}

function* timesOf(batches: readonly EncodedBatch[]): Generator<number> {
  for (const { times } of batches) yield* times;
}
