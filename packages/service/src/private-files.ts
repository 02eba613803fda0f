import { chmod, mkdir, stat } from "node:fs/promises";

/* Files with secrets are accessible to their owner only. Windows has other permissions, which Node does not expose. */

const hasModes = process.platform !== "win32";
const ofOthers = 0o077;
const writableByAnyone = 0o002;
/** In a sticky folder, other users may create files, but not replace those of another user. */
const sticky = 0o1000;

export type Notice = (message: string) => void;

/** Creates a folder for secrets, accessible to its owner only. */
export async function makePrivateFolder(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o700 }).catch((error) => {
    throw withFileName(error, folder, "made");
  });
}

/** Throws for a folder in which any user can replace files. A missing folder is accepted. */
export async function checkPrivateFolder(folder: string): Promise<void> {
  const found = await stat(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return undefined;
    throw withFileName(error, folder, "opened");
  });
  if (!found || !hasModes || (found.mode & writableByAnyone) === 0 || (found.mode & sticky) !== 0) return;
  throw new Error(
    `Any user of this machine can replace the secrets in ${folder}. Take that right away (chmod o-w ${folder}), or name ` +
      "another data folder with SAZABI_DATA_DIR.",
  );
}

/** Returns true when `file` exists. Removes permissions of other users and reports it; throws if that fails. */
export async function findPrivateFile(file: string, onNotice: Notice): Promise<boolean> {
  const found = await stat(file).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return undefined;
    throw withFileName(error, file, "opened");
  });
  if (!found) return false;
  if (!found.isFile()) throw new Error(`${file} is not a file. Move it away, and restore the file from a backup.`);
  const rights = found.mode & 0o777;
  if (!hasModes || (rights & ofOthers) === 0) return true;
  const written = rights.toString(8).padStart(4, "0");
  try {
    await chmod(file, rights & ~ofOthers);
  } catch {
    throw new Error(
      `Other users of this machine may use ${file} (mode ${written}), and its mode cannot be changed. Make it 0600.`,
    );
  }
  onNotice(
    `Other users of this machine could use ${file} (mode ${written}); now only its owner can. If one of them may have read ` +
      "it, replace the secret: docs/operations.md.",
  );
  return true;
}

/** Returns an error with the system's message, the name of the file and what to do. */
export function withFileName(error: unknown, file: string, what: string): Error {
  const { code, message } = error as NodeJS.ErrnoException;
  const why = reasons[code ?? ""] ?? message;
  return new Error(
    `${file} cannot be ${what}: ${why}. Correct that, or name another data folder with SAZABI_DATA_DIR.`,
    {
      cause: error,
    },
  );
}

const reasons: Readonly<Record<string, string>> = {
  EACCES: "this user has no right to it",
  EPERM: "this user has no right to it",
  EROFS: "its file system is read-only",
  EISDIR: "it is a folder",
  ENOTDIR: "a part of its path is a file",
  EEXIST: "a file is in its place",
  ENOSPC: "its disk is full",
  ELOOP: "its symbolic links go in a circle",
};
