import type { Queryable } from "../../store/database.ts";
import { prepared, sql } from "../../store/sql.ts";
import type { LogBatch } from "../store.ts";

const minuteMicros = 60_000_000;

interface Count {
  readonly projectNumber: number;
  readonly minuteSeconds: number;
  readonly level: number;
  readonly service: string;
  readonly environment: string;
  entries: number;
}

/** Adds the batches to the entries-per-minute counts, in the transaction that stores their rows. */
export async function addVolume(tx: Queryable, batches: readonly LogBatch[]): Promise<void> {
  const counts = [...countsOf(batches).values()];
  await tx.query(
    prepared(
      "add log volume",
      sql`
        insert into log_volume as v (project_number, minute, level, service, environment, entries)
        select p, to_timestamp(m), l, s, e, n
        from unnest(
          ${counts.map(({ projectNumber }) => projectNumber)}::int[],
          ${counts.map(({ minuteSeconds }) => minuteSeconds)}::bigint[],
          ${counts.map(({ level }) => level)}::smallint[],
          ${counts.map(({ service }) => service)}::text[],
          ${counts.map(({ environment }) => environment)}::text[],
          ${counts.map(({ entries }) => entries)}::int[]
        ) as u(p, m, l, s, e, n)
        on conflict (project_number, minute, level, service, environment)
        do update set entries = v.entries + excluded.entries`,
    ),
  );
}

function countsOf(batches: readonly LogBatch[]): Map<string, Count> {
  const counts = new Map<string, Count>();
  for (const { projectNumber, entries } of batches) {
    for (const { timestampMicros, level, service, environment } of entries) {
      const minuteSeconds = Math.floor(timestampMicros / minuteMicros) * 60;
      const name = `${projectNumber} ${minuteSeconds} ${level} ${service}\n${environment ?? ""}`;
      const count = counts.get(name);
      if (count) count.entries += 1;
      else
        counts.set(name, { projectNumber, minuteSeconds, level, service, environment: environment ?? "", entries: 1 });
    }
  }
  return counts;
}
