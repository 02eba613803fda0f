import type { PoolClient } from "pg";
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
export async function addVolume(client: PoolClient, batches: readonly LogBatch[]): Promise<void> {
  const counts = [...countsOf(batches).values()];
  await client.query({
    name: "add log volume",
    text: `
      insert into log_volume as v (project_number, minute, level, service, environment, entries)
      select p, to_timestamp(m), l, s, e, n
      from unnest($1::int[], $2::bigint[], $3::smallint[], $4::text[], $5::text[], $6::int[]) as u(p, m, l, s, e, n)
      on conflict (project_number, minute, level, service, environment)
      do update set entries = v.entries + excluded.entries`,
    values: [
      counts.map(({ projectNumber }) => projectNumber),
      counts.map(({ minuteSeconds }) => minuteSeconds),
      counts.map(({ level }) => level),
      counts.map(({ service }) => service),
      counts.map(({ environment }) => environment),
      counts.map(({ entries }) => entries),
    ],
  });
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
