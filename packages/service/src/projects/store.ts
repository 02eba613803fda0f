import type { Project, Region } from "@sazabi/sdk/protocol";
import type { Queryable } from "../db/database.ts";
import { join, sql } from "../db/sql.ts";

/** Members of a project that can be changed. Null: the retention of the service. */
export interface ProjectChange {
  readonly name?: string | undefined;
  readonly retentionDays?: number | null | undefined;
}

/** A project with its internal number, under which logs are stored. */
export interface NumberedProject extends Project {
  readonly number: number;
}

/** The owner of projects: an organization, or the project that the caller's key is restricted to. */
export interface ProjectOwner {
  readonly organizationId: string;
  readonly projectId?: string | undefined;
}

interface ProjectRow {
  id: string;
  number: number;
  organization_id: string;
  name: string;
  region: Region;
  retention_days: number | null;
  created_at: Date;
}

/** Returns projects, oldest first. */
export async function listProjects(db: Queryable, owner: ProjectOwner): Promise<readonly NumberedProject[]> {
  const { rows } = await db.query<ProjectRow>(sql`
    select * from projects where ${ownedBy(owner)} order by created_at, id`);
  return rows.map(toProject);
}

export async function findProject(
  db: Queryable,
  owner: ProjectOwner,
  id: string,
): Promise<NumberedProject | undefined> {
  const { rows } = await db.query<ProjectRow>(sql`select * from projects where id = ${id} and ${ownedBy(owner)}`);
  return rows[0] && toProject(rows[0]);
}

/** Returns undefined when the organization has a project of this name. */
export async function insertProject(
  db: Queryable,
  { organizationId, name, region }: { organizationId: string; name: string; region: Region },
): Promise<NumberedProject | undefined> {
  const { rows } = await db.query<ProjectRow>(sql`
    with made as (
      insert into projects (organization_id, name, region) values (${organizationId}, ${name}, ${region})
      on conflict (organization_id, name) do nothing
      returning *
    ), head as (
      insert into log_heads (project_number) select number from made
    )
    select * from made`);
  return rows[0] && toProject(rows[0]);
}

/** Returns undefined when there is no such project; `"taken"` when another has the name. */
export async function updateProject(
  db: Queryable,
  owner: ProjectOwner,
  id: string,
  { name, retentionDays }: ProjectChange,
): Promise<NumberedProject | "taken" | undefined> {
  const { rows } = await db.query<ProjectRow & { taken: boolean }>(sql`
    with target as (
      select * from projects where id = ${id} and ${ownedBy(owner)} for no key update
    ), taken as (
      select 1 from projects other, target
      where other.organization_id = target.organization_id and other.name = ${name ?? null} and other.id <> target.id
    ), updated as (
      update projects p
      set name = coalesce(${name ?? null}, p.name),
          retention_days = case when ${retentionDays !== undefined} then ${retentionDays ?? null}::int else p.retention_days end
      from target
      where p.id = target.id and not exists (select from taken)
      returning p.*
    )
    select coalesce(updated.name, target.name) as name, target.id, target.number, target.organization_id,
           target.region, updated.retention_days, target.created_at, updated.id is null as taken
    from target left join updated on true`);
  const row = rows[0];
  return row && (row.taken ? "taken" : toProject(row));
}

/** Returns days by project number, for projects with their own retention. */
export async function listRetentions(db: Queryable): Promise<ReadonlyMap<number, number>> {
  const { rows } = await db.query<{ number: number; days: number }>(sql`
    select number, retention_days as days from projects where retention_days is not null`);
  return new Map(rows.map(({ number, days }) => [number, days]));
}

function ownedBy({ organizationId, projectId }: ProjectOwner) {
  const conditions = [sql`organization_id = ${organizationId}`];
  if (projectId) conditions.push(sql`id = ${projectId}`);
  return join(conditions, " and ");
}

function toProject(row: ProjectRow): NumberedProject {
  return {
    id: row.id,
    number: row.number,
    organizationId: row.organization_id,
    name: row.name,
    region: row.region,
    retentionDays: row.retention_days,
    createdAt: row.created_at.toISOString(),
  };
}
