import { type DatabaseOptions, openDatabase } from "../../store/database.ts";
import type { LogStore } from "../store.ts";
import { deleteOldBatches } from "./ledger.ts";
import { Partitions } from "./partitions.ts";
import { searchLogs } from "./reader.ts";
import { LogWriter } from "./writer.ts";

const lanes = 2;
const limits = { lanes, rowsPerCommit: 5_000, queueBytes: 64 * 1024 * 1024 };
const readers = 4;
const searchTimeoutMs = 15_000;

export interface PostgresLogStoreOptions extends Pick<DatabaseOptions, "url" | "onIdleError"> {
  readonly retentionDays: number;
}

/** Logs in PostgreSQL: rows in day partitions, written in groups, read along the time index. */
export function openPostgresLogStore({ url, onIdleError, retentionDays }: PostgresLogStoreOptions): LogStore {
  const shared = { url, ...(onIdleError && { onIdleError }) };
  const writes = openDatabase({ ...shared, connections: lanes + 1 });
  const reads = openDatabase({ ...shared, connections: readers, statementTimeoutMs: searchTimeoutMs });
  const partitions = new Partitions(writes);
  const writer = new LogWriter(writes, partitions, limits);
  return {
    append: (batch) => writer.append(batch),
    search: (search) => searchLogs(reads, search),
    async keepHouse() {
      await partitions.ensureAround(Date.now());
      await partitions.dropExpired(retentionDays);
      await deleteOldBatches(writes);
    },
    close: async () => {
      await writer.drain();
      await Promise.all([writes.close(), reads.close()]);
    },
  };
}
