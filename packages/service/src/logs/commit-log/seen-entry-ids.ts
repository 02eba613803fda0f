import type { Queryable } from "../../db/database.ts";
import { prepared, type Sql, sql } from "../../db/sql.ts";
import type { LogBatch, StoredResult } from "../log-store.ts";
import type { NormalisedEntry } from "../normalised-entry.ts";

/** What is asked about a batch; a store may have it in a form of its own. */
export type OnceBatch = Pick<LogBatch, "projectNumber" | "result" | "idempotency"> & {
  readonly entries: readonly Pick<NormalisedEntry, "uid">[];
};

/**
 * The batches without the entries that were stored already, by what identifies them; the new ones are noted in the
 * transaction that stores them. Batches whose entries have no identity come back as they are, and cost nothing.
 */
export async function withoutStored<Batch extends OnceBatch>(
  tx: Queryable,
  batches: readonly Batch[],
): Promise<readonly Batch[]> {
  const wanted = uidsOf(batches);
  if (wanted.length === 0) return batches;
  const distinct = [...new Map(wanted.map((one) => [uidKey(one.project, one.uid), one])).values()];
  const { rows } = await tx.query<{ project_number: number; uid: string }>(
    prepared("enter entry uids", sql`${noteOf(distinct)} on conflict do nothing returning project_number, uid`),
  );
  const isNew = new Set(rows.map((row) => uidKey(row.project_number, row.uid)));
  return batches.map((batch) => {
    // Deleting takes the first of two entries with one id; the second is a repetition of it.
    const repeated: number[] = [];
    const entries = batch.entries.filter(({ uid }, place) => {
      if (uid === undefined || isNew.delete(uidKey(batch.projectNumber, uid))) return true;
      repeated.push(place);
      return false;
    });
    if (repeated.length === 0) return batch;
    return { ...batch, entries, result: { ...batch.result, duplicates: repeated.length, repeated } };
  });
}

/** Notes all of them, with SQLSTATE 23505 when one was stored already. Undefined when none has an identity. */
export function uidsEntered(batches: readonly OnceBatch[]): Sql | undefined {
  const wanted = uidsOf(batches);
  return wanted.length === 0 ? undefined : prepared("enter new entry uids", noteOf(wanted));
}

interface Uid {
  readonly project: number;
  readonly uid: string;
}

function uidsOf(batches: readonly OnceBatch[]): readonly Uid[] {
  const uids: Uid[] = [];
  for (const { projectNumber, entries } of batches) {
    for (const { uid } of entries) if (uid !== undefined) uids.push({ project: projectNumber, uid });
  }
  return uids;
}

function noteOf(uids: readonly Uid[]): Sql {
  // In one order everywhere, so that two transactions cannot wait for each other.
  const sorted = [...uids].sort((a, b) => a.project - b.project || (a.uid < b.uid ? -1 : 1));
  return sql`
    insert into log_entry_uids (project_number, uid)
    select * from unnest(${sorted.map(({ project }) => project)}::int[], ${sorted.map(({ uid }) => uid)}::text[])`;
}

/** The answer that a repetition of the request gets is the one that its first sender got. */
export async function noteAnswers(
  tx: Queryable,
  batches: readonly Pick<LogBatch, "projectNumber" | "idempotency" | "result">[],
): Promise<void> {
  for (const { projectNumber, idempotency, result } of batches) {
    if (!idempotency || !result.duplicates) continue;
    await tx.query(sql`
      update log_batches set answer = ${JSON.stringify(result satisfies StoredResult)}::jsonb
      where project_number = ${projectNumber} and idempotency_key = ${idempotency.key}`);
  }
}

/** A retry comes within minutes; the ids are remembered for two days. */
export async function deleteOldUids(db: Queryable): Promise<void> {
  await db.query(sql`delete from log_entry_uids where created_at < now() - interval '2 days'`);
}

function uidKey(projectNumber: number, uid: string): string {
  return `${projectNumber} ${uid}`;
}
