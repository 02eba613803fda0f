import type { Queryable } from "../../../db/database.ts";
import { raw, sql } from "../../../db/sql.ts";
import { dayMicros, listPartitions } from "./days.ts";
import { deleteSkipIndexes } from "./skip-index.ts";
import { rollUpVolume } from "./volume-rollup.ts";

/** Few enough that a batch is done in a fraction of a second. */
const rowsAtOnce = 10_000;

interface Expiry {
  readonly projectNumber: number;
  /** ISO 8601; what is older is past its retention. */
  readonly before: string;
  readonly beforeMicros: number;
}

/**
 * Removes the rows of projects that are kept for a shorter time than others; readers do not see them any more anyway.
 * Where a partition holds nothing else it is emptied row by row too: to drop it, nobody might write to it.
 */
export async function removeExpired(db: Queryable, serviceDays: number): Promise<void> {
  const expiries = await listExpiries(db, serviceDays);
  if (expiries.length === 0) return;
  for (const { fromDay, name } of await listPartitions(db)) {
    for (const expiry of expiries) {
      if (fromDay * dayMicros < expiry.beforeMicros) await emptyPartition(db, name, expiry);
    }
  }
  // Or what is put together later would bring back what is removed here.
  await rollUpVolume(db);
  for (const { projectNumber, before } of expiries) {
    await db.query(sql`
      delete from log_volume where project_number = ${projectNumber} and minute < ${before}::timestamptz`);
    await db.query(sql`
      delete from log_commits where project_number = ${projectNumber} and max_ts < ${before}::timestamptz`);
    await deleteSkipIndexes(db, sql`project_number = ${projectNumber} and max_ts < ${before}::timestamptz`);
  }
}

async function listExpiries(db: Queryable, serviceDays: number): Promise<readonly Expiry[]> {
  const { rows } = await db.query<{ number: number; before: Date }>(sql`
    select number, date_trunc('minute', now() - retention_days * interval '1 day') as before
    from projects where retention_days < ${serviceDays}`);
  return rows.map(({ number, before }) => ({
    projectNumber: number,
    before: before.toISOString(),
    beforeMicros: before.getTime() * 1000,
  }));
}

async function emptyPartition(db: Queryable, partition: string, { projectNumber, before }: Expiry): Promise<void> {
  for (let removed = rowsAtOnce; removed === rowsAtOnce; ) {
    const { rowCount } = await db.query(sql`
      delete from ${raw(partition)} where ctid = any(array(
        select ctid from ${raw(partition)}
        where project_number = ${projectNumber} and ts < ${before}::timestamptz
        order by ts limit ${rowsAtOnce}))`);
    removed = rowCount;
  }
}
