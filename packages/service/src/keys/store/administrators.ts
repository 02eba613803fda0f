import type { Queryable } from "../../db/database.ts";
import { sql } from "../../db/sql.ts";

/**
 * Returns until when some secret key can administer the organization, in Unix seconds by the clock of
 * the database: Infinity for a key that does not expire, 0 when there is no key. Such a key is live,
 * has `write:keys` in all projects, and accepts `address`, from which the organization is administered
 * now. If `address` is undefined, only keys that accept any address count.
 */
export async function administeredUntil(
  db: Queryable,
  organizationId: string,
  address: string | undefined,
): Promise<{ readonly until: number; readonly now: number }> {
  // Ordered like the index `administering_keys`, so that one row is read, however many keys there are.
  const { rows } = await db.query<{ until: string | null; now: string }>(sql`
    select (
      select extract(epoch from coalesce(expires_at, 'infinity'::timestamptz))
      from keys
      where organization_id = ${organizationId} and kind = 'secret' and project_id is null and revoked_at is null
        and scopes && '{*,write:keys}'::text[] and coalesce(expires_at, 'infinity'::timestamptz) > now()
        and (allowed_addresses = '{}'
             or exists (select from unnest(allowed_addresses) as allowed where ${address ?? null}::inet <<= allowed::inet))
      order by coalesce(expires_at, 'infinity'::timestamptz) desc
      limit 1
    ) as until, extract(epoch from now()) as now`);
  const { until, now } = rows[0] as { until: string | null; now: string };
  return { until: Number(until ?? 0), now: Number(now) };
}
