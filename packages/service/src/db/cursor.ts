import { type ApiError, invalidMember } from "../errors.ts";
import type { Queryable } from "./database.ts";
import { raw, sql } from "./sql.ts";

/** Returns the error for a cursor that names no item of the list: an empty page would look like the end of the list. */
export function unknownCursor(): ApiError {
  return invalidMember("cursor", "is of no page of this list; begin again without it");
}

/** Throws 400 when the cursor names no row of these projects in `table`. */
export async function checkCursor(
  db: Queryable,
  table: "threads" | "saved_queries",
  { projectIds, cursor }: { readonly projectIds: readonly string[]; readonly cursor: string },
): Promise<void> {
  const { rows } = await db.query(
    sql`select 1 from ${raw(table)} where id = ${cursor} and project_id = any(${projectIds}::uuid[])`,
  );
  if (rows.length === 0) throw unknownCursor();
}
