// Logs in depth: what it costs to store them durably (log-intake.ts), and how fast they are found, in PostgreSQL, in
// ClickHouse and in a file (log-reads.ts). Rows are those of log-rows.ts.
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
    /** Sealed rows. Of today there are as many, and a million at most. */
    rows: { type: "string", default: "1000000" },
    /** Of each round of intake. */
    seconds: { type: "string", default: "5" },
    /** `intake` or `reads`; without it both. */
    only: { type: "string" },
    /** A folder to keep the rows in: the next run on the same day finds them there. */
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

/** With a server of its own, and a folder that is gone afterwards unless it is `kept`. */
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
