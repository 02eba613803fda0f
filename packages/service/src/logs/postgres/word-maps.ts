import { setImmediate as nextTurn, setTimeout as sleep } from "node:timers/promises";
import { fold, type QueryNode, type TextPattern } from "@sazabi/sdk/protocol";
import type { Database, Queryable } from "../../store/database.ts";
import { join, type Sql, sql } from "../../store/sql.ts";
import { isoOfMicros } from "../time.ts";
import { type Commits, maxId, readCommits } from "./follow.ts";
import type { TimeRange } from "./parts.ts";

/** As in the table: two maps fit on a page, and the trigrams of some thousand entries fill a fifth of one. */
const mapBits = 30_720;

/** Entries that were stored here before maps are made of what is there: nearly as many as one holds. */
const entriesBetween = 5_000;
/** Entries with longer messages than this, together, get a map that says nothing. */
const maxBytes = 16 * 1024 * 1024;
/** Characters after which others have their turn: about a millisecond. */
const charactersAtOnce = 100_000;
/** Of the time between two maps, so many times what the last one took goes to others: storing comes first. */
const restFactor = 4;
/** Times closer than this are one: few long ranges are read faster than many short ones. */
const gap = sql`interval '1 minute'`;
const gapMicros = 60_000_000;

/**
 * Maps what was stored, behind the back of those who store: some thousand consecutive entries at a time, and not
 * before there are so many. What is not mapped yet, or never will be because this process ended, is read by searches
 * like any entry; whoever maps next begins there.
 */
export class WordMaps {
  readonly #db: Database;
  readonly #onPutOff: (error: unknown) => void;
  readonly #stored = new Map<number, number>();
  readonly #due = new Set<number>();
  readonly #closing = new AbortController();
  #running: Promise<void> | undefined;

  constructor(db: Database, onPutOff: (error: unknown) => void) {
    this.#db = db;
    this.#onPutOff = onPutOff;
  }

  /** Call when entries are committed. */
  stored(projectNumber: number, entries: number): void {
    const stored = (this.#stored.get(projectNumber) ?? 0) + entries;
    this.#stored.set(projectNumber, stored % entriesBetween);
    if (stored >= entriesBetween) this.#map([projectNumber]);
  }

  /** Sees to what a process that ended left unmapped. */
  async catchUp(): Promise<void> {
    const { rows } = await this.#db.query<{ project_number: number }>(sql`
      select project_number from log_heads h
      where last_id - ${2 * entriesBetween}::bigint > coalesce((
        select last_id from log_word_maps m where m.project_number = h.project_number order by first_id desc limit 1), 0)
        and exists (select from logs l where l.project_number = h.project_number)`);
    this.#map(rows.map((row) => row.project_number));
  }

  #map(projectNumbers: readonly number[]): void {
    for (const projectNumber of projectNumbers) this.#due.add(projectNumber);
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined;
      // What became due between its last step and this one.
      if (this.#due.size > 0) this.#map([]);
    });
  }

  /** Leaves what is not mapped yet to whoever comes next. */
  async close(): Promise<void> {
    this.#closing.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    for (const projectNumber of this.#due) {
      this.#due.delete(projectNumber);
      try {
        while (!this.#closing.signal.aborted && (await this.#mapNext(projectNumber)));
      } catch (error) {
        if (!this.#closing.signal.aborted) this.#onPutOff(error);
      }
    }
  }

  async #mapNext(projectNumber: number): Promise<boolean> {
    const startedAt = performance.now();
    const mapped = await mapNext(this.#db, projectNumber);
    if (mapped) await sleep(restFactor * (performance.now() - startedAt), undefined, { signal: this.#closing.signal });
    return mapped;
  }
}

/** False when there are not enough entries for a map yet. */
async function mapNext(db: Database, projectNumber: number): Promise<boolean> {
  const { rows } = await db.query<{ last_id: string }>(sql`
    select last_id from log_word_maps where project_number = ${projectNumber} order by first_id desc limit 1`);
  const from = BigInt(rows[0]?.last_id ?? 0);
  const commits = await readCommits(db, { number: projectNumber, from, signal: undefined });
  if (!commits?.more) return false;
  const times = rangesOf(commits.stretches);
  const words = await readWords(db, { projectNumber, from, to: commits.lastId, times });
  // Another process may have been quicker.
  await db.query(sql`
    insert into log_word_maps (project_number, first_id, last_id, times, max_ts, words)
    select ${projectNumber}, ${from + 1n}::bigint, ${commits.lastId}::bigint, t, upper(t), ${words}::varbit
    from (select ${times}::tstzmultirange as t) r
    on conflict do nothing`);
  return true;
}

/** Ranges that touch become one when they are read. */
function rangesOf(stretches: Commits["stretches"]): string {
  const ranges = stretches.map(([from, to]) => `[${isoOfMicros(from)},${isoOfMicros(to + gapMicros)}]`);
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
  const map = Buffer.alloc(mapBits / 8);
  const folded = fold(messages);
  for (let at = 0; at < folded.length; at += charactersAtOnce) {
    addTrigrams(map, folded.slice(at, at + charactersAtOnce + 2));
    await nextTurn();
  }
  return bitsOf(map);
}

/** A condition on a map that holds whenever the query holds for one of its entries. Undefined: it says nothing. */
export function mayHold(query: QueryNode): Sql | undefined {
  const masks = masksOf(query);
  if (!masks) return undefined;
  const conditions = masks.map((mask) => sql`(words | ${bitsOf(mask)}::varbit) = words`);
  return sql`(${join(conditions, " or ")})`;
}

/** More would cost more on their way to the database than they spare it. */
const maxMasks = 16;

/** What the query holds for has all bits of one of them, 16 at most. Undefined: anything may match. */
function masksOf(query: QueryNode): readonly Buffer[] | undefined {
  switch (query.kind) {
    case "text":
      return maskOf(query.pattern);
    case "and":
      return query.nodes.map(masksOf).reduce(both, undefined);
    case "or": {
      const masks = query.nodes.map(masksOf);
      if (masks.length === 0 || masks.includes(undefined)) return undefined;
      const either = masks.flatMap((of) => of as readonly Buffer[]);
      return either.length > maxMasks ? undefined : either;
    }
    default:
      return undefined;
  }
}

/** Where that would be too many, one of the two is enough. */
function both(first: readonly Buffer[] | undefined, second: readonly Buffer[] | undefined) {
  if (!first || !second) return first ?? second;
  if (first.length * second.length > maxMasks) return first.length < second.length ? first : second;
  return first.flatMap((one) =>
    second.map((other) => Buffer.from(one.map((byte, at) => byte | (other[at] as number)))),
  );
}

/** One; undefined when the pattern has no three characters in a row. */
function maskOf(pattern: TextPattern): readonly Buffer[] | undefined {
  const mask = Buffer.alloc(mapBits / 8);
  for (const part of pattern) if (typeof part === "string") addTrigrams(mask, part);
  return mask.some((byte) => byte !== 0) ? [mask] : undefined;
}

/** As PostgreSQL reads a bit string. */
function bitsOf(map: Buffer): string {
  return `x${map.toString("hex")}`;
}

/** Of a folded text, in units of UTF-16: what occurs in a text has its trigrams. */
function addTrigrams(map: Buffer, text: string): void {
  let before = text.charCodeAt(0);
  let last = text.charCodeAt(1);
  for (let at = 2; at < text.length; at++) {
    const next = text.charCodeAt(at);
    const bit = hash(before, last, next) % mapBits;
    map[bit >>> 3] = (map[bit >>> 3] as number) | (1 << (bit & 7));
    before = last;
    last = next;
  }
}

function hash(first: number, second: number, third: number): number {
  let mixed = Math.imul(first, 0x9e3779b1) + second;
  mixed = Math.imul(mixed, 0x85ebca6b) + third;
  mixed = Math.imul(mixed ^ (mixed >>> 15), 0xc2b2ae35);
  return (mixed ^ (mixed >>> 13)) >>> 0;
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
export function deleteOldWordMaps(db: Queryable, retentionDays: number): Promise<void> {
  return deleteWordMaps(db, sql`max_ts < date_trunc('day', now(), 'UTC') - ${retentionDays}::int * interval '1 day'`);
}

/** All but the newest of each project, which says where to go on. */
export async function deleteWordMaps(db: Queryable, condition: Sql): Promise<void> {
  await db.query(sql`
    delete from log_word_maps m where ${condition}
      and exists (select from log_word_maps n where n.project_number = m.project_number and n.first_id > m.first_id)`);
}
