import type { Queryable } from "../../db/database.ts";
import { sql } from "../../db/sql.ts";
import type { StoredSecret } from "./keys.ts";

/* Callers must have checked in the same transaction that the key belongs to the owner. */

/**
 * Gives a key its next secret; the previous one works for another `graceSeconds`. Returns false when a
 * rotation is in progress, since a third secret would end the first one without a request to do so.
 */
export async function beginRotation(
  tx: Queryable,
  keyId: string,
  graceSeconds: number,
  secret: StoredSecret,
): Promise<boolean> {
  if (await lockRotation(tx, keyId)) return false;
  const { rows } = await tx.query<{ generation: number }>(sql`
    update key_secrets set retires_at = now() + make_interval(secs => ${graceSeconds})
    where key_id = ${keyId} and retires_at is null
    returning (select max(generation) from key_secrets where key_id = ${keyId}) as generation`);
  await tx.query(sql`
    insert into key_secrets (digest, key_id, pepper_version, last_four, generation)
    values (${secret.digest}, ${keyId}, ${secret.pepperVersion}, ${secret.lastFour}, ${(rows[0]?.generation ?? 0) + 1})`);
  return true;
}

/**
 * Ends the grace period of the previous secret in `graceSeconds`; never extends it. Returns false when
 * no rotation is in progress.
 */
export async function finishRotation(tx: Queryable, keyId: string, graceSeconds: number): Promise<boolean> {
  if (!(await lockRotation(tx, keyId))) return false;
  await tx.query(sql`
    update key_secrets set retires_at = least(retires_at, now() + make_interval(secs => ${graceSeconds}))
    where key_id = ${keyId} and retires_at > now()`);
  return true;
}

/**
 * Makes the previous secret the current one again; the new one stops working. Returns false when no
 * rotation is in progress.
 */
export async function cancelRotation(tx: Queryable, keyId: string): Promise<boolean> {
  const previous = await lockRotation(tx, keyId);
  if (!previous) return false;
  await tx.query(sql`update key_secrets set retires_at = now() where key_id = ${keyId} and retires_at is null`);
  await tx.query(sql`
    update key_secrets set retires_at = null where key_id = ${keyId} and generation = ${previous.generation}`);
  return true;
}

/**
 * Returns the previous secret that still works, if any, and locks the key against other rotations
 * until this transaction ends.
 */
async function lockRotation(tx: Queryable, keyId: string): Promise<{ generation: number } | undefined> {
  await tx.query(sql`select 1 from keys where id = ${keyId} for no key update`);
  const { rows } = await tx.query<{ generation: number }>(sql`
    select generation from key_secrets where key_id = ${keyId} and retires_at > now()`);
  return rows[0];
}
