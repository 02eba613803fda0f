import type { FoundPattern, PatternRequest } from "../../log-store.ts";
import { anything } from "../../patterns/miner.ts";
import { countsAtMost, gatherPatterns, type PatternCount } from "../postgres/patterns.ts";
import { entriesOf, type Reading } from "./reader.ts";
import { ch, int64 } from "./statement.ts";

/** Every entry of the scope counted once, by what its template has become, its service and its level; most first. */
export async function countPatterns(reading: Reading, request: PatternRequest): Promise<readonly FoundPattern[]> {
  const condition = await entriesOf(reading, request);
  if (!condition) return [];
  const rows = await reading.server.rows<PatternCount>(
    ch`
      select project_number, ifNull(pattern_id, ${int64(anything.id)}) as pattern_id, service, level,
             count() as entries, toUnixTimestamp64Micro(min(ts)) as first,
             max((toUnixTimestamp64Micro(ts), id)) as newest
      from logs where ${condition}
      group by project_number, pattern_id, service, level
      order by entries desc
      limit ${int64(countsAtMost)}`,
    { timeoutMs: reading.timeoutMs, signal: request.signal },
  );
  return gatherPatterns(reading.db, rows, request.limit);
}
