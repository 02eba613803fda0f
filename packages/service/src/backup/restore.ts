import { lstat, mkdir, readdir, realpath, rename, rm } from "node:fs/promises";
import { join, resolve } from "node:path";
import type { Config } from "../config.ts";
import { unfinishedRestoreName } from "../embedded-postgres/cluster.ts";
import { chownTree, findServerUser } from "../embedded-postgres/system-user.ts";
import { openEmbeddedPostgres } from "../embedded-postgres.ts";
import { copySmallFile, syncFolder } from "./files.ts";
import { type KeyringSource, keyringSources, openKeyringCheck, readKeyringFile } from "./keyrings.ts";
import { type BackupManifest, readManifest } from "./manifest.ts";
import { unpackArchive } from "./unpack.ts";

export interface RestoreOptions extends Pick<Config, "dataDir" | "keyPepper" | "masterKey"> {
  /** The folder of the backup. */
  readonly folder: string;
  readonly onProgress: (message: string) => void;
  /** Cancels unpacking and removes what was unpacked. */
  readonly signal?: AbortSignal | undefined;
}

export interface RestoreResult {
  /** Secrets of this database that are neither in the backup nor in the environment. */
  readonly missingKeyrings: readonly KeyringSource[];
}

/**
 * Restores a backup into a data folder without a database, and starts PostgreSQL on it once.
 * Everything is unpacked and compared with the checksums of the backup before any of it is renamed to
 * its final name; the database is renamed last.
 */
export async function restoreBackup(options: RestoreOptions): Promise<RestoreResult> {
  const { dataDir, folder, onProgress } = options;
  const manifest = await readManifest(folder);
  const home = await openEmptyHome(dataDir);
  const unfinished = join(home, unfinishedRestoreName);
  await mkdir(unfinished, { mode: 0o700 });
  try {
    onProgress(`Unpacking the backup of ${manifest.madeAt}`);
    await unpack(manifest, unfinished, options);
  } catch (error) {
    await rm(unfinished, { recursive: true, force: true });
    throw error;
  }
  await putInPlace(unfinished, home);
  onProgress("Starting PostgreSQL on it, to see that it works");
  return { missingKeyrings: await tryDatabase(options) };
}

const restoredNames = ["postgres-password", "key-pepper", "master-key", "postgres"];

async function openEmptyHome(dataDir: string): Promise<string> {
  await mkdir(dataDir, { recursive: true, mode: 0o700 });
  const home = await realpath(dataDir);
  const taken = (await readdir(home)).find((name) => [...restoredNames, unfinishedRestoreName].includes(name));
  if (taken === undefined) return home;
  throw new Error(
    `${join(resolve(dataDir), taken)} exists already, and nothing is overwritten: ` +
      "name an empty data folder with SAZABI_DATA_DIR.",
  );
}

/** Unpacks into `dir` and compares each file with the manifest. */
async function unpack({ files }: BackupManifest, dir: string, { folder, signal }: RestoreOptions): Promise<void> {
  for (const { name, sha256 } of files) {
    const source = join(folder, name);
    if (name === "base.tar") {
      const postgres = join(dir, "postgres");
      await mkdir(postgres, { mode: 0o700 });
      if ((await unpackArchive(source, postgres, signal)) !== sha256) throw damaged(source);
    } else if (name !== "backup_manifest") {
      if ((await copySmallFile(source, join(dir, name))).sha256 !== sha256) throw damaged(source);
    }
  }
}

function damaged(file: string): Error {
  return new Error(`${file} is damaged: it is not what was backed up (its SHA-256 is another).`);
}

async function putInPlace(unfinished: string, home: string): Promise<void> {
  const user = await findServerUser(join(home, "postgres"));
  if (user) {
    await chownTree(join(unfinished, "postgres"), user);
    await chownTree(join(unfinished, "postgres-password"), user);
  }
  for (const name of restoredNames) {
    const path = join(unfinished, name);
    if (await lstat(path).catch(() => undefined)) await rename(path, join(home, name));
  }
  await rm(unfinished, { recursive: true });
  await syncFolder(home);
}

async function tryDatabase({ dataDir, keyPepper, masterKey, onProgress }: RestoreOptions) {
  const server = await openEmbeddedPostgres({ dataDir, onProgress, onUnexpectedExit: onProgress });
  try {
    const fits = await openKeyringCheck(server.url);
    const configured = { pepper: keyPepper, master: masterKey };
    const missing: KeyringSource[] = [];
    for (const source of keyringSources(dataDir)) {
      if (!fits(source.name, configured[source.name] ?? (await readKeyringFile(source.file)))) missing.push(source);
    }
    return missing;
  } finally {
    await server.close();
  }
}
