import { type Database, isRefusedData, type Queryable, sqlState } from "../../../db/database.ts";
import type { Step } from "../../../db/pipeline.ts";
import { prepared, type Sql, sql } from "../../../db/sql.ts";
import type { ApiError } from "../../../errors.ts";
import { explainMovedLogs } from "../../backend-claim.ts";
import { stretchesOf } from "../../commit-log/commit-time-ranges.ts";
import { storeOnce } from "../../commit-log/deduplicate.ts";
import { GroupCommit, type GroupCommitLimits } from "../../commit-log/group-commit.ts";
import { insertLedgerEntries } from "../../commit-log/idempotency-ledger.ts";
import { uidsEntered } from "../../commit-log/seen-entry-ids.ts";
import type { AppendOptions, LogBatch, StoredResult } from "../../log-store.ts";
import { isoOfMicros } from "../../time.ts";
import { type CopyBatch, recodeBatch, toCopyBatch } from "./copy-batch.ts";
import { copyColumns, numberRows } from "./copy-text.ts";
import { OptimisticSequence } from "./optimistic-sequence.ts";
import type { Partitions } from "./partitions.ts";
import { distinctTemplates, type FreshTemplate, StoredPatterns, templatesNoted } from "./patterns.ts";
import type { StoredEntries } from "./skip-index.ts";
import { TextBuffers } from "./text-buffers.ts";
import type { WordBits } from "./trigram-bloom.ts";
import { addedCounts, type MinuteCount } from "./volume.ts";

interface LogWriterOptions {
  readonly db: Database;
  readonly partitions: Partitions;
  readonly limits: GroupCommitLimits;
  /** Told of each project in each commit, in the order of commits. */
  readonly onStored: (stored: StoredEntries) => void;
}

/** Each group of requests in one COPY, and one transaction. */
export class LogWriter {
  readonly #db: Database;
  readonly #partitions: Partitions;
  readonly #queue: GroupCommit<CopyBatch>;
  readonly #patterns = new StoredPatterns();
  readonly #nextIds = new OptimisticSequence();
  readonly #buffers = new TextBuffers();
  readonly #onStored: (stored: StoredEntries) => void;

  constructor({ db, partitions, limits, onStored }: LogWriterOptions) {
    this.#db = db;
    this.#partitions = partitions;
    this.#onStored = onStored;
    this.#queue = new GroupCommit({
      ...limits,
      prepare: (batch, slices) => toCopyBatch(batch, this.#patterns, (rows) => this.#buffers.take(rows), slices),
      commit: (batches, follow) => this.#commit(batches, follow),
      isRefused: isRefusedData,
      abandon: ({ rows }) => this.#buffers.give(rows),
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

  /** Stores the batches in one transaction; after it their rows are read no more. */
  async #commit(batches: readonly CopyBatch[], follow: () => void): Promise<Answers> {
    try {
      const answers = await this.#storeWhereTheyBelong(batches, follow);
      for (const { rows } of batches) this.#buffers.give(rows);
      return answers;
    } catch (error) {
      for (const { rows } of batches) this.#buffers.drop(rows);
      throw error;
    }
  }

  /** A row that finds its partition gone gets one, and one more try. */
  async #storeWhereTheyBelong(batches: readonly CopyBatch[], follow: () => void): Promise<Answers> {
    await this.#partitions.ensure(timesOf(batches));
    try {
      return (await this.#storeAsExpected(batches, follow)) ?? (await this.#store(batches));
    } catch (error) {
      if (sqlState(error) !== "23514") throw explainMovedLogs(error);
      this.#partitions.forget();
      await this.#partitions.ensure(timesOf(batches));
      return this.#store(batches);
    }
  }

  /**
   * In one round trip, as if nothing in it had been stored before and nobody else wrote these projects: that is how it
   * nearly always is. The next commit is sent as soon as this one holds the heads of its projects. Undefined when it
   * was otherwise; then nothing is stored.
   */
  async #storeAsExpected(batches: readonly CopyBatch[], follow: () => void): Promise<Answers | undefined> {
    const expected = this.#nextIds.take(countsOf(batches));
    if (!expected) return undefined;
    const parts = splitByProject(batches, expected.heads);
    const templates = distinctTemplates(batches.flatMap((batch) => batch.fresh));
    try {
      await this.#db.transaction((tx) =>
        tx.finish([
          { statement: insertHeads(parts, countsIn(batches)), onDone: follow },
          ...[insertLedgerEntries(batches), uidsEntered(batches)].filter((step) => step !== undefined),
          ...insertRows(batches, expected.heads, templates),
        ]),
      );
    } catch (error) {
      const state = sqlState(error);
      this.#nextIds.giveUp(expected, state === otherIds);
      if (state === otherIds || state === storedBefore) return undefined;
      throw error;
    }
    this.#remember(parts, templates);
    return batches.map(({ result }) => result);
  }

  /** Asks what is stored already and which ids are next. Whoever does so has the projects to himself. */
  async #store(batches: readonly CopyBatch[]): Promise<Answers> {
    const projects = [...countsOf(batches).keys()];
    let lastIds: ReadonlyMap<number, number> = new Map();
    this.#nextIds.ask(projects);
    try {
      let heads = lastIds;
      let parts: readonly StoredEntries[] = [];
      let templates: readonly FreshTemplate[] = [];
      const answers = await this.#db.transaction(async (tx) => {
        // Before anything else is locked, as in the commits that do not ask: none waits for another that waits for it.
        heads = await lockHeads(tx, projects);
        return storeOnce(tx, batches, async (stored) => {
          const fresh: CopyBatch[] = [];
          for (const batch of stored) fresh.push(await recodeBatch(batch, this.#patterns));
          templates = distinctTemplates(fresh.flatMap((batch) => batch.fresh));
          parts = splitByProject(fresh, heads);
          await tx.finish([insertHeads(parts, countsIn(fresh)), ...insertRows(fresh, heads, templates)]);
        });
      });
      lastIds = new Map([
        ...heads,
        ...parts.map(({ projectNumber, head, entries }) => [projectNumber, head + entries] as const),
      ]);
      this.#remember(parts, templates);
      return answers;
    } finally {
      this.#nextIds.asked(projects, lastIds);
    }
  }

  #remember(parts: readonly StoredEntries[], templates: readonly FreshTemplate[]): void {
    this.#patterns.remember(templates);
    for (const part of parts) this.#onStored(part);
  }
}

type Answers = readonly (StoredResult | ApiError)[];

/** SQLSTATE: a division by nought, which only `idsTaken` has. */
const otherIds = "22012";
/** SQLSTATE: a key of the ledger, or an entry's identity, is there. */
const storedBefore = "23505";

/** Entries by project. */
function countsOf(batches: readonly CopyBatch[]): Map<number, number> {
  const counts = new Map<number, number>();
  for (const { projectNumber, times } of batches) {
    counts.set(projectNumber, (counts.get(projectNumber) ?? 0) + times.length);
  }
  return counts;
}

/** The last id of each project, which stays so until the end of the transaction. */
async function lockHeads(tx: Queryable, projects: readonly number[]): Promise<Map<number, number>> {
  const { rows } = await tx.query<{ project_number: number; last_id: string }>(
    prepared(
      "lock log heads",
      // In one order everywhere, so that two replicas cannot wait for each other.
      sql`
        insert into log_heads as h (project_number, last_id)
        select p, 0 from unnest(${[...projects].sort((a, b) => a - b)}::int[]) as p
        on conflict (project_number) do update set last_id = h.last_id
        returning project_number, last_id`,
    ),
  );
  return new Map(rows.map((row) => [row.project_number, Number(row.last_id)]));
}

/** What the batches are of each project, sorted: so two replicas lock them in one order, and cannot wait for each other. */
function splitByProject(batches: readonly CopyBatch[], heads: ReadonlyMap<number, number>): readonly StoredEntries[] {
  const parts = new Map<number, { times: number[]; words: WordBits[] }>();
  for (const { projectNumber, times, words } of batches) {
    const part = parts.get(projectNumber) ?? { times: [], words: [] };
    parts.set(projectNumber, part);
    for (const micros of times) part.times.push(micros);
    part.words.push(words);
  }
  return [...parts]
    .sort(([a], [b]) => a - b)
    .map(([projectNumber, { times, words }]) => ({
      projectNumber,
      head: heads.get(projectNumber) ?? 0,
      entries: times.length,
      stretches: stretchesOf(times),
      words,
    }));
}

function countsIn(batches: readonly CopyBatch[]): readonly MinuteCount[] {
  return batches.flatMap(({ counts }) => counts);
}

/**
 * Takes the ids after the head of each project, and notes where in time they lie and what they add to the counts per
 * minute. The heads stay locked until the commit, so ids ascend in the order of commits. Fails with `otherIds` when a
 * head is another.
 */
function insertHeads(parts: readonly StoredEntries[], counts: readonly MinuteCount[]): Sql {
  const numbers = parts.map(({ projectNumber }) => projectNumber);
  const notes = parts.flatMap(({ projectNumber, head, entries, stretches }) =>
    stretches.map(([from, to]) => ({ projectNumber, lastId: head + entries, firstId: head + 1, from, to })),
  );
  const added = addedCounts(counts);
  return prepared(
    "take log ids",
    sql`
      with taken as (
        insert into log_heads as h (project_number, last_id)
        select * from unnest(${numbers}::int[], ${parts.map(({ head, entries }) => head + entries)}::bigint[])
        on conflict (project_number) do update set last_id = excluded.last_id
        where h.last_id = (${parts.map(({ head }) => head)}::bigint[])[array_position(${numbers}::int[], h.project_number)]
        returning project_number
      ), noted as (
        insert into log_commits (project_number, last_id, first_id, min_ts, max_ts)
        select * from unnest(
          ${notes.map(({ projectNumber }) => projectNumber)}::int[], ${notes.map(({ lastId }) => lastId)}::bigint[],
          ${notes.map(({ firstId }) => firstId)}::bigint[], ${notes.map(({ from }) => isoOfMicros(from))}::timestamptz[],
          ${notes.map(({ to }) => isoOfMicros(to))}::timestamptz[])
      ), counted as (
        insert into log_volume_added (project_number, counts)
        select * from unnest(${added.map(({ projectNumber }) => projectNumber)}::int[], ${added.map((one) => one.counts)}::json[])
      )
      select 1 / (count(*) = ${parts.length}::bigint)::int from taken`,
  );
}

/** What is stored of batches whose ids are taken. */
function insertRows(
  batches: readonly CopyBatch[],
  heads: ReadonlyMap<number, number>,
  templates: readonly FreshTemplate[],
): readonly Step[] {
  return [
    { copy: `copy logs (${copyColumns}) from stdin`, rows: rowsOf(batches, heads) },
    ...(templates.length > 0 ? [templatesNoted(templates)] : []),
  ];
}

/** Below it, pieces are put together before they are sent: each costs more than its bytes. */
const smallBytes = 16 * 1024;

function rowsOf(batches: readonly CopyBatch[], heads: ReadonlyMap<number, number>): readonly Buffer[] {
  const nextIds = new Map<number, number>();
  let bytes = 0;
  for (const { projectNumber, rows } of batches) {
    const firstId = nextIds.get(projectNumber) ?? (heads.get(projectNumber) ?? 0) + 1;
    nextIds.set(projectNumber, numberRows(rows, firstId));
    bytes += rows.length;
  }
  const pieces = batches.map(({ rows }) => rows);
  return bytes / pieces.length < smallBytes ? [Buffer.concat(pieces, bytes)] : pieces;
}

function* timesOf(batches: readonly CopyBatch[]): Generator<number> {
  for (const { times } of batches) yield* times;
}
