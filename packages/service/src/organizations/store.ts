import type { Organization } from "@sazabi/sdk/protocol";
import type { Queryable } from "../db/database.ts";
import { sql } from "../db/sql.ts";

export async function findOrganization(db: Queryable, id: string): Promise<Organization | undefined> {
  const { rows } = await db.query<Organization>(sql`select id, name, slug from organizations where id = ${id}`);
  return rows[0];
}

/**
 * Waits for its turn to change what the organization has, or who may do what in it: until the transaction ends nobody else
 * does. Exclusive also for those who only use their rights: with a shared lock they would keep a revocation waiting.
 */
export async function lockOrganization(tx: Queryable, id: string): Promise<void> {
  await tx.query(sql`select from organizations where id = ${id} for no key update`);
}

/** Undefined when another organization has the slug. */
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

/** Oldest first. */
export async function listOrganizations(db: Queryable): Promise<readonly Organization[]> {
  const { rows } = await db.query<Organization>(sql`select id, name, slug from organizations order by created_at, id`);
  return rows;
}

/** True on a database that no one has used yet. */
export async function hasNoOrganization(db: Queryable): Promise<boolean> {
  const { rows } = await db.query<{ empty: boolean }>(sql`select not exists (select from organizations) as empty`);
  return rows[0]?.empty ?? false;
}
