import type { Queryable } from "../../db/database.ts";
import { prepared, type Sql, sql } from "../../db/sql.ts";
import { ApiError } from "../../errors.ts";
import type { LogBatch, StoredResult } from "../log-store.ts";

type LedgerBatch = Pick<LogBatch, "projectNumber" | "result" | "idempotency">;
type KeyedBatch = LedgerBatch & Required<Pick<LogBatch, "idempotency">>;

/**
 * Enters the batches that carry an idempotency key, in the transaction that stores their rows. Returns the batches
 * to store: those without a key, and those whose key is new.
 */
export async function enterLedger<Batch extends LedgerBatch>(
  tx: Queryable,
  batches: readonly Batch[],
): Promise<ReadonlySet<Batch>> {
  const keyed = batches.filter(isKeyed);
  if (keyed.length === 0) return new Set(batches);
  const { rows } = await tx.query<{ project_number: number; idempotency_key: string }>(
    prepared(
      "enter log ledger",
      sql`${entriesOf(keyed)} on conflict do nothing returning project_number, idempotency_key`,
    ),
  );
  const isNew = new Set(rows.map((row) => batchKey(row.project_number, row.idempotency_key)));
  const entered = new Set<Batch>();
  for (const batch of batches) {
    // Deleting takes the first of two batches that came with one key; the second is a repetition of it.
    if (!isKeyed(batch) || isNew.delete(batchKey(batch.projectNumber, batch.idempotency.key))) entered.add(batch);
  }
  return entered;
}

/** As `enterLedger` where all of them are new: with SQLSTATE 23505 when one is not. Undefined when none carries a key. */
export function insertLedgerEntries(batches: readonly LedgerBatch[]): Sql | undefined {
  const keyed = batches.filter(isKeyed);
  return keyed.length === 0 ? undefined : prepared("enter new log ledger", entriesOf(keyed));
}

function entriesOf(batches: readonly KeyedBatch[]): Sql {
  const keyed = sorted(batches);
  return sql`
    insert into log_batches (project_number, idempotency_key, body_hash, answer)
    select * from unnest(
      ${keyed.map(({ projectNumber }) => projectNumber)}::int[],
      ${keyed.map(({ idempotency }) => idempotency.key)}::text[],
      ${keyed.map(({ idempotency }) => idempotency.bodyHash)}::bytea[],
      ${keyed.map(({ result }) => JSON.stringify(result))}::jsonb[])`;
}

/** What each batch is answered: its own result, the first answer to its key, or a refusal. */
export async function answersOfLedger(
  tx: Queryable,
  batches: readonly LedgerBatch[],
  entered: ReadonlySet<LedgerBatch>,
): Promise<readonly (StoredResult | ApiError)[]> {
  const repeated = batches.filter((batch) => !entered.has(batch)).filter(isKeyed);
  if (repeated.length === 0) return batches.map(({ result }) => result);
  const { rows } = await tx.query<{
    project_number: number;
    idempotency_key: string;
    body_hash: Buffer;
    answer: StoredResult;
  }>(
    prepared(
      "read log ledger",
      sql`
        select b.project_number, b.idempotency_key, b.body_hash, b.answer
        from log_batches b
        join unnest(
          ${repeated.map(({ projectNumber }) => projectNumber)}::int[],
          ${repeated.map(({ idempotency }) => idempotency.key)}::text[]
        ) as u(project_number, idempotency_key)
          on b.project_number = u.project_number and b.idempotency_key = u.idempotency_key`,
    ),
  );
  const known = new Map(rows.map((row) => [batchKey(row.project_number, row.idempotency_key), row]));
  return batches.map((batch) => {
    if (entered.has(batch) || !isKeyed(batch)) return batch.result;
    const first = known.get(batchKey(batch.projectNumber, batch.idempotency.key));
    return first?.body_hash.equals(batch.idempotency.bodyHash) ? first.answer : otherBody();
  });
}

/** A retry comes within minutes; the ledger remembers two days. */
export async function deleteOldBatches(db: Queryable): Promise<void> {
  await db.query(sql`delete from log_batches where created_at < now() - interval '2 days'`);
}

function otherBody(): ApiError {
  return new ApiError("CONFLICT", "This Idempotency-Key was used with another body. Use a new key for new entries.");
}

function isKeyed<Batch extends LedgerBatch>(batch: Batch): batch is Batch & KeyedBatch {
  return batch.idempotency !== undefined;
}

function batchKey(projectNumber: number, key: string): string {
  return `${projectNumber} ${key}`;
}

/** In one order everywhere, so that two transactions cannot wait for each other. */
function sorted(batches: readonly KeyedBatch[]): readonly KeyedBatch[] {
  return [...batches].sort(
    (a, b) => a.projectNumber - b.projectNumber || (a.idempotency.key < b.idempotency.key ? -1 : 1),
  );
}
