import type { SavedQuery, UpdateSavedQueryRequest } from "@sazabi/sdk/protocol";
import { checkCursor } from "../db/cursor.ts";
import type { Queryable } from "../db/database.ts";
import { join, type Sql, sql } from "../db/sql.ts";
import type { ProjectOwner } from "../projects/store.ts";

interface SavedQueryRow {
  id: string;
  project_id: string;
  name: string;
  description: string | null;
  query: string;
  look_back_seconds: number;
  created_at: Date;
  updated_at: Date;
}

export interface NewSavedQuery
  extends Pick<SavedQuery, "projectId" | "name" | "description" | "query" | "lookBackSeconds"> {
  readonly createdBy: string;
}

/** Maximum number of saved queries per project. */
export const maxSavedQueries = 1_000;

/** Returns `"taken"` when the project has a query of that name, `"full"` when it has the maximum number. */
export async function insertSavedQuery(tx: Queryable, query: NewSavedQuery): Promise<SavedQuery | "taken" | "full"> {
  // Locks the project, so that concurrent inserts cannot exceed the maximum.
  await tx.query(sql`select 1 from projects where id = ${query.projectId} for no key update`);
  const { rows: counted } = await tx.query<{ count: number }>(
    sql`select count(*)::int as count from saved_queries where project_id = ${query.projectId}`,
  );
  if ((counted[0]?.count ?? 0) >= maxSavedQueries) return "full";
  const { rows } = await tx.query<SavedQueryRow>(sql`
    insert into saved_queries (project_id, name, description, query, look_back_seconds, created_by)
    values (${query.projectId}, ${query.name}, ${query.description}, ${query.query}, ${query.lookBackSeconds}, ${query.createdBy})
    on conflict (project_id, name) do nothing
    returning *`);
  return rows[0] ? toSavedQuery(rows[0]) : "taken";
}

/** Returns saved queries, newest first: one more than `limit` when there is a next page. */
export async function listSavedQueries(
  db: Queryable,
  { projectIds, limit, cursor }: { projectIds: readonly string[]; limit: number; cursor?: string | undefined },
): Promise<readonly SavedQuery[]> {
  const conditions = [sql`project_id = any(${projectIds}::uuid[])`];
  if (cursor) {
    conditions.push(sql`
      (created_at, id) < (
        select c.created_at, c.id from saved_queries c
        where c.id = ${cursor} and c.project_id = any(${projectIds}::uuid[])
      )`);
  }
  const { rows } = await db.query<SavedQueryRow>(sql`
    select * from saved_queries where ${join(conditions, " and ")} order by created_at desc, id desc limit ${limit + 1}`);
  if (cursor && rows.length === 0) await checkCursor(db, "saved_queries", { projectIds, cursor });
  return rows.map(toSavedQuery);
}

export async function findSavedQuery(db: Queryable, owner: ProjectOwner, id: string): Promise<SavedQuery | undefined> {
  const { rows } = await db.query<SavedQueryRow>(sql`select * from saved_queries where ${ownedBy(owner, id)}`);
  return rows[0] && toSavedQuery(rows[0]);
}

/** Returns undefined when there is no such query; `"taken"` when another of its project has the name. */
export async function updateSavedQuery(
  tx: Queryable,
  owner: ProjectOwner,
  id: string,
  change: UpdateSavedQueryRequest,
): Promise<SavedQuery | "taken" | undefined> {
  const { rows: held } = await tx.query<SavedQueryRow>(sql`
    select * from saved_queries where ${ownedBy(owner, id)} for update`);
  if (!held[0]) return undefined;
  const found = toSavedQuery(held[0]);
  // Locks the project, as for an insert, so that two changes cannot take the same name.
  await tx.query(sql`select 1 from projects where id = ${found.projectId} for no key update`);
  const { name = found.name, description = found.description, query = found.query } = change;
  const { rows: others } = await tx.query(sql`
    select 1 from saved_queries where project_id = ${found.projectId} and name = ${name} and id <> ${id}`);
  if (others.length > 0) return "taken";
  const { rows } = await tx.query<SavedQueryRow>(sql`
    update saved_queries
    set name = ${name}, description = ${description}, query = ${query},
        look_back_seconds = ${change.lookBackSeconds ?? found.lookBackSeconds}, updated_at = now()
    where ${ownedBy(owner, id)}
    returning *`);
  return rows[0] && toSavedQuery(rows[0]);
}

/** Returns the deleted query; undefined when there is no such query. */
export async function deleteSavedQuery(
  tx: Queryable,
  owner: ProjectOwner,
  id: string,
): Promise<SavedQuery | undefined> {
  const { rows } = await tx.query<SavedQueryRow>(sql`
    delete from saved_queries where ${ownedBy(owner, id)} returning *`);
  return rows[0] && toSavedQuery(rows[0]);
}

function ownedBy({ organizationId, projectId }: ProjectOwner, id: string): Sql {
  const ofProjects = projectId
    ? sql`id = ${projectId} and organization_id = ${organizationId}`
    : sql`organization_id = ${organizationId}`;
  return sql`id = ${id} and project_id in (select id from projects where ${ofProjects})`;
}

function toSavedQuery(row: SavedQueryRow): SavedQuery {
  return {
    id: row.id,
    projectId: row.project_id,
    name: row.name,
    description: row.description,
    query: row.query,
    lookBackSeconds: row.look_back_seconds,
    createdAt: row.created_at.toISOString(),
    updatedAt: row.updated_at.toISOString(),
  };
}
