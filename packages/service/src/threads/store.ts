import type { Thread } from "@sazabi/sdk/protocol";
import { checkCursor } from "../db/cursor.ts";
import type { Queryable } from "../db/database.ts";
import { join, sql } from "../db/sql.ts";

interface ThreadRow {
  id: string;
  project_id: string;
  title: string | null;
  status: Thread["status"];
  source: string | null;
  created_at: Date;
  updated_at: Date;
}

export interface ThreadFilter {
  readonly projectIds: readonly string[];
  readonly status?: Thread["status"] | undefined;
  readonly limit: number;
  readonly cursor?: string | undefined;
}

/** Returns threads, newest first: one more than `limit` when there is a next page. */
export async function listThreads(
  db: Queryable,
  { projectIds, status, limit, cursor }: ThreadFilter,
): Promise<readonly Thread[]> {
  const conditions = [sql`project_id = any(${projectIds}::uuid[])`];
  if (status) conditions.push(sql`status = ${status}`);
  if (cursor) {
    conditions.push(sql`
      (created_at, id) < (
        select c.created_at, c.id from threads c where c.id = ${cursor} and c.project_id = any(${projectIds}::uuid[])
      )`);
  }
  const { rows } = await db.query<ThreadRow>(sql`
    select * from threads where ${join(conditions, " and ")} order by created_at desc, id desc limit ${limit + 1}`);
  if (cursor && rows.length === 0) await checkCursor(db, "threads", { projectIds, cursor });
  return rows.map(toThread);
}

function toThread(row: ThreadRow): Thread {
  return {
    id: row.id,
    projectId: row.project_id,
    title: row.title,
    status: row.status,
    source: row.source,
    createdAt: row.created_at.toISOString(),
    updatedAt: row.updated_at.toISOString(),
  };
}
