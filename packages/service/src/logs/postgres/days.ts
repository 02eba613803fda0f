import type { Queryable } from "../../store/database.ts";
import { sql } from "../../store/sql.ts";

export const dayMicros = 86_400_000_000;

/** The partition of `logs` that holds a day; `day` is counted from 1970-01-01, in UTC. */
export function nameOfDay(day: number): string {
  return `logs_${isoDay(day).replaceAll("-", "")}`;
}

/** `2026-11-22` */
export function isoDay(day: number): string {
  return new Date((day * dayMicros) / 1000).toISOString().slice(0, 10);
}

/** The days that have a partition, oldest first. */
export async function listDays(db: Queryable): Promise<readonly number[]> {
  const { rows } = await db.query<{ name: string }>(sql`
    select c.relname as name from pg_inherits i join pg_class c on c.oid = i.inhrelid
    where i.inhparent = 'logs'::regclass and c.relname ~ '^logs_[0-9]{8}$'
    order by c.relname`);
  return rows.map(({ name }) => dayOf(name));
}

function dayOf(name: string): number {
  const [, year, month, day] = /^logs_(\d{4})(\d\d)(\d\d)$/.exec(name) as unknown as [string, string, string, string];
  return Date.UTC(Number(year), Number(month) - 1, Number(day)) / 86_400_000;
}
