import { levels } from "@sazabi/sdk/protocol";
import { prepared, type Sql, sql } from "../../store/sql.ts";
import type { LogBatch } from "../store.ts";

const minuteMicros = 60_000_000;

/** Entries of one minute that are counted together. */
export interface MinuteCount {
  readonly projectNumber: number;
  readonly minuteSeconds: number;
  readonly level: number;
  readonly service: string;
  readonly environment: string;
  entries: number;
}

/** How many entries the batch has of each kind. */
export function countMinutes({ projectNumber, entries }: LogBatch): readonly MinuteCount[] {
  const counts: MinuteCount[] = [];
  // Maps in maps: to make one key of all, a text, would take several times as long.
  const byService = new Map<string, Map<string | null, Map<number, MinuteCount>>>();
  for (const { timestampMicros, level, service, environment } of entries) {
    const byEnvironment = mapIn(byService, service);
    const byMinute = mapIn(byEnvironment, environment);
    const minute = Math.floor(timestampMicros / minuteMicros);
    const count = byMinute.get(minute * levels.length + level);
    if (count) {
      count.entries += 1;
    } else {
      const first = {
        projectNumber,
        minuteSeconds: minute * 60,
        level,
        service,
        environment: environment ?? "",
        entries: 1,
      };
      byMinute.set(minute * levels.length + level, first);
      counts.push(first);
    }
  }
  return counts;
}

function mapIn<Key, InnerKey, Value>(outer: Map<Key, Map<InnerKey, Value>>, key: Key): Map<InnerKey, Value> {
  const known = outer.get(key);
  if (known) return known;
  const inner = new Map<InnerKey, Value>();
  outer.set(key, inner);
  return inner;
}

/** Adds to the entries-per-minute counts; for the transaction that stores the rows. */
export function volumeAdded(added: Iterable<MinuteCount>): Sql {
  const counts = summed(added);
  return prepared(
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
  );
}

function summed(added: Iterable<MinuteCount>): readonly MinuteCount[] {
  const counts = new Map<string, MinuteCount>();
  for (const one of added) {
    const name = `${one.projectNumber} ${one.minuteSeconds} ${one.level} ${one.service}\n${one.environment}`;
    const count = counts.get(name);
    // The batch keeps its own counts: it may have to be stored again.
    if (count) count.entries += one.entries;
    else counts.set(name, { ...one });
  }
  return [...counts.values()];
}
