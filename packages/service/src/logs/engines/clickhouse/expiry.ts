import type { Queryable } from "../../../db/database.ts";
import { sql } from "../../../db/sql.ts";
import { listRetentions } from "../../../projects/store.ts";
import type { ClickHouse } from "./connection.ts";
import { timestampLiteral } from "./reader.ts";
import { ch, int64 } from "./statement.ts";

const dayMicros = 86_400_000_000;
/** A delete marks rows in each part that holds some; merges take them out. */
const deleteTimeoutMs = 300_000;

/**
 * Removes the rows of inserts that nobody was told of. An hour is far more than such an insert may take, and its
 * transaction too: by then nothing of it is under way, and its ids may be forgotten.
 */
export async function removeHidden(server: ClickHouse, db: Queryable): Promise<void> {
  const { rows } = await db.query<{ project_number: number; first_id: string; last_id: string }>(sql`
    select project_number, first_id, last_id from log_inserts where created_at < now() - interval '1 hour'`);
  for (const { project_number, first_id, last_id } of rows) {
    await server.run(
      ch`delete from logs where project_number = ${int64(project_number)}
           and id >= ${int64(first_id)} and id <= ${int64(last_id)} settings lightweight_deletes_sync = 2`,
      deleteTimeoutMs,
    );
    await db.query(sql`delete from log_inserts where project_number = ${project_number} and last_id = ${last_id}`);
  }
}

/** Removes the rows of projects that are kept for a shorter time than others; readers do not see them any more anyway. */
export async function removeExpired(server: ClickHouse, db: Queryable, serviceDays: number): Promise<void> {
  const nowMicros = await databaseMicros(db);
  for (const [project, days] of await listRetentions(db)) {
    if (days >= serviceDays) continue;
    const expired = ch`project_number = ${int64(project)} and ts < ${timestampLiteral(nowMicros - days * dayMicros)}`;
    const [found] = await server.rows(ch`select 1 as one from logs where ${expired} limit 1`, {
      timeoutMs: deleteTimeoutMs,
    });
    if (!found) continue;
    await server.run(ch`delete from logs where ${expired} settings lightweight_deletes_sync = 2`, deleteTimeoutMs);
  }
}

/** A process whose own clock is wrong must not remove what is kept. */
async function databaseMicros(db: Queryable): Promise<number> {
  const { rows } = await db.query<{ micros: string }>(sql`select floor(extract(epoch from now()) * 1000000) as micros`);
  return Number((rows[0] as { micros: string }).micros);
}
