import type { Database } from "../../../db/database.ts";
import { raw, sql } from "../../../db/sql.ts";
import { dayMicros, isoDay, type LogPartition, listPartitions, newPartition, partitionDays } from "./days.ts";

/** One number for every Sazabi process: two that need the same partition make it one after the other. */
const partitionLock = 4_600_002;

/**
 * The partitions of `logs`, made before rows need them. Each holds a day, or several where logs are kept for longer than
 * half a year. Those that were made under another retention stay as they are.
 */
export class Partitions {
  readonly #db: Database;
  readonly #retentionDays: number;
  /** Days that have a partition. */
  readonly #known = new Set<number>();

  constructor(db: Database, retentionDays: number) {
    this.#db = db;
    this.#retentionDays = retentionDays;
  }

  /** Sees to it that every one of these times has a partition. Asks the database only about days it has not seen. */
  async ensure(times: Iterable<number>): Promise<void> {
    const missing = new Set<number>();
    for (const micros of times) {
      const day = Math.floor(micros / dayMicros);
      if (!this.#known.has(day)) missing.add(day);
    }
    for (const missed of missing) {
      if (this.#known.has(missed)) continue;
      const { fromDay, toDay } = await this.#findOrMake(missed);
      for (let day = fromDay; day < toDay; day++) this.#known.add(day);
    }
  }

  /** Yesterday to two days ahead, so that midnight finds its partition made. */
  async ensureAround(nowMs: number): Promise<void> {
    await this.ensure([-1, 0, 1, 2].map((days) => nowMs * 1000 + days * dayMicros));
  }

  /**
   * Drops the partitions whose last row is past the retention, by the database's clock. Rows are gone with their
   * partition. One that a search is reading is left for the next time: to wait for it would stop everybody else.
   */
  async dropExpired(): Promise<void> {
    const { rows } = await this.#db.query<{ today: number }>(sql`
      select floor(extract(epoch from now()) / 86400)::int as today`);
    const firstKept = (rows[0]?.today as number) - this.#retentionDays;
    for (const { toDay, name } of await listPartitions(this.#db)) {
      if (toDay > firstKept) break;
      await this.#db.transaction(async (tx) => {
        await tx.query(sql`set local lock_timeout = '1s'`);
        await tx.query(sql`drop table if exists ${raw(name)}`);
      });
      this.forget();
    }
    await this.#db.query(sql`delete from log_volume where minute < ${isoDay(firstKept)}::timestamptz`);
  }

  /** Call when a row found no partition: somebody dropped one that was known. */
  forget(): void {
    this.#known.clear();
  }

  async #findOrMake(day: number): Promise<LogPartition> {
    return this.#db.transaction(async (tx) => {
      await tx.query(sql`select pg_advisory_xact_lock(${partitionLock})`);
      const existing = await listPartitions(tx);
      const found = existing.find(({ fromDay, toDay }) => fromDay <= day && day < toDay);
      if (found) return found;
      const made = newPartition(day, partitionDays(this.#retentionDays), existing);
      const name = raw(made.name);
      // Attached, not created as a partition: that would lock out every reader and writer of `logs` meanwhile.
      await tx.query(sql`create table ${name} (like logs including defaults)`);
      await tx.query(sql`
        alter table logs attach partition ${name}
        for values from (${raw(`'${isoDay(made.fromDay)}'`)}) to (${raw(`'${isoDay(made.toDay)}'`)})`);
      return made;
    });
  }
}
