import { type DatabaseOptions, isTimeout, openDatabase } from "../../../db/database.ts";
import type { Metrics } from "../../../metrics/metrics.ts";
import { registerLogStoreMetrics } from "../../../metrics/store-metrics.ts";
import { deleteOldCommits } from "../../commit-log/commit-time-ranges.ts";
import { deleteOldBatches } from "../../commit-log/idempotency-ledger.ts";
import { deleteOldUids } from "../../commit-log/seen-entry-ids.ts";
import type { LogSearch, LogStore } from "../../log-store.ts";
import { queryTimeout } from "../../query-timeout.ts";
import { countValues, countVolume } from "./count.ts";
import { removeExpired } from "./expiry.ts";
import { listFields } from "./fields.ts";
import { findLogs, followLogs, readHeads } from "./follow.ts";
import { PartitionIndexBuilder } from "./partition-index-builder.ts";
import { Partitions } from "./partitions.ts";
import { countPatterns, deleteOldTemplates } from "./patterns.ts";
import { searchLogs } from "./search.ts";
import { deleteOldSkipIndexes, SkipIndex, type StoredEntries } from "./skip-index.ts";
import { NativeQueries } from "./sql-query.ts";
import { rollUpVolume, VolumeRollup } from "./volume-rollup.ts";
import { LogWriter } from "./writer.ts";

/** Two for one project at a time, and one for another. */
const lanes = 3;
const limits = { lanes, rowsPerCommit: 2_000, queueBytes: 64 * 1024 * 1024 };
/** For maps of words and counts per minute, while housekeeping waits its turn. */
const backgroundConnections = 2;
const readers = 4;
/** Tails that are behind take two; the others are for what is new. */
const followers = 4;
const defaultReadTimeoutMs = 15_000;

export interface PostgresLogStoreOptions extends Pick<DatabaseOptions, "url" | "onIdleError"> {
  readonly retentionDays: number;
  readonly metrics?: Metrics;
  /** A reading that takes longer is stopped. Default 15 s. */
  readonly readTimeoutMs?: number;
  /** Told, once, what works less well than it could. */
  readonly onNotice?: (message: string) => void;
  /** Told why something was put off until the next housekeeping. */
  readonly onDeferred?: (error: unknown) => void;
}

/** Logs in PostgreSQL: rows in partitions by day, written in groups, read along the time index. */
export function openPostgresLogStore(options: PostgresLogStoreOptions): LogStore {
  const { url, onIdleError, retentionDays, readTimeoutMs = defaultReadTimeoutMs } = options;
  const { onNotice = () => {}, onDeferred = () => {} } = options;
  const shared = { url, ...(onIdleError && { onIdleError }) };
  const writes = openDatabase({ ...shared, connections: lanes + backgroundConnections });
  const reads = openDatabase({ ...shared, connections: readers, statementTimeoutMs: readTimeoutMs });
  const follows = openDatabase({ ...shared, connections: followers, statementTimeoutMs: readTimeoutMs });
  const native = new NativeQueries({ url, db: reads });
  const partitions = new Partitions(writes, retentionDays);
  const sealer = new PartitionIndexBuilder({
    url,
    db: reads,
    onNotice,
    first: (session) => removeExpired(session, retentionDays),
  });
  const search = async (wanted: LogSearch) =>
    searchLogs(reads, wanted, { sealed: await sealer.sealed(), timeoutMs: readTimeoutMs });
  const wordMaps = new SkipIndex(writes, onDeferred);
  const folding = new VolumeRollup(writes, onDeferred);
  const onStored = (stored: StoredEntries) => {
    wordMaps.stored(stored);
    folding.due();
  };
  const writer = new LogWriter({ db: writes, partitions, limits, onStored });
  if (options.metrics) {
    const pools = { log_writes: writes, log_reads: reads, log_tails: follows };
    registerLogStoreMetrics(options.metrics, writer, pools);
  }
  return {
    backend: { id: "postgresql", name: "PostgreSQL" },
    append: (batch, options) => writer.append(batch, options),
    search: (wanted) => inTime(search(wanted)),
    volume: (request) => inTime(countVolume(reads, request)),
    facet: (request) => inTime(countValues(reads, request)),
    patterns: (request) => inTime(countPatterns(reads, request)),
    fields: (scope) => inTime(listFields(reads, scope)),
    find: (projectNumbers, id, signal) => inTime(findLogs(reads, { projectNumbers, id, signal })),
    // Asked several times a second while somebody follows: not to stand in line behind searches.
    heads: (projectNumbers) => inTime(readHeads(follows, projectNumbers)),
    follow: (request) => inTime(followLogs(follows, request)),
    queryNative: (request) => inTime(native.run(request)),
    async runMaintenance() {
      await partitions.ensureAround(Date.now());
      await rollUpVolume(writes).catch(onDeferred);
      await partitions.dropExpired();
      await deleteOldBatches(writes);
      await deleteOldUids(writes);
      await deleteOldTemplates(writes, retentionDays);
      await deleteOldCommits(writes, retentionDays);
      await deleteOldSkipIndexes(writes, retentionDays);
      await wordMaps.catchUp();
      // It may take minutes, and nobody waits for it.
      sealer.seal().catch(onDeferred);
    },
    close: async () => {
      await sealer.close();
      await writer.drain();
      await wordMaps.close();
      await folding.close();
      await native.close();
      await Promise.all([writes.close(), reads.close(), follows.close()]);
    },
  };
}

async function inTime<T>(reading: Promise<T>): Promise<T> {
  try {
    return await reading;
  } catch (error) {
    if (!isTimeout(error)) throw error;
    throw queryTimeout(error);
  }
}
