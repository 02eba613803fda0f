import { randomBytes } from "node:crypto";
import { lstat, mkdir, rename, rm } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import type { Config } from "../config.ts";
import { type Cluster, openCluster, ownerName } from "../embedded-postgres/cluster.ts";
import { findPostmaster } from "../embedded-postgres/postmaster.ts";
import { openEmbeddedPostgres } from "../embedded-postgres.ts";
import { takeBaseBackup } from "./base-backup.ts";
import { copySmallFile, syncFolder, writeDurably } from "./files.ts";
import { type KeyringSource, keyringSources, openKeyringCheck, readKeyringFile } from "./keyrings.ts";
import { type BackupFile, type BackupManifest, manifestName } from "./manifest.ts";

export interface BackupOptions extends Pick<Config, "dataDir"> {
  /** Made by this; must not exist. */
  readonly folder: string;
  /** Whether the key files go into the backup. */
  readonly withKeys: boolean;
  readonly onProgress: (message: string) => void;
}

export interface BackupResult {
  readonly bytes: number;
  /** Secrets that restoring needs and that are not in the backup. */
  readonly missingKeyrings: readonly KeyringSource[];
}

/**
 * Backs the embedded database up, whether the service runs or not. The folder is made beside its place and renamed when
 * all of it is on disk, so that a folder of that name is a complete backup.
 */
export async function makeBackup(options: BackupOptions): Promise<BackupResult> {
  const { dataDir, folder, onProgress } = options;
  if (await exists(folder)) throw new Error(`${folder} exists already: name a new folder for the backup.`);
  if (!(await exists(join(dataDir, "postgres", "PG_VERSION")))) {
    throw new Error(`There is no embedded database in ${resolve(dataDir)}: name its folder with SAZABI_DATA_DIR.`);
  }
  const cluster = await openCluster(dataDir, onProgress);
  const unfinished = `${folder}.unfinished-${randomBytes(4).toString("hex")}`;
  await mkdir(dirname(folder), { recursive: true });
  await mkdir(unfinished, { mode: 0o700 });
  try {
    const result = await withServer(cluster, options, (port) => fill(unfinished, { cluster, port, options }));
    await rename(unfinished, folder);
    await syncFolder(dirname(folder));
    return result;
  } catch (error) {
    await rm(unfinished, { recursive: true, force: true });
    throw error;
  }
}

/** With the server that runs, else with one that runs for as long as `work` does. */
async function withServer<T>(
  cluster: Cluster,
  { dataDir, onProgress }: BackupOptions,
  work: (port: number) => Promise<T>,
): Promise<T> {
  const running = await findPostmaster(cluster);
  if (running) return work(running.port);
  const server = await openEmbeddedPostgres({ dataDir, onProgress, onUnexpectedExit: onProgress });
  try {
    return await work(Number(new URL(server.url).port));
  } finally {
    await server.close();
  }
}

interface Source {
  readonly cluster: Cluster;
  readonly port: number;
  readonly options: BackupOptions;
}

async function fill(dir: string, { cluster, port, options }: Source): Promise<BackupResult> {
  const server = { host: "127.0.0.1", port, user: ownerName, password: cluster.password };
  const files = [...(await takeBaseBackup(server, dir))];
  files.push(await copySmallFile(join(options.dataDir, "postgres-password"), join(dir, "postgres-password")));
  const url = `postgres://${ownerName}:${cluster.password}@127.0.0.1:${port}/${ownerName}`;
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

/** A file is copied only if the database was written with what is in it: the environment may have had another secret. */
async function copyKeyrings(url: string, dir: string, { dataDir, withKeys }: BackupOptions) {
  const fits = await openKeyringCheck(url);
  const copied: BackupFile[] = [];
  const missingKeyrings: KeyringSource[] = [];
  for (const source of keyringSources(dataDir)) {
    const keyring = await readKeyringFile(source.file);
    if (withKeys && keyring && fits(source.id, keyring)) {
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
