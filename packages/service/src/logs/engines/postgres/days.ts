import type { Queryable } from "../../../db/database.ts";
import { sql } from "../../../db/sql.ts";

export const dayMicros = 86_400_000_000;

/** A partition of `logs`: one or more days, counted from 1970-01-01, in UTC. */
export interface LogPartition {
  readonly fromDay: number;
  /** Excluded. */
  readonly toDay: number;
  /** `logs_20261122` for one day, `logs_20261122_20261125` for three. */
  readonly name: string;
}

/**
 * At most so many partitions, or a few more, hold the logs of any retention. A statement about all times locks each of
 * them and its indexes, and the lock table of PostgreSQL's default settings has room for some thousand locks.
 */
const maxPartitions = 180;

/** How many days a new partition holds. */
export function partitionDays(retentionDays: number): number {
  return Math.ceil(retentionDays / maxPartitions);
}

/** The partition to make for a day: as many days as it should hold, without those that another partition holds. */
export function newPartition(day: number, days: number, existing: readonly LogPartition[]): LogPartition {
  const start = Math.floor(day / days) * days;
  let [fromDay, toDay] = [start, start + days];
  for (const other of existing) {
    if (other.toDay <= day) fromDay = Math.max(fromDay, other.toDay);
    else toDay = Math.min(toDay, other.fromDay);
  }
  return { fromDay, toDay, name: partitionName(fromDay, toDay) };
}

/** `2026-11-22` */
export function isoDay(day: number): string {
  return new Date((day * dayMicros) / 1000).toISOString().slice(0, 10);
}

/** Oldest first. */
export async function listPartitions(db: Queryable): Promise<readonly LogPartition[]> {
  const { rows } = await db.query<{ name: string }>(sql`
    select c.relname as name from pg_inherits i join pg_class c on c.oid = i.inhrelid
    where i.inhparent = 'logs'::regclass and c.relname ~ '^logs_[0-9]{8}(_[0-9]{8})?$'`);
  return rows.map(({ name }) => parse(name)).sort((a, b) => a.fromDay - b.fromDay);
}

function partitionName(fromDay: number, toDay: number): string {
  return toDay === fromDay + 1 ? `logs_${digits(fromDay)}` : `logs_${digits(fromDay)}_${digits(toDay)}`;
}

function digits(day: number): string {
  return isoDay(day).replaceAll("-", "");
}

function parse(name: string): LogPartition {
  const [, from, to] = name.split("_") as [string, string, string | undefined];
  const fromDay = dayOf(from);
  return { fromDay, toDay: to === undefined ? fromDay + 1 : dayOf(to), name };
}

function dayOf(text: string): number {
  return Date.UTC(Number(text.slice(0, 4)), Number(text.slice(4, 6)) - 1, Number(text.slice(6))) / 86_400_000;
}
