import type { Organization } from "@sazabi/sdk/protocol";
import type { Queryable } from "../db/database.ts";
import { sql } from "../db/sql.ts";

export async function findOrganization(db: Queryable, id: string): Promise<Organization | undefined> {
  const { rows } = await db.query<Organization>(sql`select id, name, slug from organizations where id = ${id}`);
  return rows[0];
}

/**
 * Locks the organization for changes of its contents or permissions until the transaction ends. The
 * lock is exclusive even for changes that only use permissions, since shared locks could delay a
 * revocation.
 */
export async function lockOrganization(tx: Queryable, id: string): Promise<void> {
  await tx.query(sql`select from organizations where id = ${id} for no key update`);
}

/** Returns undefined when another organization has the slug. */
export async function insertOrganization(
  db: Queryable,
  { name, slug }: { name: string; slug: string },
): Promise<Organization | undefined> {
  const { rows } = await db.query<Organization>(sql`
    insert into organizations (name, slug) values (${name}, ${slug})
    on conflict (slug) do nothing
    returning id, name, slug`);
  return rows[0];
}

/** Returns all organizations, oldest first. */
export async function listOrganizations(db: Queryable): Promise<readonly Organization[]> {
  const { rows } = await db.query<Organization>(sql`select id, name, slug from organizations order by created_at, id`);
  return rows;
}

/** Returns true for a database that was never used. */
export async function hasNoOrganization(db: Queryable): Promise<boolean> {
  const { rows } = await db.query<{ empty: boolean }>(sql`select not exists (select from organizations) as empty`);
  return rows[0]?.empty ?? false;
}
