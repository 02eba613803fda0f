import { randomBytes } from "node:crypto";
import { lstat, mkdir, rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { Config } from "../config.ts";
import { type UsedServer, withEmbeddedPostgres } from "../embedded-postgres.ts";
import { takeBaseBackup } from "./base-backup.ts";
import { copySmallFile, syncFolder, writeDurably } from "./files.ts";
import { type KeyringSource, keyringSources, openKeyringCheck, readKeyringFile } from "./keyrings.ts";
import { type BackupFile, type BackupManifest, manifestName } from "./manifest.ts";

export interface BackupOptions extends Pick<Config, "dataDir"> {
  /** Created by the backup; must not exist. */
  readonly folder: string;
  /** Whether the backup includes the key files. */
  readonly withKeys: boolean;
  readonly onProgress: (message: string) => void;
  /** Cancels the backup and removes what was written. */
  readonly signal?: AbortSignal | undefined;
}

export interface BackupResult {
  readonly bytes: number;
  /** Secrets that a restore needs and that are not in the backup. */
  readonly missingKeyrings: readonly KeyringSource[];
}

/**
 * Backs up the embedded database, whether or not the service is running. The folder is created under a
 * temporary name and renamed when all of it is on disk, so a folder with the final name is a complete
 * backup.
 */
export async function makeBackup(options: BackupOptions): Promise<BackupResult> {
  const { folder } = options;
  if (await exists(folder)) throw new Error(`${folder} exists already: name a new folder for the backup.`);
  return withEmbeddedPostgres(options, async (server) => {
    const unfinished = `${folder}.unfinished-${randomBytes(4).toString("hex")}`;
    await mkdir(dirname(folder), { recursive: true });
    await mkdir(unfinished, { mode: 0o700 });
    try {
      const result = await fill(unfinished, server, options);
      await rename(unfinished, folder);
      await syncFolder(dirname(folder));
      return result;
    } catch (error) {
      await rm(unfinished, { recursive: true, force: true });
      throw error;
    }
  });
}

async function fill(dir: string, { url, cluster }: UsedServer, options: BackupOptions): Promise<BackupResult> {
  const files = [...(await takeBaseBackup(url, dir, options.signal))];
  files.push(await copySmallFile(join(options.dataDir, "postgres-password"), join(dir, "postgres-password")));
  const { copied, missingKeyrings } = await copyKeyrings(url, dir, options);
  files.push(...copied);
  const manifest: BackupManifest = {
    format: "sazabi-backup-1",
    madeAt: new Date().toISOString(),
    postgresMajor: cluster.binaries.major,
    files: files as BackupManifest["files"],
  };
  await writeDurably(join(dir, manifestName), `${JSON.stringify(manifest, undefined, 2)}\n`);
  await syncFolder(dir);
  return { bytes: files.reduce((sum, { bytes }) => sum + bytes, 0), missingKeyrings };
}

/**
 * Copies a key file only if the database was written with its secret: the environment may have
 * provided another one.
 */
async function copyKeyrings(url: string, dir: string, { dataDir, withKeys }: BackupOptions) {
  const fits = await openKeyringCheck(url);
  const copied: BackupFile[] = [];
  const missingKeyrings: KeyringSource[] = [];
  for (const source of keyringSources(dataDir)) {
    const keyring = await readKeyringFile(source.file);
    if (withKeys && keyring && fits(source.name, keyring)) {
      copied.push(await copySmallFile(source.file, join(dir, source.fileName)));
    } else {
      missingKeyrings.push(source);
    }
  }
  return { copied, missingKeyrings };
}

async function exists(path: string): Promise<boolean> {
  return (await lstat(path).catch(() => undefined)) !== undefined;
}
