import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { chmod, chown, link, mkdir, readFile, realpath, rename, rm, stat, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { findPrivateFile, type Notice } from "../private-files.ts";
import { type Binaries, openBinaries } from "./binaries.ts";
import { findBarred, findServerUser, foldersAbove, type SystemUser } from "./system-user.ts";

const run = promisify(execFile);

/** Name of the PostgreSQL superuser and of its database. */
export const ownerName = "sazabi";

/** File in the data folder while a backup is being restored into it. */
export const unfinishedRestoreName = "restore-unfinished";

/** A database cluster on disk, and what is needed to run a server on it. */
export interface Cluster {
  readonly dir: string;
  readonly logFile: string;
  readonly password: string;
  readonly binaries: Binaries;
  /** The account of the server; undefined for that of this process. */
  readonly user: SystemUser | undefined;
  /** True when this call created the cluster. */
  readonly isNew: boolean;
}

/** Opens the cluster under `dataDir`, and creates it if it does not exist. */
export async function openCluster(dataDir: string, onProgress: (message: string) => void): Promise<Cluster> {
  const home = await makeDataDir(dataDir);
  const dir = join(home, "postgres");
  if (await stat(join(home, unfinishedRestoreName)).catch(() => undefined)) {
    throw new Error(
      `A restore into ${home} runs or was interrupted. If none runs, empty the folder and restore again.`,
    );
  }
  try {
    const user = await findServerUser(dir);
    if (user) await letIn(user, home);
    const binaries = await openBinaries(home, user, onProgress);
    const version = await readClusterVersion(dir);
    if (version !== undefined && version !== binaries.major) throw new Error(otherMajor(dir, version, binaries));
    const passwordFile = await makePasswordFile(home, user, { mustExist: version !== undefined, onNotice: onProgress });
    const isNew = version === undefined && (await initialise(dir, { binaries, user, passwordFile, onProgress }));
    const password = (await readFile(passwordFile, "utf8")).trim();
    return { dir, logFile: join(home, "postgres.log"), password, binaries, user, isNew };
  } catch (error) {
    throw explainForbidden(error, home);
  }
}

/**
 * Returns the environment of the PostgreSQL programs. It excludes the variables of this process, which
 * may contain keys.
 */
export function serverEnvironment(): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(([name]) => ["PATH", "TZ", "SystemRoot"].includes(name));
  // LC_ALL also keeps macOS from starting a thread for the locale, with which the server would not
  // start.
  return { ...Object.fromEntries(kept), LC_ALL: "C" };
}

async function makeDataDir(dataDir: string): Promise<string> {
  try {
    await mkdir(dataDir, { recursive: true, mode: 0o700 });
    return await realpath(dataDir);
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    const why = code === "EEXIST" || code === "ENOTDIR" ? "a file is in its place" : message;
    throw new Error(
      `The data folder ${resolve(dataDir)} cannot be made: ${why}. Name another one with SAZABI_DATA_DIR.`,
      { cause },
    );
  }
}

/** Lets the PostgreSQL user enter (not read) the data folder. Permissions of its parent folders are not changed. */
async function letIn(user: SystemUser, home: string): Promise<void> {
  const { mode, uid } = await stat(home);
  if (uid === 0) await chmod(home, mode | 0o011);
  const barred = await findBarred([...foldersAbove(home), home], user);
  if (barred === undefined) return;
  throw new Error(
    `Running as root, PostgreSQL is started as the user with id ${user.uid}, who may not enter ${barred}, ` +
      `a folder above its data in ${home}. Choose another data folder (SAZABI_DATA_DIR=/var/lib/sazabi), ` +
      `or allow it: chmod o+x ${barred}`,
  );
}

async function readClusterVersion(dir: string): Promise<number | undefined> {
  try {
    return Number.parseInt(await readFile(join(dir, "PG_VERSION"), "utf8"), 10);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

function otherMajor(dir: string, version: number, { major }: Binaries): string {
  return (
    `The data in ${dir} was written by PostgreSQL ${version}, and this Sazabi brings PostgreSQL ${major}, which ` +
    "cannot read it. Start the Sazabi that wrote it, dump the database and restore it into a new data folder " +
    `(SAZABI_DATA_DIR), or run a PostgreSQL ${version} on it and set DATABASE_URL.`
  );
}

/**
 * Stores the password of the superuser in a file that only the PostgreSQL user (and root) can read. It
 * is never passed as an argument or variable.
 */
async function makePasswordFile(
  home: string,
  user: SystemUser | undefined,
  { mustExist, onNotice }: { mustExist: boolean; onNotice: Notice },
): Promise<string> {
  const file = join(home, "postgres-password");
  if (await findPrivateFile(file, onNotice)) return file;
  if (mustExist) throw new Error(`${file}, the password of the database beside it, is missing. Restore it.`);

  const unfinished = `${file}.new-${randomBytes(4).toString("hex")}`;
  await writeFile(unfinished, `${randomBytes(24).toString("base64url")}\n`, { mode: 0o600 });
  if (user) await chown(unfinished, user.uid, user.gid);
  // Unlike a rename, a link does not replace the password of a concurrent start.
  await link(unfinished, file).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== "EEXIST") throw error;
  });
  await rm(unfinished);
  return file;
}

interface Initialisation {
  readonly binaries: Binaries;
  readonly user: SystemUser | undefined;
  readonly passwordFile: string;
  readonly onProgress: (message: string) => void;
}

/**
 * Creates the cluster under a temporary name and renames it, so that an existing cluster is complete.
 * Returns false when a concurrent start created it first.
 */
async function initialise(dir: string, { binaries, user, passwordFile, onProgress }: Initialisation): Promise<boolean> {
  onProgress(`Making a PostgreSQL ${binaries.version} database in ${dir}`);
  const unfinished = `${dir}.new-${randomBytes(4).toString("hex")}`;
  try {
    await runInitdb(unfinished, binaries, user, passwordFile);
    await rename(unfinished, dir);
    return true;
  } catch (error) {
    await rm(unfinished, { recursive: true, force: true });
    if (["ENOTEMPTY", "EEXIST"].includes((error as NodeJS.ErrnoException).code ?? "")) return false;
    throw error;
  }
}

/**
 * The character type must be UTF-8, otherwise trigrams drop all letters that are not ASCII; the sort
 * order is by code point. The first locale that this system has is used.
 */
const localeChoices = [
  ["--locale=C.UTF-8"],
  ["--locale=C", "--lc-ctype=en_US.UTF-8"],
  ["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"],
];

async function runInitdb(dir: string, binaries: Binaries, user: SystemUser | undefined, passwordFile: string) {
  const flags = [
    `--pgdata=${dir}`,
    `--username=${ownerName}`,
    `--pwfile=${passwordFile}`,
    "--auth=scram-sha-256",
    "--encoding=UTF8",
    "--lc-messages=C",
  ];
  let failure: unknown;
  for (const locale of localeChoices) {
    await mkdir(dir, { mode: 0o700 });
    if (user) await chown(dir, user.uid, user.gid);
    try {
      await run(binaries.initdb, [...flags, ...locale], { ...user, cwd: dir, env: serverEnvironment() });
      return;
    } catch (error) {
      failure = error;
      await rm(dir, { recursive: true, force: true });
      if (!String((error as { stderr?: string }).stderr).includes("locale")) break;
    }
  }
  const said = (failure as { stderr?: string }).stderr?.trim() || String(failure);
  throw new Error(`PostgreSQL could not make its database in ${dir}: ${said}`, { cause: failure });
}

function explainForbidden(error: unknown, home: string): unknown {
  const { code, path } = error as NodeJS.ErrnoException;
  if ((code !== "EACCES" && code !== "EPERM") || path === undefined) return error;
  return new Error(
    `${path} belongs to another user (was Sazabi started with sudo before?). ` +
      `Make ${home} yours, or name another data folder with SAZABI_DATA_DIR.`,
    { cause: error },
  );
}

/** Returns the URL of the database `sazabi` on a server of the cluster. */
export function urlOf({ password }: Cluster, port: number): string {
  return `postgres://${ownerName}:${password}@127.0.0.1:${port}/${ownerName}`;
}
