import { gatherFields, maxNames, sampledEntries } from "../../fields.ts";
import type { LogFields, LogScope } from "../../log-store.ts";
import { entriesOf, type Reading } from "./reader.ts";
import { ch, int64 } from "./statement.ts";

export async function listFields(reading: Reading, scope: LogScope): Promise<LogFields> {
  const condition = await entriesOf(reading, scope);
  if (!condition) return gatherFields([]);
  const rows = await reading.server.rows<{ service: string; key: string | null; entries: string }>(
    ch`
      select service, key, count() as entries
      from (
        select service, arrayMap(name -> toNullable(toString(name)), mapKeys(attributes)) as names
        from logs where ${condition}
        order by ts desc, id desc limit ${int64(sampledEntries)}
      )
      array join arrayPushFront(names, null) as key
      group by service, key
      order by key is not null, entries desc
      limit ${int64(maxNames)}`,
    { timeoutMs: reading.timeoutMs, signal: scope.signal },
  );
  return gatherFields(rows);
}
