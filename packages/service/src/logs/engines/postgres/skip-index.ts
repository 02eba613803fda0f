import { setImmediate as nextTurn, setTimeout as sleep } from "node:timers/promises";
import type { QueryNode, TextPattern } from "@sazabi/sdk/protocol";
import type { Database, Queryable } from "../../../db/database.ts";
import { join, type Sql, sql } from "../../../db/sql.ts";
import { type CommitTimeRange, mergeCommitTimeRanges } from "../../commit-log/commit-time-ranges.ts";
import { isoOfMicros } from "../../time.ts";
import type { TimeRange } from "./adaptive-time-slices.ts";
import { maxId, readCommits } from "./follow.ts";
import { bitsOfMessages, type WordBits, WordMap } from "./trigram-bloom.ts";

/** Entries that a map is made of: some thousand fill a fifth of one. Read from the database, as many as go together. */
const entriesInMap = 5_000;
/** Projects whose next map is under way: beyond it the oldest is left to be read. */
const maxUnfinished = 1_000;
/** Entries with longer messages than this, together, get a map that says nothing. */
const maxBytes = 16 * 1024 * 1024;
/** Characters after which others have their turn: about a millisecond. */
const charactersAtOnce = 100_000;
/** Of the time between two maps that are read, so many times what the last one took goes to others: storing comes first. */
const restFactor = 4;
/** Times closer than this are one: few long ranges are read faster than many short ones. */
const gap = sql`interval '1 minute'`;
const gapMicros = 60_000_000;

/** What one commit stored of one project: consecutive ids. */
export interface StoredEntries {
  readonly projectNumber: number;
  /** The id before the first of them. */
  readonly head: number;
  readonly entries: number;
  readonly stretches: readonly CommitTimeRange[];
  readonly words: readonly WordBits[];
}

/** Of consecutive entries that this process stored. */
interface MapInMemory {
  readonly head: number;
  lastId: number;
  readonly stretches: CommitTimeRange[];
  readonly words: WordMap;
  /** What comes behind a gap: mostly the answer to the commit before it is on its way still. */
  readonly early: StoredEntries[];
}

/**
 * Builds the skip index in the background, for some thousand consecutive entries at a time. The trigrams of entries that this
 * process stores are in memory. Entries that another process stored in between are read. Searches read entries that are not
 * indexed yet.
 */
export class SkipIndex {
  readonly #db: Database;
  readonly #onDeferred: (error: unknown) => void;
  readonly #unfinished = new Map<number, MapInMemory>();
  readonly #finished = new Map<number, MapInMemory[]>();
  /** Entries by project that somebody has to read, since they were not followed by enough of ours. */
  readonly #left = new Map<number, number>();
  readonly #due = new Set<number>();
  readonly #closing = new AbortController();
  #running: Promise<void> | undefined;

  constructor(db: Database, onDeferred: (error: unknown) => void) {
    this.#db = db;
    this.#onDeferred = onDeferred;
  }

  /** Call when entries are committed. */
  stored(stored: StoredEntries): void {
    const { projectNumber, head, entries } = stored;
    const map = this.#unfinished.get(projectNumber);
    // Behind more than a few commits of ours it was another process that stored what is missing.
    if (map && head > map.lastId && entriesOf(map.early) + entries < entriesInMap) {
      map.early.push(stored);
    } else if (map?.lastId === head) {
      this.#add(map, stored);
    } else {
      if (map) this.#leave(projectNumber, map);
      this.#add(this.#begin(projectNumber, head, []), stored);
    }
  }

  #begin(projectNumber: number, head: number, early: StoredEntries[]): MapInMemory {
    const map = { head, lastId: head, stretches: [], words: new WordMap(), early };
    this.#unfinished.delete(projectNumber); // The last one set is the newest.
    this.#unfinished.set(projectNumber, map);
    if (this.#unfinished.size > maxUnfinished) this.#leaveOldest();
    return map;
  }

  #add(map: MapInMemory, { projectNumber, entries, stretches, words }: StoredEntries): void {
    map.lastId += entries;
    map.stretches.push(...stretches);
    for (const bits of words) map.words.add(bits);
    let current = map;
    if (map.lastId - map.head >= entriesInMap) {
      this.#finished.set(projectNumber, [...(this.#finished.get(projectNumber) ?? []), map]);
      this.#map([projectNumber]);
      current = this.#begin(projectNumber, map.lastId, map.early);
    }
    const next = current.early.findIndex(({ head }) => head === current.lastId);
    if (next !== -1) this.#add(current, current.early.splice(next, 1)[0] as StoredEntries);
  }

  /** Sees to what a process that ended left unmapped. */
  async catchUp(): Promise<void> {
    const { rows } = await this.#db.query<{ project_number: number }>(sql`
      select project_number from log_heads h
      where last_id - ${2 * entriesInMap}::bigint > coalesce((
        select last_id from log_word_maps m where m.project_number = h.project_number order by first_id desc limit 1), 0)
        and exists (select from logs l where l.project_number = h.project_number)`);
    this.#map(rows.map((row) => row.project_number));
  }

  /** Leaves what is not mapped yet to whoever comes next. */
  async close(): Promise<void> {
    this.#closing.abort();
    await this.#running;
  }

  #leave(projectNumber: number, { head, lastId, early }: MapInMemory): void {
    this.#unfinished.delete(projectNumber);
    const left = (this.#left.get(projectNumber) ?? 0) + lastId - head + entriesOf(early);
    this.#left.set(projectNumber, left % entriesInMap);
    if (left >= entriesInMap) this.#map([projectNumber]);
  }

  #leaveOldest(): void {
    const [oldest] = this.#unfinished;
    if (oldest) this.#leave(...oldest);
  }

  #map(projectNumbers: readonly number[]): void {
    for (const projectNumber of projectNumbers) this.#due.add(projectNumber);
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined;
      // What became due between its last step and this one.
      if (this.#due.size > 0) this.#map([]);
    });
  }

  async #run(): Promise<void> {
    for (const projectNumber of this.#due) {
      this.#due.delete(projectNumber);
      const finished = this.#finished.get(projectNumber) ?? [];
      this.#finished.delete(projectNumber);
      try {
        for (const map of finished) await this.#write(projectNumber, map);
        if (finished.length === 0) while (await this.#readNext(projectNumber));
      } catch (error) {
        if (!this.#closing.signal.aborted) this.#onDeferred(error);
      }
    }
  }

  /** Maps follow each other without a gap: what has none before this one is read first. */
  async #write(projectNumber: number, map: MapInMemory): Promise<void> {
    const { lastId: to, stretches } = map;
    const words = map.words.toString();
    let from = BigInt(map.head);
    while (!(await insertMap(this.#db, { projectNumber, from, to: BigInt(to), times: rangesOf(stretches), words }))) {
      if (await this.#readNext(projectNumber, BigInt(map.head))) continue;
      from = await readMapped(this.#db, projectNumber);
      // Somebody mapped a part of it: the rest is read, when more has come.
      if (from > map.head || this.#closing.signal.aborted) return;
    }
  }

  /** False when there is nothing to read before `upTo`; without it, when there is not enough for a map yet. */
  async #readNext(projectNumber: number, upTo?: bigint): Promise<boolean> {
    if (this.#closing.signal.aborted) return false;
    const startedAt = performance.now();
    const isMapped = await readNext(this.#db, projectNumber, upTo);
    if (isMapped)
      await sleep(restFactor * (performance.now() - startedAt), undefined, { signal: this.#closing.signal });
    return isMapped;
  }
}

function entriesOf(stored: readonly StoredEntries[]): number {
  return stored.reduce((sum, { entries }) => sum + entries, 0);
}

async function readNext(db: Database, projectNumber: number, upTo: bigint | undefined): Promise<boolean> {
  const from = await readMapped(db, projectNumber);
  const commits = await readCommits(db, { number: projectNumber, from, upTo, signal: undefined });
  if (!commits || (upTo === undefined && !commits.more)) return false;
  const times = rangesOf(commits.stretches);
  const words = await readWords(db, { projectNumber, from, to: commits.lastId, times });
  // Another process may have been quicker.
  await insertMap(db, { projectNumber, from, to: commits.lastId, times, words });
  return true;
}

/** The last id that has a map. */
async function readMapped(db: Queryable, projectNumber: number): Promise<bigint> {
  const { rows } = await db.query<{ last_id: string }>(sql`
    select last_id from log_word_maps where project_number = ${projectNumber} order by first_id desc limit 1`);
  return BigInt(rows[0]?.last_id ?? 0);
}

interface NewMap {
  readonly projectNumber: number;
  /** The id before its first. */
  readonly from: bigint;
  readonly to: bigint;
  readonly times: string;
  /** As a bit string; null when anything may be in these entries. */
  readonly words: string | null;
}

/** False, and nothing is done, unless it follows the last map. */
async function insertMap(db: Queryable, { projectNumber, from, to, times, words }: NewMap): Promise<boolean> {
  const { rowCount } = await db.query(sql`
    insert into log_word_maps (project_number, first_id, last_id, times, max_ts, words)
    select ${projectNumber}, ${from + 1n}::bigint, ${to}::bigint, t, upper(t), ${words}::varbit
    from (select ${times}::tstzmultirange as t) r
    where ${from}::bigint = coalesce((
      select last_id from log_word_maps where project_number = ${projectNumber} order by first_id desc limit 1), 0)
    on conflict do nothing`);
  return rowCount > 0;
}

/** Ranges that touch become one when they are read. */
function rangesOf(stretches: readonly CommitTimeRange[]): string {
  const ranges = mergeCommitTimeRanges(stretches).map(
    ([from, to]) => `[${isoOfMicros(from)},${isoOfMicros(to + gapMicros)}]`,
  );
  return `{${ranges.join(",")}}`;
}

/** The map as a bit string; null when there is too much to read, or nothing. */
async function readWords(
  db: Queryable,
  {
    projectNumber,
    from,
    to,
    times,
  }: { readonly projectNumber: number; readonly from: bigint; readonly to: bigint; readonly times: string },
): Promise<string | null> {
  // In one value, which is half the work of as many rows. What it has where two messages meet rules nothing out.
  const { rows } = await db.query<{ messages: string | null }>(sql`
    with read as materialized (
      select l.message
      from unnest(${times}::tstzmultirange) as r(stretch)
      cross join lateral (
        select message from logs
        where project_number = ${projectNumber} and ts >= lower(stretch) and ts <= upper(stretch)
          and id > ${from}::bigint and id <= ${to}::bigint
        offset 0
      ) l
    )
    select string_agg(message, ' ') as messages from read where (select sum(octet_length(message)) from read) <= ${maxBytes}`);
  const messages = rows[0]?.messages ?? undefined;
  if (messages === undefined) return null;
  const map = new WordMap();
  for (let at = 0; at < messages.length; at += charactersAtOnce) {
    map.add(bitsOfMessages([messages.slice(at, at + charactersAtOnce + 2)]));
    await nextTurn();
  }
  return map.toString();
}

/**
 * A condition on a map that holds whenever the query holds for one of its entries that has a message. Undefined: it says
 * nothing.
 */
export function mightContain(query: QueryNode): Sql | undefined {
  const masks = masksOf(query);
  if (!masks) return undefined;
  const conditions = masks.map((mask) => sql`(words | ${mapOf(mask).toString()}::varbit) = words`);
  return sql`(${join(conditions, " or ")})`;
}

/** More would cost more on their way to the database than they spare it. */
const maxMasks = 16;

/** What the query holds for has all bits of one of them, 16 at most. Undefined: anything may match. */
function masksOf(query: QueryNode): readonly WordBits[] | undefined {
  switch (query.kind) {
    case "text":
      return query.scope === "entry" || query.scope === "message" ? maskOf(query.pattern) : undefined;
    case "and":
      return query.nodes.map(masksOf).reduce(both, undefined);
    case "or": {
      const masks = query.nodes.map(masksOf);
      if (masks.length === 0 || masks.includes(undefined)) return undefined;
      const either = masks.flatMap((of) => of as readonly WordBits[]);
      return either.length > maxMasks ? undefined : either;
    }
    default:
      return undefined;
  }
}

/** Where that would be too many, one of the two is enough. */
function both(first: readonly WordBits[] | undefined, second: readonly WordBits[] | undefined) {
  if (!first || !second) return first ?? second;
  if (first.length * second.length > maxMasks) return first.length < second.length ? first : second;
  return first.flatMap((one) => second.map((other) => Uint16Array.from([...one, ...other])));
}

/** One; undefined when the pattern has no three characters in a row. */
function maskOf(pattern: TextPattern): readonly WordBits[] | undefined {
  const bits = bitsOfMessages(pattern.filter((part) => typeof part === "string"));
  return bits.length > 0 ? [bits] : undefined;
}

function mapOf(bits: WordBits): WordMap {
  const map = new WordMap();
  map.add(bits);
  return map;
}

/**
 * Where entries of the range can be for which the query holds, as rows of `number, first_id, last_id, from_ts, to_ts`
 * (all included): of maps for which `condition` holds, and of what has no map yet. No entry is in two of them.
 */
export function placesOf(projectNumbers: readonly number[], range: TimeRange, condition: Sql): Sql {
  const from = sql`${isoOfMicros(range.fromMicros)}::timestamptz`;
  const to = sql`${isoOfMicros(range.toMicros)}::timestamptz`;
  return sql`
    select project_number as number, first_id, last_id, lower(stretch) as from_ts, upper(stretch) as to_ts
    from log_word_maps cross join lateral unnest(times) as t(stretch)
    where project_number = any(${projectNumbers}::int[]) and max_ts >= ${from}
      and (words is null or ${condition}) and stretch && tstzrange(${from}, ${to})
    union all
    select number, mapped + 1, ${maxId}::bigint, lower(stretch), upper(stretch)
    from (
      select number, coalesce((
        select last_id from log_word_maps where project_number = number order by first_id desc limit 1), 0) as mapped
      from unnest(${projectNumbers}::int[]) as p(number)
    ) m
    cross join lateral (
      select unnest(range_agg(tstzrange(min_ts, max_ts + ${gap}, '[]'))) as stretch
      from log_commits where project_number = number and last_id > mapped and max_ts >= ${from} and min_ts < ${to}
    ) c`;
}

/** Those whose entries are all past their retention lead nowhere. */
export function deleteOldSkipIndexes(db: Queryable, retentionDays: number): Promise<void> {
  return deleteSkipIndexes(
    db,
    sql`max_ts < date_trunc('day', now(), 'UTC') - ${retentionDays}::int * interval '1 day'`,
  );
}

/** All but the newest of each project, which says where to go on. */
export async function deleteSkipIndexes(db: Queryable, condition: Sql): Promise<void> {
  await db.query(sql`
    delete from log_word_maps m where ${condition}
      and exists (select from log_word_maps n where n.project_number = m.project_number and n.first_id > m.first_id)`);
}
