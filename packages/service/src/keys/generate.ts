import { createHash, createHmac, randomInt } from "node:crypto";
import { type KeyKind, type KeyStyle, makeKey } from "@sazabi/sdk/protocol";
import type { Keyring, KeyringEntry } from "../crypto/keyring.ts";

/** How a key is stored: not the key, only its HMAC under a pepper that is not in the database. */
export interface KeyDigest {
  /** 32 bytes. */
  readonly digest: Buffer;
  readonly pepperVersion: number;
}

export interface NewSecret extends KeyDigest {
  /** The key itself. It is returned to its owner and not stored. */
  readonly value: string;
  readonly lastFour: string;
}

/** Generates a key with the CSPRNG, and the digest to store. */
export function newSecret(pepper: Keyring, kind: KeyKind, style: KeyStyle): NewSecret {
  const value = makeKey(kind, style, (below) => randomInt(below));
  return { value, lastFour: value.slice(-4), ...digestUnder(pepper.current, value) };
}

/** Returns the digests under which a key may be stored, that of the current pepper first. */
export function digestsOf(pepper: Keyring, key: string): readonly KeyDigest[] {
  return pepper.entries.map((entry) => digestUnder(entry, key));
}

/** The pepper version of a key stored as its plain SHA-256: imported and not used yet. */
export const noPepper = 0;

/** Returns the digests under which an imported key may be stored. */
export function digestsOfImported(pepper: Keyring, key: string): readonly KeyDigest[] {
  const plain = { digest: createHash("sha256").update(key).digest(), pepperVersion: noPepper };
  return [...digestsOf(pepper, key), plain];
}

/**
 * Returns the digests that identify an imported key after it was re-hashed: HMACs of its plain
 * SHA-256, that of the current pepper first.
 */
export function importedDigestsOf(pepper: Keyring, sha256: Buffer): readonly Buffer[] {
  return pepper.entries.map((entry) => digestUnder(entry, sha256).digest);
}

function digestUnder(entry: KeyringEntry, key: string | Buffer): KeyDigest {
  return { digest: createHmac("sha256", entry.secret).update(key).digest(), pepperVersion: entry.version };
}
