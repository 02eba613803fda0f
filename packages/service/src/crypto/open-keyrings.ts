import { randomBytes } from "node:crypto";
import { open, readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Queryable } from "../db/database.ts";
import { checkPrivateFolder, findPrivateFile, makePrivateFolder, type Notice, withFileName } from "../private-files.ts";
import { fingerprint, type Keyring, parseKeyring, secretBytes } from "./keyring.ts";
import { type KeyringFile, keyringFiles } from "./keyring-files.ts";
import { type KeyringName, listFingerprints, registerFingerprints } from "./keyring-store.ts";

export interface KeyringOptions {
  readonly dataDir: string;
  /** Undefined: stored in a file of the data folder. */
  readonly keyPepper: Keyring | undefined;
  readonly masterKey: Keyring | undefined;
  readonly onNotice: Notice;
}

export interface Keyrings {
  readonly pepper: Keyring;
  readonly master: Keyring;
}

interface Place extends KeyringFile {
  readonly file: string;
  readonly given: Keyring | undefined;
}

function placesOf({ dataDir, keyPepper, masterKey }: KeyringOptions): readonly [Place, Place] {
  const { pepper, master } = keyringFiles;
  return [
    { ...pepper, file: join(dataDir, pepper.fileName), given: keyPepper },
    { ...master, file: join(dataDir, master.fileName), given: masterKey },
  ];
}

/**
 * Opens the keyrings of the service and compares them with those that the database was written with.
 * For a new database, they are created in the data folder. Nothing is written when one is missing or
 * wrong: a folder with new secrets would look complete, and hide that the secrets which existing keys
 * need are lost.
 */
export async function openKeyrings(db: Queryable, options: KeyringOptions): Promise<Keyrings> {
  const places = placesOf(options);
  const found = await findKeyrings(db, places, options);
  const missing = places.filter(({ name }) => !found.has(name));
  if (missing.length > 0) await makePrivateFolder(options.dataDir);
  for (const place of missing) found.set(place.name, await createKeyringFile(place));
  return { pepper: found.get("pepper") as Keyring, master: found.get("master") as Keyring };
}

/** As `openKeyrings`, for a database that was used before: throws when a keyring is missing, and creates none. */
export async function readKeyrings(db: Queryable, options: KeyringOptions): Promise<Keyrings> {
  const places = placesOf(options);
  const found = await findKeyrings(db, places, options);
  for (const place of places) if (!found.has(place.name)) throw lost(place);
  return { pepper: found.get("pepper") as Keyring, master: found.get("master") as Keyring };
}

/** Records the fingerprints. Of two processes that start concurrently with different secrets, one is rejected here. */
export async function registerKeyrings(db: Queryable, { pepper, master }: Keyrings): Promise<void> {
  for (const [name, keyring] of [["pepper", pepper] as const, ["master", master] as const]) {
    const versions = keyring.entries.map((entry) => ({ version: entry.version, fingerprint: fingerprint(entry) }));
    const wrong = await registerFingerprints(db, name, versions);
    if (wrong.length > 0) throw other(name, wrong);
  }
}

/** Only reads; the only change it makes is to file modes. */
async function findKeyrings(
  db: Queryable,
  places: readonly Place[],
  { dataDir, onNotice }: KeyringOptions,
): Promise<Map<KeyringName, Keyring>> {
  if (places.some(({ given }) => !given)) await checkPrivateFolder(dataDir);
  const known = await listFingerprints(db);
  const found = new Map<KeyringName, Keyring>();
  for (const place of places) {
    const keyring = place.given ?? (await readKeyringFile(place, onNotice));
    const before = known.filter((version) => version.keyring === place.name);
    if (!keyring) {
      if (before.length > 0) throw lost(place);
      continue;
    }
    const wrong = before.filter(({ version, fingerprint: written }) =>
      keyring.entries.some((entry) => entry.version === version && !fingerprint(entry).equals(written)),
    );
    if (wrong.length > 0)
      throw other(
        place.name,
        wrong.map(({ version }) => version),
      );
    found.set(place.name, keyring);
  }
  return found;
}

async function readKeyringFile({ file, variable }: Place, onNotice: Notice): Promise<Keyring | undefined> {
  if (!(await findPrivateFile(file, onNotice))) return undefined;
  const text = await readFile(file, "utf8").catch((error) => {
    throw withFileName(error, file, "read");
  });
  const keyring = parseKeyring(text);
  if (keyring) return keyring;
  throw new Error(
    `${file} does not hold a keyring (version:base64 of 32 bytes). Restore it from a backup, or set ${variable}.`,
  );
}

/** Creates a keyring file, or returns the keyring of another process that created it first. */
async function createKeyringFile(place: Place): Promise<Keyring> {
  try {
    const handle = await open(place.file, "wx", 0o600);
    try {
      await handle.writeFile(`1:${randomBytes(secretBytes).toString("base64")}\n`);
      await handle.sync();
    } finally {
      await handle.close();
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw withFileName(error, place.file, "made");
  }
  const keyring = await readKeyringFile(place, () => {});
  if (keyring) return keyring;
  throw new Error(
    `${place.file} cannot be made: it is a link to a file that is missing. Remove the link, or restore the file.`,
  );
}

function lost({ noun, file, variable }: Place): Error {
  return new Error(
    `This database was written with a ${noun}, and ${file} is missing. Nothing was changed. Restore the file from a backup, or ` +
      `set ${variable}. If it is lost for good, see "Lost secrets" in docs/operations.md.`,
  );
}

function other(name: KeyringName, versions: readonly number[]): Error {
  const { noun, variable } = keyringFiles[name];
  return new Error(
    `This database was written with another ${noun} (version ${versions.join(", ")}). Give ${variable}, or the file in the ` +
      "data folder, of the service that wrote it.",
  );
}
