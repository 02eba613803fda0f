import { resolve } from "node:path";
import { makeBackup } from "../backup/backup.ts";
import { readConfig } from "../config.ts";
import { type Command, onProgress } from "./command.ts";

export const backup: Command = {
  name: "backup",
  summary: "copy the embedded database and its keys into a new folder, while the service runs",
  help: `Writes a complete, consistent copy of the embedded PostgreSQL into <folder>, which must not exist.
The service may run meanwhile. The folder also gets the key pepper and the master key, if they are
files in the data folder: whoever has the backup can then check keys and read log-forwarding keys.`,
  operands: ["folder"],
  flags: { "without-keys": "leave the key pepper and the master key out; restoring needs them" },
  async run([folder], { flags, signal }) {
    const config = readConfig(process.env);
    if (config.databaseUrl) throw new Error(otherDatabase);
    const withKeys = !flags.has("without-keys");
    const { bytes, missingKeyrings } = await makeBackup({
      ...config,
      folder: resolve(folder as string),
      withKeys,
      onProgress,
      signal,
    });
    for (const { noun, file, variable } of missingKeyrings) {
      onProgress(`NOT in the backup: the ${noun}. Keep ${variable}, or the file ${file}, in another safe place.`);
    }
    if (config.logStore) onProgress("NOT in the backup: the logs. They are in ClickHouse; back it up now, after this.");
    process.stdout.write(`Backup written: ${resolve(folder as string)} (${Math.ceil(bytes / 1024 ** 2)} MiB)\n`);
  },
};

const otherDatabase =
  "DATABASE_URL is set, so the database is not the service's own: back it up with pg_dump or pg_basebackup, and keep " +
  "the key pepper and the master key (SAZABI_KEY_PEPPER and SAZABI_MASTER_KEY, or the files key-pepper and master-key " +
  "in the data folder) in another safe place.";
