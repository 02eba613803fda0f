import type { ClickHouseAddress } from "../../../config.ts";
import { type DatabaseOptions, openDatabase } from "../../../db/database.ts";
import type { Metrics } from "../../../metrics/metrics.ts";
import { registerLogStoreMetrics } from "../../../metrics/store-metrics.ts";
import { deleteOldCommits } from "../../commit-log/commit-time-ranges.ts";
import { deleteOldBatches } from "../../commit-log/idempotency-ledger.ts";
import { deleteOldUids } from "../../commit-log/seen-entry-ids.ts";
import type { LogStore } from "../../log-store.ts";
import { NativeSlots } from "../../sql-query-slots.ts";
import { readHeads } from "../postgres/follow.ts";
import { deleteOldTemplates } from "../postgres/patterns.ts";
import { connectClickHouse } from "./connection.ts";
import { countValues, countVolume } from "./count.ts";
import { removeExpired, removeHidden } from "./expiry.ts";
import { listFields } from "./fields.ts";
import { findLogs, followLogs } from "./follow.ts";
import { countPatterns } from "./patterns.ts";
import { type Reading, searchLogs } from "./reader.ts";
import { ensureTable } from "./schema.ts";
import { queryNative } from "./sql-query.ts";
import { ClickHouseWriter } from "./writer.ts";

const lanes = 2;
const limits = { lanes, rowsPerCommit: 20_000, queueBytes: 64 * 1024 * 1024 };
const readers = 4;
const defaultReadTimeoutMs = 15_000;

export interface ClickHouseLogStoreOptions extends Pick<DatabaseOptions, "onIdleError"> {
  readonly address: ClickHouseAddress;
  /** Of the PostgreSQL that says which entries are committed. */
  readonly databaseUrl: string;
  readonly retentionDays: number;
  readonly metrics?: Metrics;
  /** A reading that takes longer is stopped. Default 15 s. */
  readonly readTimeoutMs?: number;
  /** Told why something was put off until the next housekeeping. */
  readonly onDeferred?: (error: unknown) => void;
}

/**
 * Logs in ClickHouse: the rows there; ids, the ledger and what is committed in PostgreSQL. Makes the table, or throws
 * with what is wrong with the one there is.
 */
export async function openClickHouseLogStore(options: ClickHouseLogStoreOptions): Promise<LogStore> {
  const { address, databaseUrl, onIdleError, retentionDays, readTimeoutMs: timeoutMs = defaultReadTimeoutMs } = options;
  const { onDeferred = () => {} } = options;
  const server = await connectClickHouse(address);
  try {
    await ensureTable(server, retentionDays);
  } catch (error) {
    await server.close();
    const { message, cause = error } = error as Error;
    throw new Error(`ClickHouse cannot keep the logs: ${(cause as Error).message || message} Check SAZABI_LOG_STORE.`, {
      cause: error,
    });
  }
  const shared = { url: databaseUrl, ...(onIdleError && { onIdleError }) };
  const writes = openDatabase({ ...shared, connections: lanes + 1 });
  const notes = openDatabase({ ...shared, connections: lanes });
  const reads = openDatabase({ ...shared, connections: readers, statementTimeoutMs: timeoutMs });
  const reading: Reading = { server, db: reads, timeoutMs };
  const natives = new NativeSlots();
  const writer = new ClickHouseWriter(server, { db: writes, notes }, limits);
  if (options.metrics) {
    registerLogStoreMetrics(options.metrics, writer, { log_writes: writes, log_notes: notes, log_reads: reads });
  }
  return {
    backend: { id: "clickhouse", name: "ClickHouse" },
    append: (batch, options) => writer.append(batch, options),
    search: (search) => searchLogs(reading, search),
    volume: (request) => countVolume(reading, request),
    facet: (request) => countValues(reading, request),
    patterns: (request) => countPatterns(reading, request),
    fields: (scope) => listFields(reading, scope),
    find: (projectNumbers, id, signal) => findLogs(reading, { projectNumbers, id, signal }),
    heads: (projectNumbers) => readHeads(reads, projectNumbers),
    follow: (request) => followLogs(reading, request),
    queryNative: (request) => natives.run(request.signal, () => queryNative(reading, request)),
    async runMaintenance() {
      await ensureTable(server, retentionDays);
      await deleteOldBatches(writes);
      await deleteOldUids(writes);
      await deleteOldTemplates(writes, retentionDays);
      await deleteOldCommits(writes, retentionDays);
      // Nobody sees these rows, and some tables cannot delete (docs/operations.md).
      await removeHidden(server, writes).catch(onDeferred);
      await removeExpired(server, writes, retentionDays).catch(onDeferred);
    },
    close: async () => {
      await writer.drain();
      await Promise.all([writes.close(), notes.close(), reads.close(), server.close()]);
    },
  };
}
