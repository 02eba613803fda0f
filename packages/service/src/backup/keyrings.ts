import { readFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { fingerprint, type Keyring, parseKeyring } from "../auth/keyring.ts";
import { openDatabase, sqlState } from "../store/database.ts";
import { type KeyringName, listFingerprints } from "../store/keyrings.ts";

/** A secret of the service that its database is of no use without. */
export interface KeyringSource {
  readonly id: KeyringName;
  readonly name: string;
  readonly fileName: "key-pepper" | "master-key";
  readonly file: string;
  readonly variable: string;
}

export function keyringSources(dataDir: string): readonly KeyringSource[] {
  const file = (name: string) => join(resolve(dataDir), name);
  return [
    {
      id: "pepper",
      name: "key pepper",
      fileName: "key-pepper",
      file: file("key-pepper"),
      variable: "SAZABI_KEY_PEPPER",
    },
    {
      id: "master",
      name: "master key",
      fileName: "master-key",
      file: file("master-key"),
      variable: "SAZABI_MASTER_KEY",
    },
  ];
}

/** The keyring in `file`; undefined when there is no file, or something else in it. */
export async function readKeyringFile(file: string): Promise<Keyring | undefined> {
  try {
    return parseKeyring(await readFile(file, "utf8"));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

export type KeyringCheck = (id: KeyringName, keyring: Keyring | undefined) => boolean;

/** Whether a keyring is the one that the database at `url` was written with. A database without keys fits any. */
export async function openKeyringCheck(url: string): Promise<KeyringCheck> {
  const db = openDatabase({ url, connections: 1 });
  try {
    const known = await listFingerprints(db).catch((error: unknown) => {
      if (sqlState(error) === undefinedTable) return [];
      throw error;
    });
    return (id, keyring) => {
      const latest = known.findLast((version) => version.keyring === id);
      if (!latest) return true;
      const { entries = [] } = keyring ?? {};
      return entries.some((entry) => entry.version === latest.version && fingerprint(entry).equals(latest.fingerprint));
    };
  } finally {
    await db.close();
  }
}

const undefinedTable = "42P01";
