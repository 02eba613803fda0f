import { createHash, createHmac, randomInt } from "node:crypto";
import { type KeyKind, type KeyStyle, makeKey } from "@sazabi/sdk/protocol";
import type { Keyring, KeyringEntry } from "../crypto/keyring.ts";

/** How a key is found again: never the key, only its HMAC under a pepper that the database does not hold. */
export interface KeyDigest {
  /** 32 bytes. */
  readonly digest: Buffer;
  readonly pepperVersion: number;
}

export interface NewSecret extends KeyDigest {
  /** The key itself: handed to its owner, kept nowhere. */
  readonly value: string;
  readonly lastFour: string;
}

/** A new key from the CSPRNG, with what is stored of it. */
export function newSecret(pepper: Keyring, kind: KeyKind, style: KeyStyle): NewSecret {
  const value = makeKey(kind, style, (below) => randomInt(below));
  return { value, lastFour: value.slice(-4), ...digestUnder(pepper.current, value) };
}

/** The digests a key may be stored under, the current pepper's first. */
export function digestsOf(pepper: Keyring, key: string): readonly KeyDigest[] {
  return pepper.entries.map((entry) => digestUnder(entry, key));
}

/** What stands for a pepper version where a key is stored as its plain SHA-256: imported, and not used yet. */
export const noPepper = 0;

/** The digests an imported key may be stored under. */
export function digestsOfImported(pepper: Keyring, key: string): readonly KeyDigest[] {
  const plain = { digest: createHash("sha256").update(key).digest(), pepperVersion: noPepper };
  return [...digestsOf(pepper, key), plain];
}

/**
 * How it is known that a key was imported before, though it has moved under the pepper since: digests of its plain
 * SHA-256, the current pepper's first.
 */
export function importedDigestsOf(pepper: Keyring, sha256: Buffer): readonly Buffer[] {
  return pepper.entries.map((entry) => digestUnder(entry, sha256).digest);
}

function digestUnder(entry: KeyringEntry, key: string | Buffer): KeyDigest {
  return { digest: createHmac("sha256", entry.secret).update(key).digest(), pepperVersion: entry.version };
}
