import type { Queryable } from "../../db/database.ts";
import { sql } from "../../db/sql.ts";

/** The cache entries that replicas must drop: one key, or all keys of an organization. */
type KeyChangeTarget = { readonly keyId: string } | { readonly organizationId: string };

/** `seq` ascends in commit order: a replica that has processed one change has processed all earlier ones. */
export type KeyChange = KeyChangeTarget & { readonly seq: number };

export const keyChangeChannel = "sazabi_key_changes";
export const acknowledgementChannel = "sazabi_key_acknowledgements";

/**
 * Returns the `seq` that all replicas must process before the response to this transaction is sent.
 * This is the latest change of the transaction, as recorded by the triggers of `keys`, `key_secrets`
 * and `organizations`. If the transaction made no change, it is the latest change overall: the state
 * it read may come from another call that is still waiting.
 */
export async function keyChangeToAwait(tx: Queryable): Promise<number> {
  const { rows } = await tx.query<{ seq: string }>(sql`
    select coalesce(
      (select max(c.seq) from key_changes c
       where c.seq > head.seq - 1000 and c.transaction_id = pg_current_xact_id_if_assigned()),
      head.seq) as seq
    from key_change_head head`);
  return Number((rows[0] as { seq: string }).seq);
}

/** Parses the payload of a notification. Returns undefined for an invalid payload. */
export function parseKeyChange(payload: string): KeyChange | undefined {
  try {
    const { seq, keyId, organizationId } = JSON.parse(payload);
    if (!Number.isSafeInteger(seq)) return undefined;
    return typeof keyId === "string"
      ? { seq, keyId }
      : typeof organizationId === "string"
        ? { seq, organizationId }
        : undefined;
  } catch {
    return undefined;
  }
}

/** Returns the changes after `seq` in order, or undefined when some of them have been deleted. */
export async function listKeyChanges(db: Queryable, after: number): Promise<readonly KeyChange[] | undefined> {
  const { rows } = await db.query<{ seq: string; key_id: string | null; organization_id: string | null }>(sql`
    select seq, key_id, organization_id from key_changes where seq > ${after} order by seq`);
  const changes = rows.map(({ seq, key_id, organization_id }): KeyChange => {
    const target = key_id ? { keyId: key_id } : { organizationId: organization_id as string };
    return { seq: Number(seq), ...target };
  });
  return changes.length > 0 && changes[0]?.seq !== after + 1 ? undefined : changes;
}

/** Deletes changes that every replica processed long ago. */
export async function deleteOldKeyChanges(db: Queryable): Promise<void> {
  await db.query(sql`delete from key_changes where changed_at < now() - interval '1 hour'`);
}

/** The result of a lease renewal: the latest change and the database time. */
export interface Renewal {
  readonly head: number;
  /** Unix milliseconds by the clock of the database. */
  readonly databaseTimeMs: number;
}

interface RenewalRow {
  head: string;
  time_ms: string;
}

const renewalColumns = sql`
  (select seq from key_change_head) as head, extract(epoch from clock_timestamp()) * 1000 as time_ms`;

/** Registers a replica with an empty cache. */
export async function insertReplica(db: Queryable, id: string): Promise<Renewal> {
  const { rows } = await db.query<RenewalRow>(sql`
    insert into replicas (id, acknowledged) select ${id}, seq from key_change_head
    returning acknowledged as head, extract(epoch from clock_timestamp()) * 1000 as time_ms`);
  return toRenewal(rows[0] as RenewalRow);
}

/** Renews the lease of a replica. Returns undefined when its row was deleted because it was inactive for too long. */
export async function renewReplica(db: Queryable, id: string): Promise<Renewal | undefined> {
  const { rows } = await db.query<RenewalRow>(sql`
    update replicas set renewals = renewals + 1, renewed_at = now() where id = ${id} returning ${renewalColumns}`);
  return rows[0] && toRenewal(rows[0]);
}

/**
 * Records that the replica has processed all changes up to `seq`, and notifies the processes that wait
 * for it. The commit is not flushed to disk: a crash can lose only the acknowledgement, and waiting
 * processes then wait longer.
 */
export async function acknowledgeKeyChanges(db: Queryable, id: string, seq: number): Promise<void> {
  await db.query(sql`
    with unhurried as (select set_config('synchronous_commit', 'off', true)),
         told as (update replicas set acknowledged = ${seq} where id = ${id} returning acknowledged)
    select pg_notify(${acknowledgementChannel}, json_build_object('replica', ${id}::text, 'seq', acknowledged)::text)
    from told, unhurried`);
}

export interface ReplicaState {
  readonly id: string;
  readonly renewals: number;
  readonly acknowledged: number;
}

export async function listReplicas(db: Queryable): Promise<readonly ReplicaState[]> {
  const { rows } = await db.query<{ id: string; renewals: string; acknowledged: string }>(
    sql`select id, renewals, acknowledged from replicas`,
  );
  return rows.map(({ id, renewals, acknowledged }) => ({
    id,
    renewals: Number(renewals),
    acknowledged: Number(acknowledged),
  }));
}

/** Returns the number of processes whose lease was renewed within the last six seconds. */
export async function countReplicas(db: Queryable): Promise<number> {
  const { rows } = await db.query<{ count: string }>(
    sql`select count(*) as count from replicas where renewed_at > now() - interval '6 seconds'`,
  );
  return Number(rows[0]?.count);
}

export async function deleteReplica(db: Queryable, id: string): Promise<void> {
  await db.query(sql`delete from replicas where id = ${id}`);
}

function toRenewal({ head, time_ms }: RenewalRow): Renewal {
  return { head: Number(head), databaseTimeMs: Number(time_ms) };
}
