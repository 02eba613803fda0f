import type { Queryable } from "../../db/database.ts";
import { sql } from "../../db/sql.ts";

/**
 * Until when some secret key can administer the organization, in Unix seconds of the database's clock: Infinity when one has no
 * end, 0 when there is none. Such a key is live, has `write:keys` in all projects, and works from `address`, from where
 * the organization is administered now. Undefined for an address counts only keys that work from anywhere.
 */
export async function administeredUntil(
  db: Queryable,
  organizationId: string,
  address: string | undefined,
): Promise<{ readonly until: number; readonly now: number }> {
  // In the order of the index `administering_keys`: one row is read, however many keys there are.
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
