import { execFile } from "node:child_process";
import { chown, lstat, readdir, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);

/** The account that PostgreSQL runs under. */
export interface SystemUser {
  readonly uid: number;
  readonly gid: number;
}

/**
 * PostgreSQL does not run as root. When this process runs as root, returns the owner of the cluster,
 * else `postgres`, which is created if it does not exist. Otherwise returns undefined: PostgreSQL then
 * runs as the current user.
 */
export async function findServerUser(clusterDir: string): Promise<SystemUser | undefined> {
  if (process.getuid?.() !== 0) return undefined;
  const owner = await stat(clusterDir).catch(() => undefined);
  if (owner && owner.uid !== 0) return { uid: owner.uid, gid: owner.gid };
  return (await findPostgresUser()) ?? (await createPostgresUser());
}

async function findPostgresUser(): Promise<SystemUser | undefined> {
  try {
    const [uid, gid] = await Promise.all([run("id", ["-u", "postgres"]), run("id", ["-g", "postgres"])]);
    return { uid: Number(uid.stdout), gid: Number(gid.stdout) };
  } catch {
    return undefined; // `id` fails for an unknown name.
  }
}

async function createPostgresUser(): Promise<SystemUser> {
  try {
    await run("groupadd", ["--force", "--system", "postgres"]);
    await run("useradd", ["--system", "--gid", "postgres", "--no-create-home", "--shell", "/bin/false", "postgres"]);
  } catch (cause) {
    throw new Error(
      "PostgreSQL does not run as root, and there is no user `postgres` and none could be created. " +
        "Create it (`useradd --system postgres`), start Sazabi as an ordinary user, or set DATABASE_URL.",
      { cause },
    );
  }
  const user = await findPostgresUser();
  if (!user) throw new Error("The user `postgres` was created but cannot be found. Set DATABASE_URL instead.");
  return user;
}

/**
 * Returns the first of `paths` that `user` may not enter (a folder) or execute (a file). The kernel
 * decides, not the mode bits.
 */
export async function findBarred(paths: readonly string[], { uid, gid }: SystemUser): Promise<string | undefined> {
  const script = 'for path; do [ -x "$path" ] || { printf %s "$path"; exit; }; done';
  const { stdout } = await run("/bin/sh", ["-c", script, "sh", ...paths], { uid, gid, cwd: "/", env: {} });
  return stdout === "" ? undefined : stdout;
}

/** Returns the parent folders of a path: `/a/b/c` → `/`, `/a`, `/a/b`. */
export function foldersAbove(path: string): string[] {
  const parent = dirname(path);
  return parent === path ? [] : [...foldersAbove(parent), parent];
}

/** Changes the owner of a file, or of a folder and its contents, to `user`. */
export async function chownTree(path: string, user: SystemUser): Promise<void> {
  await chown(path, user.uid, user.gid);
  if (!(await lstat(path)).isDirectory()) return;
  for (const name of await readdir(path)) await chownTree(join(path, name), user);
}
