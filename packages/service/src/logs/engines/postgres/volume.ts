import { levels } from "@sazabi/sdk/protocol";
import type { LogBatch } from "../../log-store.ts";

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

/** What a commit adds to the counts of a project. */
export interface AddedCounts {
  readonly projectNumber: number;
  /** As in `log_volume_added`. */
  readonly counts: string;
}

/** What one commit adds, by project. */
export function addedCounts(added: Iterable<MinuteCount>): readonly AddedCounts[] {
  const byProject = new Map<number, object[]>();
  for (const { projectNumber, minuteSeconds, level, service, environment, entries } of summed(added)) {
    const counts = byProject.get(projectNumber) ?? [];
    byProject.set(projectNumber, counts);
    counts.push({ m: minuteSeconds, l: level, s: service, ...(environment && { e: environment }), n: entries });
  }
  return [...byProject].map(([projectNumber, counts]) => ({ projectNumber, counts: JSON.stringify(counts) }));
}

function summed(added: Iterable<MinuteCount>): readonly MinuteCount[] {
  const counts = new Map<string, MinuteCount>();
  for (const one of added) {
    // No text that is stored holds a NUL.
    const name = `${one.projectNumber} ${one.minuteSeconds} ${one.level} ${one.service}\0${one.environment}`;
    const count = counts.get(name);
    // The batch keeps its own counts: it may have to be stored again.
    if (count) count.entries += one.entries;
    else counts.set(name, { ...one });
  }
  return [...counts.values()];
}
