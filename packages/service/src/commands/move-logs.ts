import { ConfigError, readConfig } from "../config.ts";
import { migrate } from "../db/migrate.ts";
import { openEmbeddedPostgres } from "../embedded-postgres.ts";
import { moveLogs } from "../logs/engines/clickhouse/backfill.ts";

/** `npm run logs:move`: moves logs from PostgreSQL to the store in `SAZABI_LOG_STORE`. Sets the exit code. */
export async function main(): Promise<void> {
  try {
    const { databaseUrl, dataDir, logStore: address, logRetentionDays: retentionDays } = readConfig(process.env);
    if (!address) throw new ConfigError("SAZABI_LOG_STORE must say where the logs shall go: clickhouse://…");
    // With the embedded PostgreSQL, the service must be stopped, since only one process can use the data
    // folder.
    const postgres = databaseUrl
      ? undefined
      : await openEmbeddedPostgres({ dataDir, onProgress, onUnexpectedExit: onProgress });
    try {
      const url = databaseUrl ?? (postgres?.url as string);
      await migrate(url, (name) => onProgress(`Migrating the database: ${name}`));
      const copied = await moveLogs({ databaseUrl: url, address, retentionDays, onProgress });
      onProgress(`Moved: ${copied} entries were copied. Start every process with SAZABI_LOG_STORE now.`);
    } finally {
      await postgres?.close();
    }
  } catch (error) {
    process.exitCode = 1;
    onProgress((error as Error).message);
  }
}

function onProgress(message: string): void {
  process.stderr.write(`${message}\n`);
}
