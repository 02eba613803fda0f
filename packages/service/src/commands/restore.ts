import { resolve } from "node:path";
import { restoreBackup } from "../backup/restore.ts";
import { readConfig } from "../config.ts";
import { type Command, onProgress } from "./command.ts";

export const restore: Command = {
  name: "restore",
  summary: "put a backup into a new data folder",
  help: `Checks the backup in <folder> and unpacks it into the data folder (SAZABI_DATA_DIR), which must
hold no database and no keys yet. PostgreSQL is started on it once, to see that it works. Nothing
is overwritten, and nothing is left behind if the backup is damaged or incomplete.`,
  operands: ["folder"],
  flags: {},
  async run([folder], { signal }) {
    const config = readConfig(process.env);
    if (config.databaseUrl) {
      throw new Error("DATABASE_URL is set: unset it to restore the embedded database, which does not use it.");
    }
    const { missingKeyrings } = await restoreBackup({
      ...config,
      folder: resolve(folder as string),
      onProgress,
      signal,
    });
    for (const { noun, file, variable } of missingKeyrings) {
      onProgress(`The ${noun} of this database is still missing: set ${variable}, or put it into ${file}.`);
    }
    process.stdout.write(`Restored into ${resolve(config.dataDir)}. Start the service with this data folder.\n`);
  },
};
