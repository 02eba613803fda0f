import type { Queryable } from "../../../db/database.ts";
import { sql } from "../../../db/sql.ts";
import { ch, int64, joined, type Statement } from "./statement.ts";

/** What of a project's rows was committed: those up to `head`, without the ranges of inserts nobody was told of. */
export interface Visible {
  readonly head: bigint;
  /** First and last id of each, both included; ascending, and apart from each other. */
  readonly holes: readonly (readonly [first: bigint, last: bigint])[];
}

/**
 * As of one moment: an insert under way is beyond the head or among the holes, never half visible. A project without
 * entries is not among them.
 */
export async function readVisible(
  db: Queryable,
  projectNumbers: readonly number[],
): Promise<ReadonlyMap<number, Visible>> {
  const { rows } = await db.query<{ project_number: number; head: string; firsts: string[]; lasts: string[] }>(sql`
    select h.project_number, h.last_id::text as head, n.firsts, n.lasts
    from log_heads h
    cross join lateral (
      select coalesce(array_agg(i.first_id::text order by i.last_id), '{}') as firsts,
             coalesce(array_agg(i.last_id::text order by i.last_id), '{}') as lasts
      from log_inserts i where i.project_number = h.project_number
    ) n
    where h.project_number = any(${projectNumbers}::int[]) and h.last_id > 0`);
  return new Map(
    rows.map(({ project_number, head, firsts, lasts }) => [
      project_number,
      {
        head: BigInt(head),
        holes: merged(firsts.map((first, index) => [BigInt(first), BigInt(lasts[index] as string)])),
      },
    ]),
  );
}

/** While ClickHouse is away attempt follows attempt: their ranges lie side by side, and are one hole. */
function merged(ranges: readonly (readonly [bigint, bigint])[]): Visible["holes"] {
  const holes: [bigint, bigint][] = [];
  for (const [first, last] of ranges) {
    const before = holes.at(-1);
    // In the order of their last ids, which no two share.
    if (before && first <= before[1] + 1n) before[1] = last;
    else holes.push([first, last]);
  }
  return holes;
}

/** A condition on rows of these projects. */
export function isVisible(visible: ReadonlyMap<number, Visible>): Statement {
  if (visible.size === 0) return ch`false`;
  const projects = [...visible].map(([number, { head, holes }]) => {
    const conditions = [ch`project_number = ${int64(number)}`, ch`id <= ${int64(head)}`];
    for (const hole of holes) if (hole[0] <= head) conditions.push(isOutside(hole));
    return ch`(${joined(conditions, " and ")})`;
  });
  return ch`(${joined(projects, " or ")})`;
}

export function isOutside([first, last]: Visible["holes"][number]): Statement {
  return ch`not (id between ${int64(first)} and ${int64(last)})`;
}
