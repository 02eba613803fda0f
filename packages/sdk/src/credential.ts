import { inspectKey, type KeyFault, type KeyKind, mayBeImportedKey } from "./protocol/keys.ts";

/**
 * Refuses, before any request, what cannot be a key of this kind. An imported key can begin with anything: the service
 * judges it. The message never holds more than the masked key.
 */
export function requireKey(option: string, kind: KeyKind, key: string): string {
  if (typeof key !== "string" || key === "") throw new TypeError(`\`${option}\` is missing: pass a ${kind} key.`);
  const found = inspectKey(key);
  if (!found.valid && mayBeImportedKey(key)) return key;
  if (!found.valid) throw new TypeError(`\`${option}\` (${found.masked}) is not a key: ${keyFaults[found.fault]}.`);
  if (found.kind !== kind) {
    throw new TypeError(`\`${option}\` takes a ${kind} key, and ${found.masked} is a ${found.kind} key.`);
  }
  return key;
}

/** Why a text is not a key, in words. */
export const keyFaults: Readonly<Record<KeyFault, string>> = {
  other: "it begins with none of sk_live_, pk_live_, sazabi_secret_, sazabi_public_",
  quoted: "it stands in quotes, which are not part of it",
  length: "its length is wrong: characters are missing or extra",
  alphabet: "it holds a character that no key has",
  checksum: "its checksum is wrong, so it was mistyped or made up",
};
