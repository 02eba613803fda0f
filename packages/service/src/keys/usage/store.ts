import type { Queryable } from "../../db/database.ts";
import { sql } from "../../db/sql.ts";

/** Requests with one secret of a key within one minute, or a part of them. */
export interface KeyUse {
  readonly keyId: string;
  readonly generation: number;
  /** Unix seconds of the start of the minute. */
  readonly minuteSeconds: number;
  readonly accepted: number;
  /**
   * Requests with a live key that were rejected: over the limit, without the scope, or from a forbidden
   * address or origin.
   */
  readonly refused: number;
  /** Unix milliseconds. */
  readonly lastUsedAtMs: number;
  /** The last use of the secret while it was valid, in Unix milliseconds, to the minute; undefined for none. */
  readonly lastValidAtMs: number | undefined;
  readonly address: string;
  readonly agent: string | undefined;
}

/**
 * Adds uses to the records of keys, in one statement. Counts are added and times only advance, so the
 * order does not matter. Uses are sent column by column, since one object per use costs more in the
 * service and in the database. Uses of deleted keys are skipped; fails with SQLSTATE 23503 when a key
 * is deleted concurrently.
 */
export async function addKeyUses(db: Queryable, uses: readonly KeyUse[]): Promise<void> {
  const column = (member: "keyId" | "generation" | "minuteSeconds" | "accepted" | "refused" | "lastUsedAtMs") =>
    `{${uses.map((use) => use[member]).join(",")}}`;
  const validTimes = JSON.stringify(uses.map(({ lastValidAtMs }) => lastValidAtMs ?? null));
  const addresses = JSON.stringify(uses.map(({ address }) => address));
  const agents = JSON.stringify(uses.map(({ agent }) => agent ?? null));
  await db.query(sql`
    with used as (
      select key_id, generation, to_timestamp(minute) as minute, accepted, refused, to_timestamp(at / 1000) as at,
             to_timestamp(valid_at::float8 / 1000) as valid_at, address, agent
      from rows from (
        unnest(${column("keyId")}::uuid[], ${column("generation")}::int[], ${column("minuteSeconds")}::bigint[],
               ${column("accepted")}::int[], ${column("refused")}::int[], ${column("lastUsedAtMs")}::float8[]),
        jsonb_array_elements_text(${validTimes}), jsonb_array_elements_text(${addresses}), jsonb_array_elements_text(${agents})
      ) as u(key_id, generation, minute, accepted, refused, at, valid_at, address, agent)
      where exists (select from keys where id = key_id)
    ), counted as (
      insert into key_usage as k (key_id, generation, minute, accepted, refused)
      select key_id, generation, minute, sum(accepted), sum(refused) from used
      group by key_id, minute, generation order by key_id, minute, generation
      on conflict (key_id, minute, generation)
      do update set accepted = k.accepted + excluded.accepted, refused = k.refused + excluded.refused
    )
    insert into key_secret_uses as s
      (key_id, generation, uses, last_used_at, last_valid_at, last_used_address, last_used_agent)
    select key_id, generation, sum(accepted + refused), max(at), max(valid_at), (array_agg(address order by at desc))[1],
           (array_agg(agent order by at desc))[1]
    from used group by key_id, generation order by key_id, generation
    on conflict (key_id, generation) do update set
      uses = s.uses + excluded.uses,
      last_used_at = greatest(s.last_used_at, excluded.last_used_at),
      last_valid_at = greatest(s.last_valid_at, excluded.last_valid_at),
      last_used_address = case when excluded.last_used_at >= s.last_used_at
                               then excluded.last_used_address else s.last_used_address end,
      last_used_agent = case when excluded.last_used_at >= s.last_used_at
                             then excluded.last_used_agent else s.last_used_agent end`);
}

export interface UsagePoint {
  readonly start: Date;
  readonly generation: number;
  readonly accepted: number;
  readonly refused: number;
}

/**
 * Returns the usage of a key from `from` up to `to`, in steps of `stepSeconds`, oldest first. Steps
 * without requests are omitted.
 */
export async function listKeyUsage(
  db: Queryable,
  keyId: string,
  { from, to, stepSeconds }: { from: Date; to: Date; stepSeconds: number },
): Promise<readonly UsagePoint[]> {
  const { rows } = await db.query<{ start: Date; generation: number; accepted: string; refused: string }>(sql`
    select date_bin(make_interval(secs => ${stepSeconds}), minute, timestamptz 'epoch') as start, generation,
           sum(accepted) as accepted, sum(refused) as refused
    from key_usage
    where key_id = ${keyId} and minute >= ${from} and minute < ${to}
    group by 1, 2 order by 1, 2`);
  return rows.map(({ start, generation, accepted, refused }) => ({
    start,
    generation,
    accepted: Number(accepted),
    refused: Number(refused),
  }));
}

/** Deletes usage per minute after 90 days. The totals in `key_secret_uses` are kept as long as the key. */
export async function deleteOldKeyUsage(db: Queryable): Promise<void> {
  await db.query(sql`delete from key_usage where minute < now() - interval '90 days'`);
}
