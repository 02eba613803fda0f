// Benchmarks of logs: the cost of durable storage (log-intake.ts), and the speed of searches in PostgreSQL, in
// ClickHouse and in a file (log-reads.ts). log-rows.ts generates the rows.
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { openEmbeddedPostgres } from "../../packages/service/src/embedded-postgres.ts";
import { printRatios } from "./harness.ts";
import { benchIntake } from "./log-intake.ts";
import { benchReads } from "./log-reads.ts";

const { values: options } = parseArgs({
  options: {
    /** The number of sealed rows. Today has as many, but at most a million. */
    rows: { type: "string", default: "1000000" },
    /** The duration of each intake round, in seconds. */
    seconds: { type: "string", default: "5" },
    /** `intake` or `reads`; both by default. */
    only: { type: "string" },
    /** A directory to keep the rows in. Further runs on the same day reuse them. */
    data: { type: "string" },
    json: { type: "boolean" },
  },
});

const ratios: Record<string, number> = {};
if (options.only !== "reads") {
  const durationMs = Number(options.seconds) * 1000;
  const measured = await withPostgres((databaseUrl, dataDir) => benchIntake({ databaseUrl, dataDir, durationMs }));
  Object.assign(ratios, measured);
}
if (options.only !== "intake") {
  const rows = Number(options.rows);
  const measured = await withPostgres(
    (databaseUrl, dataDir) => benchReads({ databaseUrl, dataDir, rows }),
    options.data && resolve(options.data),
  );
  Object.assign(ratios, measured);
}
printRatios(ratios);

/** Runs `work` with its own server and a directory that is deleted afterwards, unless it is `kept`. */
async function withPostgres<T>(work: (databaseUrl: string, dataDir: string) => Promise<T>, kept?: string): Promise<T> {
  const dataDir = kept ?? (await mkdtemp(join(tmpdir(), "sazabi-bench-")));
  await mkdir(dataDir, { recursive: true });
  const postgres = await openEmbeddedPostgres({ dataDir });
  try {
    return await work(postgres.url, dataDir);
  } finally {
    await postgres.close();
    if (kept === undefined) await rm(dataDir, { recursive: true, force: true });
  }
}
