import type { Queryable } from "./database.ts";
import { sql } from "./sql.ts";

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
  const { rows } = await db.query<{ until: string | null; now: string }>(sql`
    select extract(epoch from max(coalesce(expires_at, 'infinity'))) as until, extract(epoch from now()) as now
    from keys
    where organization_id = ${organizationId} and kind = 'secret' and project_id is null and scopes && '{*,write:keys}'
      and revoked_at is null and (expires_at is null or expires_at > now())
      and (allowed_addresses = '{}'
           or exists (select from unnest(allowed_addresses) as allowed where ${address ?? null}::inet <<= allowed::inet))`);
  const { until, now } = rows[0] as { until: string | null; now: string };
  return { until: Number(until ?? 0), now: Number(now) };
}
