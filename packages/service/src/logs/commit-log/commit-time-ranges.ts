import type { Queryable } from "../../db/database.ts";
import { sql } from "../../db/sql.ts";

/** From and to, both included, in microseconds since 1970. */
export type CommitTimeRange = readonly [fromMicros: number, toMicros: number];

/** Entries closer than this are one stretch. */
const gapMicros = 60_000_000;
const maxStretches = 16;

/**
 * The stretches of time that the entries of one transaction lie in, so that whoever looks for them by id does not read
 * the hours between. At most 16: the smallest gaps are closed.
 */
export function stretchesOf(times: readonly number[]): readonly CommitTimeRange[] {
  let first = Number.POSITIVE_INFINITY;
  let last = Number.NEGATIVE_INFINITY;
  for (const micros of times) {
    if (micros < first) first = micros;
    if (micros > last) last = micros;
  }
  if (last - first <= gapMicros) return [[first, last]];
  const sorted = Float64Array.from(times).sort();
  const gaps: number[] = [];
  for (let at = 1; at < sorted.length; at++) {
    if ((sorted[at] as number) - (sorted[at - 1] as number) > gapMicros) gaps.push(at);
  }
  const widest = gaps
    .sort((a, b) => gapBefore(sorted, b) - gapBefore(sorted, a))
    .slice(0, maxStretches - 1)
    .sort((a, b) => a - b);
  const starts = [0, ...widest];
  return starts.map((start, index) => [
    sorted[start] as number,
    sorted[(starts[index + 1] ?? sorted.length) - 1] as number,
  ]);
}

/** Stretches that touch become one: no entry lies in two of them. */
export function mergeCommitTimeRanges(stretches: readonly CommitTimeRange[]): readonly CommitTimeRange[] {
  const merged: [number, number][] = [];
  for (const [from, to] of [...stretches].sort((a, b) => a[0] - b[0])) {
    const before = merged.at(-1);
    if (before && from <= before[1]) before[1] = Math.max(before[1], to);
    else merged.push([from, to]);
  }
  return merged;
}

/** Commits whose entries are all past their retention lead nowhere. */
export async function deleteOldCommits(db: Queryable, retentionDays: number): Promise<void> {
  await db.query(sql`
    delete from log_commits
    where max_ts < date_trunc('day', now(), 'UTC') - ${retentionDays}::int * interval '1 day'`);
}

function gapBefore(sorted: Float64Array, at: number): number {
  return (sorted[at] as number) - (sorted[at - 1] as number);
}
