import type { Queryable } from "../../db/database.ts";
import type { ApiError } from "../../errors.ts";
import type { StoredResult } from "../log-store.ts";
import { answersOfLedger, enterLedger } from "./idempotency-ledger.ts";
import { noteAnswers, type OnceBatch, withoutStored } from "./seen-entry-ids.ts";

/**
 * Has `store` store what is new: nothing of a request whose idempotency key is known, and no entry whose id is. What
 * was stored is noted in the same transaction, which `store` is the last to use. Returns what each batch is answered.
 */
export async function storeOnce<Batch extends OnceBatch>(
  tx: Queryable,
  batches: readonly Batch[],
  store: (fresh: readonly Batch[]) => Promise<void>,
): Promise<readonly (StoredResult | ApiError)[]> {
  const entered = await enterLedger(tx, batches);
  const first = batches.filter((batch) => entered.has(batch));
  const stored = await withoutStored(tx, first);
  await noteAnswers(tx, stored);
  const answers = await answersOfLedger(tx, batches, entered);
  const fresh = stored.filter(({ entries }) => entries.length > 0);
  if (fresh.length > 0) await store(fresh);
  const results = new Map(first.map((batch, index) => [batch, (stored[index] as Batch).result]));
  return batches.map((batch, index) => results.get(batch) ?? (answers[index] as StoredResult | ApiError));
}
