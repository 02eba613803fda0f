import { type ConditionField, levels } from "@sazabi/sdk/protocol";
import { maxCounts, tooManyCounts } from "../counts.ts";
import type { FacetRequest, FacetValue, VolumeCount, VolumeRequest } from "../store.ts";
import { attributeExists, attributeText } from "./compile.ts";
import { entriesOf, type Reading } from "./reader.ts";
import { ch, int64, type Statement, verbatim } from "./statement.ts";

export async function countVolume(reading: Reading, request: VolumeRequest): Promise<readonly VolumeCount[]> {
  const { bucketMicros, groupBy, signal } = request;
  const condition = await entriesOf(reading, request);
  if (!condition) return [];
  const bucket = int64(bucketMicros);
  const rows = await reading.server.rows<{ name: string | null; start: string; entries: string }>(
    ch`
      select ${textOf(groupBy)} as name, intDiv(toUnixTimestamp64Micro(ts), ${bucket}) * ${bucket} as start,
             count() as entries
      from logs where ${condition}
      group by name, start
      order by start, name nulls first
      limit ${int64(maxCounts + 1)}`,
    { timeoutMs: reading.timeoutMs, signal },
  );
  if (rows.length > maxCounts) throw tooManyCounts();
  return rows.map(({ name, start, entries }) => ({
    group: groupBy === "level" ? levelName(name) : name,
    startMicros: Number(start),
    entries: Number(entries),
  }));
}

export async function countValues(reading: Reading, request: FacetRequest): Promise<readonly FacetValue[]> {
  const { field, limit, signal } = request;
  const condition = await entriesOf(reading, request);
  if (!condition) return [];
  const rows = await reading.server.rows<{ value: string; entries: string }>(
    ch`
      select ${textOf(field)} as value, count() as entries
      from logs where ${condition} and value is not null
      group by value
      order by entries desc, value
      limit ${int64(limit)}`,
    { timeoutMs: reading.timeoutMs, signal },
  );
  return rows.map(({ value, entries }) => ({
    value: field === "level" ? (levelName(value) as string) : value,
    entries: Number(entries),
  }));
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
