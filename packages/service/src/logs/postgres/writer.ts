import type { IntakeResult } from "@sazabi/sdk/protocol";
import { ApiError } from "../../errors.ts";
import { type Database, isRefusedData, type Queryable, sqlState } from "../../store/database.ts";
import { prepared, sql } from "../../store/sql.ts";
import type { LogBatch } from "../store.ts";
import { isoOfMicros } from "../time.ts";
import { stretchesOf } from "./commits.ts";
import { copyColumns, copyText } from "./copy-text.ts";
import { noteAnswers, withoutStored } from "./entry-uids.ts";
import { answersOfLedger, enterLedger } from "./ledger.ts";
import type { Partitions } from "./partitions.ts";
import { type FreshTemplate, insertTemplates, StoredPatterns } from "./patterns.ts";
import { QueueRoom } from "./queue-room.ts";
import { addVolume } from "./volume.ts";

interface Pending {
  readonly batch: LogBatch;
  readonly resolve: (result: IntakeResult) => void;
  readonly reject: (error: unknown) => void;
}

export interface WriterLimits {
  /** Transactions at once. */
  readonly lanes: number;
  /** Rows in one transaction, unless a single request brings more. */
  readonly rowsPerCommit: number;
  /** Bytes waiting; beyond it requests are refused, of projects that have their part of it. */
  readonly queueBytes: number;
}

/**
 * Group commit: each free lane takes what is queued, up to a bound, in one COPY; a request is answered when the
 * transaction that holds its rows is committed. One project is written by one lane at a time, and lanes take
 * projects in turn, so a flood of one does not starve another.
 */
export class LogWriter {
  readonly #db: Database;
  readonly #partitions: Partitions;
  readonly #limits: WriterLimits;
  /** Waiting requests by project; the project that waits longest is first. */
  readonly #queues = new Map<number, Pending[]>();
  readonly #busy = new Set<number>();
  readonly #room: QueueRoom;
  readonly #patterns = new StoredPatterns();
  #freeLanes: number;
  #onDrained: (() => void) | undefined;

  constructor(db: Database, partitions: Partitions, limits: WriterLimits) {
    this.#db = db;
    this.#partitions = partitions;
    this.#limits = limits;
    this.#freeLanes = limits.lanes;
    this.#room = new QueueRoom(limits.queueBytes);
  }

  append(batch: LogBatch): Promise<IntakeResult> {
    if (!this.#room.take(batch.projectNumber, batch.bytes)) {
      throw new ApiError(
        "RATE_LIMIT_EXCEEDED",
        "The service is taking logs as fast as it can store them. Send again.",
        {
          retryAfterSeconds: 1,
        },
      );
    }
    return new Promise((resolve, reject) => {
      const queue = this.#queues.get(batch.projectNumber);
      const pending = { batch, resolve, reject };
      if (queue) queue.push(pending);
      else this.#queues.set(batch.projectNumber, [pending]);
      this.#pump();
    });
  }

  /** Resolves when nothing is queued or being written. */
  async drain(): Promise<void> {
    if (this.#queues.size === 0 && this.#busy.size === 0) return;
    await new Promise<void>((resolve) => {
      this.#onDrained = resolve;
    });
  }

  #pump(): void {
    while (this.#freeLanes > 0) {
      const work = this.#take();
      if (work.length === 0) break;
      this.#freeLanes -= 1;
      void this.#write(work).finally(() => this.#done(work));
    }
    if (this.#queues.size === 0 && this.#busy.size === 0) this.#onDrained?.();
  }

  /** What one transaction shall hold: whole requests, of projects that no lane is writing now. */
  #take(): Pending[] {
    const work: Pending[] = [];
    let rows = 0;
    for (const [project, queue] of [...this.#queues]) {
      if (this.#busy.has(project)) continue;
      let count = 0;
      for (const { batch } of queue) {
        if (rows > 0 && rows + batch.entries.length > this.#limits.rowsPerCommit) break;
        rows += batch.entries.length;
        count += 1;
      }
      if (count === 0) break;
      work.push(...queue.splice(0, count));
      this.#busy.add(project);
      this.#queues.delete(project);
      // What did not fit waits its turn behind the other projects.
      if (queue.length > 0) this.#queues.set(project, queue);
    }
    return work;
  }

  #done(work: readonly Pending[]): void {
    for (const { batch } of work) {
      this.#room.give(batch.projectNumber, batch.bytes);
      this.#busy.delete(batch.projectNumber);
    }
    this.#freeLanes += 1;
    this.#pump();
  }

  async #write(work: readonly Pending[]): Promise<void> {
    try {
      const results = await this.#commit(work.map(({ batch }) => batch));
      for (const [index, { resolve, reject }] of work.entries()) {
        const result = results[index] as IntakeResult | ApiError;
        if (result instanceof ApiError) reject(result);
        else resolve(result);
      }
    } catch (error) {
      if (work.length === 1 || !isRefusedData(error)) {
        for (const { reject } of work) reject(error);
        return;
      }
      // One request's rows were refused by the database: its neighbours are stored without it.
      for (const pending of work) await this.#write([pending]);
    }
  }

  /** Stores the batches in one transaction. A row that finds its partition gone gets one, and one more try. */
  async #commit(batches: readonly LogBatch[]): Promise<readonly (IntakeResult | ApiError)[]> {
    await this.#partitions.ensure(timesOf(batches));
    try {
      return await this.#transaction(batches);
    } catch (error) {
      if (sqlState(error) !== "23514") throw error;
      this.#partitions.forget();
      await this.#partitions.ensure(timesOf(batches));
      return this.#transaction(batches);
    }
  }

  async #transaction(batches: readonly LogBatch[]): Promise<readonly (IntakeResult | ApiError)[]> {
    let templates: readonly FreshTemplate[] = [];
    const results = await this.#db.transaction(async (tx) => {
      const entered = await enterLedger(tx, batches);
      const first = batches.filter((batch) => entered.has(batch));
      const stored = await withoutStored(tx, first);
      const fresh = stored.filter(({ entries }) => entries.length > 0);
      if (fresh.length > 0) {
        const nextIds = await reserveIds(tx, fresh);
        const patterns = this.#patterns.mine(fresh);
        await tx.copyIn(`copy logs (${copyColumns}) from stdin`, rowsOf(fresh, nextIds, patterns.ids));
        await addVolume(tx, fresh);
        await insertTemplates(tx, patterns.fresh);
        templates = patterns.fresh;
      }
      if (stored === first) return answersOfLedger(tx, batches, entered);
      await noteAnswers(tx, stored);
      const own = new Map(first.map((batch, index) => [batch, (stored[index] as LogBatch).result]));
      const answers = await answersOfLedger(tx, batches, entered);
      return batches.map((batch, index) => own.get(batch) ?? (answers[index] as IntakeResult | ApiError));
    });
    this.#patterns.remember(templates);
    return results;
  }
}

/**
 * Takes the next ids of each project, and notes where in time they lie. The row stays locked until the commit, so ids
 * ascend in the order of commits.
 */
async function reserveIds(tx: Queryable, batches: readonly LogBatch[]): Promise<Map<number, number>> {
  const times = new Map<number, number[]>();
  for (const { projectNumber, entries } of batches) {
    const ofProject = times.get(projectNumber) ?? [];
    times.set(projectNumber, ofProject);
    for (const { timestampMicros } of entries) ofProject.push(timestampMicros);
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

function* rowsOf(
  batches: readonly LogBatch[],
  nextIds: Map<number, number>,
  patternIds: readonly number[],
): Generator<string> {
  let place = 0;
  for (const { projectNumber, entries } of batches) {
    let id = nextIds.get(projectNumber) as number;
    let text = "";
    for (const entry of entries) text += copyText(projectNumber, id++, entry, patternIds[place++] as number);
    nextIds.set(projectNumber, id);
    yield text;
  }
}

function* timesOf(batches: readonly LogBatch[]): Generator<number> {
  for (const { entries } of batches) for (const { timestampMicros } of entries) yield timestampMicros;
}
