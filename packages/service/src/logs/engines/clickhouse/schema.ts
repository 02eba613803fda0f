import { listElements } from "./attributes.ts";
import type { ClickHouse } from "./connection.ts";
import { ch, verbatim } from "./statement.ts";

const ddlTimeoutMs = 60_000;

const listIndex = ch`list_elements ${listElements} type bloom_filter(0.01) granularity 1`;
/** Where messages are empty, words are looked for in the attributes. */
const lengthIndex = ch`message_lengths length(message) type minmax granularity 1`;

const indexes = [
  ["list_elements", listIndex],
  ["message_lengths", lengthIndex],
] as const;

/** The columns that the service writes, in the order of its rows; a table made by hand needs them too. */
const columns: readonly (readonly [name: string, type: string, codec: string])[] = [
  ["project_number", "Int32", "Delta, ZSTD(1)"],
  ["ts", "DateTime64(6, 'UTC')", "Delta, ZSTD(1)"],
  ["id", "Int64", "Delta, ZSTD(1)"],
  ["level", "UInt8", "ZSTD(1)"],
  ["service", "LowCardinality(String)", "ZSTD(1)"],
  ["environment", "LowCardinality(Nullable(String))", "ZSTD(1)"],
  ["trace_id", "Nullable(String)", "ZSTD(1)"],
  ["span_id", "Nullable(String)", "ZSTD(1)"],
  ["message", "String", "ZSTD(1)"],
  ["attributes", "Map(LowCardinality(String), String)", "ZSTD(1)"],
  ["pattern_id", "Nullable(Int32)", "ZSTD(1)"],
];

/**
 * Makes the table `logs` if there is none. Otherwise sees to it that it has our columns, flushes what it acknowledges,
 * and keeps entries for `retentionDays`. Throws with what is wrong with it.
 */
export async function ensureTable(server: ClickHouse, retentionDays: number): Promise<void> {
  await server.run(createStatement(retentionDays), ddlTimeoutMs);
  const options = { timeoutMs: ddlTimeoutMs };
  const found = await server.rows<{ name: string; type: string }>(
    ch`select name, type from system.columns where database = currentDatabase() and table = 'logs'`,
    options,
  );
  const types = new Map(found.map(({ name, type }) => [name, type]));
  for (const [name, type] of columns) {
    if (types.get(name) !== type) {
      throw new Error(`The table logs in ClickHouse needs a column ${name} ${type}. docs/operations.md has its DDL.`);
    }
  }
  const [table] = await server.rows<{ engine: string; full: string }>(
    ch`select engine, engine_full as full from system.tables where database = currentDatabase() and name = 'logs'`,
    options,
  );
  const { engine, full } = table as { engine: string; full: string };
  // A replicated table answers for itself with its quorum, a distributed one with the tables behind it.
  if (engine !== "MergeTree") return;
  if (!/fsync_after_insert = (?:1|true)/.test(full)) {
    throw new Error("The table logs in ClickHouse needs the setting fsync_after_insert = 1: entries are acknowledged.");
  }
  // A table that was made before has none. What it holds already is found by reading it.
  const known = await server.rows<{ name: string }>(
    ch`select name from system.data_skipping_indices where database = currentDatabase() and table = 'logs'`,
    options,
  );
  for (const [index, definition] of indexes) {
    // Where an operator made the table, the service may lack the right to alter it.
    if (known.some(({ name }) => name === index)) continue;
    await server.run(ch`alter table logs add index if not exists ${definition}`, ddlTimeoutMs);
  }
  if (!full.includes(`toIntervalDay(${retentionDays})`)) {
    await server.run(
      ch`alter table logs modify ttl ${ttl(retentionDays)} settings materialize_ttl_after_modify = 0`,
      ddlTimeoutMs,
    );
  }
}

/** Parts are dropped as wholes, a day after the day of their newest entry. */
function ttl(retentionDays: number) {
  return verbatim(`toDateTime(ts) + toIntervalDay(${retentionDays})`);
}

/**
 * An insert makes a part in each partition that its rows lie in, and ClickHouse takes 100 of them at once: so many
 * partitions, or one or two more, hold the logs of any retention.
 */
const maxPartitions = 60;

function partitionKey(retentionDays: number) {
  const days = Math.ceil(retentionDays / maxPartitions);
  return verbatim(days === 1 ? "toDate(ts)" : `intDiv(toRelativeDayNum(ts), ${days})`);
}

function createStatement(retentionDays: number) {
  const lines = columns.map(([name, type, codec]) => `${name} ${type} codec(${codec})`);
  lines.push(
    // Three letters of a word that is looked for: most granules are not read.
    "index message_ngrams lower(message) type ngrambf_v1(3, 32768, 2, 0) granularity 1",
    "index trace_ids trace_id type bloom_filter(0.01) granularity 1",
    "index attribute_values mapValues(attributes) type bloom_filter(0.01) granularity 1",
  );
  return ch`create table if not exists logs (${verbatim(lines.join(",\n"))},
    index ${listIndex}, index ${lengthIndex})
    engine = MergeTree
    partition by ${partitionKey(retentionDays)}
    order by (project_number, ts, id)
    ttl ${ttl(retentionDays)}
    settings ttl_only_drop_parts = 1, fsync_after_insert = 1, fsync_part_directory = 1,
      non_replicated_deduplication_window = 1000`;
}
