import type { Queryable } from "../db/database.ts";
import { sql } from "../db/sql.ts";

export interface KeptAnswer {
  readonly requestHash: Buffer;
  readonly sealed: Buffer;
}

/** The answer kept under `name`. Whoever asks for the same one waits until this transaction ends. */
export async function lockAnswer(tx: Queryable, organizationId: string, name: Buffer): Promise<KeptAnswer | undefined> {
  await tx.query(sql`select pg_advisory_xact_lock(${name.readInt32BE(0)}, ${name.readInt32BE(4)})`);
  const { rows } = await tx.query<{ request_hash: Buffer; sealed_answer: Buffer }>(sql`
    select request_hash, sealed_answer from idempotent_answers where organization_id = ${organizationId} and name = ${name}`);
  return rows[0] && { requestHash: rows[0].request_hash, sealed: rows[0].sealed_answer };
}

export async function keepAnswer(
  tx: Queryable,
  organizationId: string,
  name: Buffer,
  { requestHash, sealed }: KeptAnswer,
): Promise<void> {
  await tx.query(sql`
    insert into idempotent_answers (organization_id, name, request_hash, sealed_answer)
    values (${organizationId}, ${name}, ${requestHash}, ${sealed})`);
}

/** Answers are kept for a day: longer than anybody retries, and no longer than they must be. */
export async function deleteOldAnswers(db: Queryable): Promise<void> {
  await db.query(sql`delete from idempotent_answers where created_at < now() - interval '1 day'`);
}
