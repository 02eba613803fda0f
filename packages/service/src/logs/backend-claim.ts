import { type Database, type Queryable, sqlState } from "../db/database.ts";
import { sql } from "../db/sql.ts";
import { ApiError } from "../errors.ts";

/** Longer than any commit of entries takes. */
const lockTimeout = "20s";

/**
 * Throws when the database's entries are in another store than `wanted`: there nobody would find them. A database that
 * never held one is given to the store that asks first.
 */
export async function claimLogs(db: Database, wanted: "postgresql" | "clickhouse"): Promise<void> {
  if (await areInClickHouse(db)) {
    if (wanted === "clickhouse") return;
    throw new Error("The logs of this database are in ClickHouse. Set SAZABI_LOG_STORE to where they are.");
  }
  if (wanted === "postgresql") return;
  await switchToClickHouse(db, async (tx) => {
    const { rows } = await tx.query(sql`select 1 from log_heads where last_id > 0 limit 1`);
    if (rows.length === 0) return;
    throw new Error(
      "The logs of this database are in PostgreSQL. Move them first with npm run logs:move (docs/operations.md), or " +
        "unset SAZABI_LOG_STORE.",
    );
  });
}

export async function areInClickHouse(db: Queryable): Promise<boolean> {
  return (await db.query(sql`select 1 from log_store`)).rows.length > 0;
}

/**
 * From its commit on, PostgreSQL takes no entries. `finish` runs when every commit before is done and while none can
 * begin; if it throws, all stays as it was. Nothing is done when somebody else has switched meanwhile.
 */
export async function switchToClickHouse(db: Database, finish: (tx: Queryable) => Promise<void>): Promise<void> {
  await db.transaction(async (tx) => {
    await tx.query(sql`
      select set_config('lock_timeout', ${lockTimeout}, true), set_config('idle_in_transaction_session_timeout', '0', true)`);
    await tx.query(sql`lock table logs in share row exclusive mode`);
    if (await areInClickHouse(tx)) return;
    await finish(tx);
    await tx.query(sql`
      create trigger entries_are_elsewhere before insert on logs for each statement execute function refuse_entries()`);
    await tx.query(sql`insert into log_store (name) values ('clickhouse')`);
  });
}

/** For a process that goes on with PostgreSQL after the switch: its senders try again, at others. */
export function explainMovedLogs(error: unknown): unknown {
  if (sqlState(error) !== "SZ001") return error;
  return new ApiError("UNAVAILABLE", "The logs have moved to another store, and this process has not. Send again.", {
    retryAfterSeconds: 1,
    cause: error,
  });
}
