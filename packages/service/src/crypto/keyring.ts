import { createHmac } from "node:crypto";

/** Versions of a server secret: the first is used for new data, the others only for existing data. */
export interface Keyring {
  readonly current: KeyringEntry;
  readonly entries: readonly KeyringEntry[];
}

export interface KeyringEntry {
  /** 1 to 32767. */
  readonly version: number;
  /** 32 bytes. */
  readonly secret: Buffer;
}

/** Length of a secret. */
export const secretBytes = 32;

/** Parses `2:base64,1:base64`, newest first. Returns undefined when any part is invalid. */
export function parseKeyring(text: string): Keyring | undefined {
  const entries: KeyringEntry[] = [];
  for (const part of text.trim().split(",")) {
    const match = /^\s*(\d{1,5}):([A-Za-z0-9+/_-]+={0,2})\s*$/.exec(part);
    if (!match) return undefined;
    const version = Number(match[1]);
    const secret = Buffer.from(match[2] as string, "base64");
    if (version < 1 || version > 32_767 || secret.length !== secretBytes) return undefined;
    if (entries.some((entry) => entry.version === version)) return undefined;
    entries.push({ version, secret });
  }
  const current = entries[0];
  return current && { current, entries };
}

/**
 * Returns a value that distinguishes secrets without revealing them. It is stored in the database to
 * detect a wrong keyring.
 */
export function fingerprint(entry: KeyringEntry): Buffer {
  return createHmac("sha256", entry.secret).update("sazabi keyring fingerprint").digest();
}
