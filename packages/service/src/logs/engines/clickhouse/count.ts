import { type ConditionField, levels } from "@sazabi/sdk/protocol";
import { maxCounts as defaultMaxCounts, tooManyCounts } from "../../count-limit.ts";
import {
  type FacetRequest,
  type FacetValue,
  maxAnswerBytes,
  type VolumeCount,
  type VolumeRequest,
} from "../../log-store.ts";
import { attributeExists, attributeText } from "./compile.ts";
import { entriesOf, type Reading } from "./reader.ts";
import { ch, int64, type Statement, verbatim } from "./statement.ts";

export async function countVolume(reading: Reading, request: VolumeRequest): Promise<readonly VolumeCount[]> {
  const { bucketMicros, groupBy, largestGroups, signal, maxCounts = defaultMaxCounts } = request;
  const condition = await entriesOf(reading, request);
  if (!condition) return [];
  const bucket = int64(bucketMicros);
  const start = ch`intDiv(toUnixTimestamp64Micro(ts), ${bucket}) * ${bucket}`;
  const read = async (statement: Statement) => {
    const options = { timeoutMs: reading.timeoutMs, signal };
    const rows = await reading.server.rows<CountedRow>(statement, options);
    return rows.map(({ name, start: startMicros, entries, other_groups }) => ({
      group: groupBy === "level" ? levelName(name) : name,
      ...(Number(other_groups) > 0 && { otherGroups: Number(other_groups) }),
      startMicros: Number(startMicros),
      entries: Number(entries),
    }));
  };
  const found = await read(ch`
    select ${textOf(groupBy)} as name, ${start} as start, count() as entries, 0 as other_groups
    from logs where ${condition}
    group by name, start
    order by start, name nulls first
    limit ${int64(maxCounts + 1)}`);
  if (found.length <= maxCounts) return found;
  if (largestGroups === undefined || groupBy === "level") throw tooManyCounts();
  const largest = await read(ch`
    with ranked as (
      select ifNull(${textOf(groupBy)}, '') as key, row_number() over (order by count() desc, key) as place
      from logs where ${condition} group by key
    )
    select if(place <= ${int64(largestGroups)}, nullIf(key, ''), null) as name, ${start} as start, count() as entries,
           if(place <= ${int64(largestGroups)}, 0, (select count() from ranked where place > ${int64(largestGroups)})) as other_groups
    from (select ts, ifNull(${textOf(groupBy)}, '') as key from logs where ${condition}) l
    join ranked using (key)
    group by name, start, other_groups
    order by start, other_groups, name nulls first`);
  if (largest.length > maxCounts) throw tooManyCounts();
  return largest;
}

interface CountedRow {
  readonly name: string | null;
  readonly start: string;
  readonly entries: string;
  readonly other_groups: string;
}

export async function countValues(reading: Reading, request: FacetRequest): Promise<readonly FacetValue[]> {
  const { field, limit, signal } = request;
  const condition = await entriesOf(reading, request);
  if (!condition) return [];
  const values: FacetValue[] = [];
  let bytes = 0;
  await reading.server.takeRows<{ value: string; entries: string }>(
    ch`
      select ${textOf(field)} as value, count() as entries
      from logs where ${condition} and value is not null
      group by value
      order by entries desc, value
      limit ${int64(limit)}`,
    { timeoutMs: reading.timeoutMs, signal },
    ({ value, entries }) => {
      values.push({ value: field === "level" ? (levelName(value) as string) : value, entries: Number(entries) });
      bytes += value.length;
      return bytes < maxAnswerBytes;
    },
  );
  return values;
}

/** The value of a field as text, or null. */
function textOf(field: ConditionField | VolumeRequest["groupBy"]): Statement {
  if (field === undefined) return ch`cast(null as Nullable(String))`;
  if (field === "level") return ch`toNullable(toString(level))`;
  if (typeof field === "object" && "attribute" in field) {
    return ch`if(${attributeExists(field.attribute)}, ${attributeText(field.attribute)}, null)`;
  }
  return ch`nullIf(toString(${verbatim(typeof field === "string" ? field : field.column)}), '')`;
}

function levelName(rank: string | null): string | null {
  return rank === null ? null : (levels[Number(rank)] ?? null);
}
