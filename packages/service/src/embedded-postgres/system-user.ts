import { execFile } from "node:child_process";
import { chown, lstat, readdir, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);

/** The account PostgreSQL runs under. */
export interface SystemUser {
  readonly uid: number;
  readonly gid: number;
}

/**
 * PostgreSQL refuses to run as root. As root we run it as whoever owns the cluster already, else as `postgres`,
 * which is created when there is none. Undefined when we are not root: then it runs as ourselves.
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
    return undefined; // `id` fails for a name nobody has.
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

/** The first of `paths` that `user` may not enter (a folder) or execute (a file). The kernel decides, not mode bits. */
export async function findBarred(paths: readonly string[], { uid, gid }: SystemUser): Promise<string | undefined> {
  const script = 'for path; do [ -x "$path" ] || { printf %s "$path"; exit; }; done';
  const { stdout } = await run("/bin/sh", ["-c", script, "sh", ...paths], { uid, gid, cwd: "/", env: {} });
  return stdout === "" ? undefined : stdout;
}

/** `/a/b/c` → `/`, `/a`, `/a/b`: the folders one has to pass to reach it. */
export function foldersAbove(path: string): string[] {
  const parent = dirname(path);
  return parent === path ? [] : [...foldersAbove(parent), parent];
}

/** Gives a file, or a folder with all that is in it, to `user`. */
export async function chownTree(path: string, user: SystemUser): Promise<void> {
  await chown(path, user.uid, user.gid);
  if (!(await lstat(path)).isDirectory()) return;
  for (const name of await readdir(path)) await chownTree(join(path, name), user);
}
