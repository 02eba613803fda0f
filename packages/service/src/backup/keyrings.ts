import { readFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { fingerprint, type Keyring, parseKeyring } from "../crypto/keyring.ts";
import { type KeyringFile, keyringFiles } from "../crypto/keyring-files.ts";
import { type KeyringName, listFingerprints } from "../crypto/keyring-store.ts";
import { openDatabase } from "../db/database.ts";

export interface KeyringSource extends KeyringFile {
  readonly file: string;
}

export function keyringSources(dataDir: string): readonly KeyringSource[] {
  return Object.values(keyringFiles).map((one) => ({ ...one, file: join(resolve(dataDir), one.fileName) }));
}

/** Returns the keyring in `file`, or undefined when the file is missing or invalid. */
export async function readKeyringFile(file: string): Promise<Keyring | undefined> {
  try {
    return parseKeyring(await readFile(file, "utf8"));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

type KeyringCheck = (name: KeyringName, keyring: Keyring | undefined) => boolean;

/**
 * Returns a check of whether a keyring is the one that the database at `url` was written with. A
 * database without keys accepts any.
 */
export async function openKeyringCheck(url: string): Promise<KeyringCheck> {
  const db = openDatabase({ url, connections: 1 });
  try {
    const known = await listFingerprints(db);
    return (name, keyring) => {
      const latest = known.findLast((version) => version.keyring === name);
      if (!latest) return true;
      const { entries = [] } = keyring ?? {};
      return entries.some((entry) => entry.version === latest.version && fingerprint(entry).equals(latest.fingerprint));
    };
  } finally {
    await db.close();
  }
}
