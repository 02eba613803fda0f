import type { Queryable } from "../db/database.ts";
import { sql } from "../db/sql.ts";

export interface KeptAnswer {
  readonly requestHash: Buffer;
  readonly sealed: Buffer;
}

/**
 * Locks `name` and returns the response stored under it. Other requests for the same name wait until
 * this transaction ends.
 */
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

/** Deletes responses that are more than a day old. */
export async function deleteOldAnswers(db: Queryable): Promise<void> {
  await db.query(sql`delete from idempotent_answers where created_at < now() - interval '1 day'`);
}
