import type { Queryable } from "../../db/database.ts";
import { sql } from "../../db/sql.ts";

/** What replicas must forget: one key, or all keys of an organization. */
type KeyChangeTarget = { readonly keyId: string } | { readonly organizationId: string };

/** `seq` ascends in the order of commits: who has seen one change has seen all before it. */
export type KeyChange = KeyChangeTarget & { readonly seq: number };

export const keyChangeChannel = "sazabi_key_changes";
export const acknowledgementChannel = "sazabi_key_acknowledgements";

/**
 * The change that has to be forgotten everywhere before this transaction may be answered: the latest it made, as the
 * triggers of `keys`, `key_secrets` and `organizations` recorded it. When it made none, the latest of all: what it found to be so
 * already may be the work of another call that still waits.
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

/** A change as its notification carries it. Undefined for a text that is none. */
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

/** The changes after `seq`, in order; undefined when some of them are kept no more. */
export async function listKeyChanges(db: Queryable, after: number): Promise<readonly KeyChange[] | undefined> {
  const { rows } = await db.query<{ seq: string; key_id: string | null; organization_id: string | null }>(sql`
    select seq, key_id, organization_id from key_changes where seq > ${after} order by seq`);
  const changes = rows.map(({ seq, key_id, organization_id }): KeyChange => {
    const target = key_id ? { keyId: key_id } : { organizationId: organization_id as string };
    return { seq: Number(seq), ...target };
  });
  return changes.length > 0 && changes[0]?.seq !== after + 1 ? undefined : changes;
}

/** Changes that every replica has long seen. */
export async function deleteOldKeyChanges(db: Queryable): Promise<void> {
  await db.query(sql`delete from key_changes where changed_at < now() - interval '1 hour'`);
}

/** What a renewal tells: the latest change, and the database's clock. */
export interface Renewal {
  readonly head: number;
  /** Unix milliseconds, by the database. */
  readonly databaseTimeMs: number;
}

interface RenewalRow {
  head: string;
  time_ms: string;
}

const renewalColumns = sql`
  (select seq from key_change_head) as head, extract(epoch from clock_timestamp()) * 1000 as time_ms`;

/** Enters a replica whose cache is empty: it has nothing to forget. */
export async function insertReplica(db: Queryable, id: string): Promise<Renewal> {
  const { rows } = await db.query<RenewalRow>(sql`
    insert into replicas (id, acknowledged) select ${id}, seq from key_change_head
    returning acknowledged as head, extract(epoch from clock_timestamp()) * 1000 as time_ms`);
  return toRenewal(rows[0] as RenewalRow);
}

/** Undefined when the replica is not entered any more: it has been away for long. */
export async function renewReplica(db: Queryable, id: string): Promise<Renewal | undefined> {
  const { rows } = await db.query<RenewalRow>(sql`
    update replicas set renewals = renewals + 1, renewed_at = now() where id = ${id} returning ${renewalColumns}`);
  return rows[0] && toRenewal(rows[0]);
}

/**
 * Says that the replica has forgotten everything up to `seq`, and tells those who wait for it. Not flushed to disk: what a crash
 * takes back is only that it was said, and whoever waits then waits longer.
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

/** Processes whose lease was renewed within the last six seconds. */
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
