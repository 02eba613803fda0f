import type { Database } from "../db/database.ts";
import type { Metrics } from "./metrics.ts";

type Pool = Pick<Database, "connections">;

/** Registers the metrics of a log store: its queue, and its pools by name. */
export function registerLogStoreMetrics(
  metrics: Metrics,
  writer: { readonly queue: { readonly bytes: number; readonly requests: number } },
  pools: Readonly<Record<string, Pool>>,
): void {
  metrics.gauge("sazabi_intake_queue_bytes", "Bytes of entries that are not committed yet.", () => writer.queue.bytes);
  metrics.gauge("sazabi_intake_queue_requests", "Requests that wait for a commit.", () => writer.queue.requests);
  for (const [name, pool] of Object.entries(pools)) registerPool(metrics, name, pool);
}

/** Registers the connections of one pool, labelled with its name. */
export function registerPool(metrics: Metrics, pool: string, db: Pool): void {
  metrics.gauge("sazabi_database_connections", "Database connections by pool and state.", () => {
    const { total, idle, waiting } = db.connections();
    return [
      { labels: { pool, state: "busy" }, value: total - idle },
      { labels: { pool, state: "idle" }, value: idle },
      { labels: { pool, state: "awaited" }, value: waiting },
    ];
  });
}
