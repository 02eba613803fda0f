import type { IntakeResult } from "@sazabi/sdk/protocol";
import { openClickHouseLogStore } from "../../src/logs/engines/clickhouse/store.ts";
import { openPostgresLogStore } from "../../src/logs/engines/postgres/store.ts";
import type { NormalisedEntry } from "../../src/logs/ingest/entry.ts";
import type { LogBatch, LogStore } from "../../src/logs/log-store.ts";
import { clickHouseMissing, startClickHouse } from "./clickhouse.ts";
import { queryDatabase } from "./index.ts";
import { scaled } from "./scale.ts";

/** What logs can be kept in. */
export interface LogEngine {
  /** A store as a service opens it; another one is another replica. */
  open(databaseUrl: string, options?: { readonly readTimeoutMs?: number }): Promise<LogStore>;
  stop(): Promise<void>;
}

/** Every engine, or why it cannot be tried here. */
export const logEngines: readonly {
  readonly name: string;
  readonly missing: string;
  /** How many of `count` cases to try here: as many as take about as long as all of them in PostgreSQL. */
  cases(count: number): number;
  start(): Promise<LogEngine>;
}[] = [
  {
    name: "PostgreSQL",
    missing: "",
    cases: (count) => count,
    start: async () => ({
      open: async (url, options) => openPostgresLogStore({ url, retentionDays: 30, ...options }),
      stop: async () => {},
    }),
  },
  {
    name: "ClickHouse",
    missing: clickHouseMissing,
    cases: (count) => scaled({ committed: Math.ceil(count / 5), full: count }),
    start: async () => {
      const server = await startClickHouse();
      return {
        open: (databaseUrl, options) =>
          openClickHouseLogStore({ address: server.address, databaseUrl, retentionDays: 30, ...options }),
        stop: () => server.stop(),
      };
    },
  },
];

/** The number of a project in an organization of its own. */
export async function newProject(databaseUrl: string): Promise<number> {
  const { rows } = await queryDatabase(
    databaseUrl,
    `with organization as (
       insert into organizations (name, slug) values ('o', gen_random_uuid()::text) returning id
     )
     insert into projects (organization_id, name, region) select id, 'p', 'us-west-2' from organization returning number`,
  );
  return rows[0].number;
}

export function entryAt(timestampMicros: number, more: Partial<NormalisedEntry> = {}): NormalisedEntry {
  const plain = { level: 2, service: "", environment: null, traceId: null, spanId: null, message: "m", attributes: {} };
  return { ...plain, bytes: 200, ...more, timestampMicros };
}

export function appendEntries(
  store: LogStore,
  projectNumber: number,
  entries: readonly NormalisedEntry[],
  more: Partial<LogBatch> = {},
): Promise<IntakeResult> {
  const bytes = 200 * entries.length;
  return store.append({ projectNumber, entries, bytes, result: { accepted: entries.length }, ...more });
}
