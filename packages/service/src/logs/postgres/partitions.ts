import type { Database } from "../../store/database.ts";
import { raw, sql } from "../../store/sql.ts";
import { dayMicros, isoDay, listDays, nameOfDay } from "./days.ts";

/** One number for every Sazabi process: two that need the same partition make it one after the other. */
const partitionLock = 4_600_002;

/** The day partitions of `logs`, made before rows need them. */
export class Partitions {
  readonly #db: Database;
  readonly #known = new Set<number>();

  constructor(db: Database) {
    this.#db = db;
  }

  /** Sees to it that every one of these times has a partition. Asks the database only about days it has not seen. */
  async ensure(times: Iterable<number>): Promise<void> {
    const missing = new Set<number>();
    for (const micros of times) {
      const day = Math.floor(micros / dayMicros);
      if (!this.#known.has(day)) missing.add(day);
    }
    for (const day of missing) {
      await this.#make(day);
      this.#known.add(day);
    }
  }

  /** Yesterday to two days ahead, so that midnight finds its partition made. */
  async ensureAround(nowMs: number): Promise<void> {
    await this.ensure([-1, 0, 1, 2].map((days) => nowMs * 1000 + days * dayMicros));
  }

  /**
   * Drops the partitions whose last row is older than `retentionDays`, by the database's clock. Rows are gone with
   * their partition. A day that a search is reading is left for the next time: to wait for it would stop everybody else.
   */
  async dropExpired(retentionDays: number): Promise<void> {
    const { rows } = await this.#db.query<{ today: number }>(sql`
      select floor(extract(epoch from now()) / 86400)::int as today`);
    const firstKept = (rows[0]?.today as number) - retentionDays;
    for (const day of await listDays(this.#db)) {
      if (day >= firstKept) break;
      await this.#db.transaction(async (tx) => {
        await tx.query(sql`set local lock_timeout = '1s'`);
        await tx.query(sql`drop table if exists ${raw(nameOfDay(day))}`);
      });
      this.forget();
    }
    await this.#db.query(sql`delete from log_volume where minute < ${isoDay(firstKept)}::timestamptz`);
  }

  /** Call when a row found no partition: somebody dropped one that was known. */
  forget(): void {
    this.#known.clear();
  }

  async #make(day: number): Promise<void> {
    const from = isoDay(day);
    const name = raw(nameOfDay(day));
    await this.#db.transaction(async (tx) => {
      await tx.query(sql`select pg_advisory_xact_lock(${partitionLock})`);
      const { rows } = await tx.query<{ exists: boolean }>(
        sql`select to_regclass(${`sazabi.${name.text}`}) is not null as exists`,
      );
      if (rows[0]?.exists) return;
      // Attached, not created as a partition: that would lock out every reader and writer of `logs` meanwhile.
      await tx.query(sql`create table ${name} (like logs including defaults)`);
      await tx.query(
        sql`alter table logs attach partition ${name} for values from (${raw(`'${from}'`)}) to (${raw(`'${isoDay(day + 1)}'`)})`,
      );
    });
  }
}
