import { createCipheriv, createDecipheriv, randomBytes } from "node:crypto";
import type { Keyring } from "./keyring.ts";

/*
 * Envelope encryption, AES-256-GCM (NIST SP 800-38D): each value has a data key of its own, wrapped by the master
 * key. The identity of the record is associated data, so a sealed value cannot be moved to another record.
 *
 *   version (2) | nonce (12) | wrapped data key (32) | tag (16) | nonce (12) | tag (16) | ciphertext
 */
const nonceBytes = 12;
const tagBytes = 16;
const keyBytes = 32;
const headerBytes = 2 + nonceBytes + keyBytes + tagBytes + nonceBytes + tagBytes;

/** Encrypts `plaintext` for the record named by `identity`, for example `keys/<id>/value`. */
export function seal(master: Keyring, identity: string, plaintext: string): Buffer {
  const dataKey = randomBytes(keyBytes);
  const version = Buffer.alloc(2);
  version.writeUInt16BE(master.current.version);
  const wrapped = encrypt(master.current.secret, identity, dataKey);
  const sealed = encrypt(dataKey, identity, Buffer.from(plaintext, "utf8"));
  return Buffer.concat([
    version,
    wrapped.nonce,
    wrapped.ciphertext,
    wrapped.tag,
    sealed.nonce,
    sealed.tag,
    sealed.ciphertext,
  ]);
}

/**
 * Returns the plaintext. Throws when the value was altered, belongs to another record, or its master
 * key is missing.
 */
export function unseal(master: Keyring, identity: string, sealed: Buffer): string {
  if (sealed.length < headerBytes) throw new Error("A sealed value is too short to be one.");
  const version = sealed.readUInt16BE(0);
  const masterKey = master.entries.find((entry) => entry.version === version);
  if (!masterKey) throw new Error(`A value is sealed under master key version ${version}, which is not configured.`);
  let offset = 2;
  const take = (bytes: number) => {
    offset += bytes;
    return sealed.subarray(offset - bytes, offset);
  };
  const wrapped = { nonce: take(nonceBytes), ciphertext: take(keyBytes), tag: take(tagBytes) };
  const value = { nonce: take(nonceBytes), tag: take(tagBytes), ciphertext: sealed.subarray(offset) };
  const dataKey = decrypt(masterKey.secret, identity, wrapped);
  return decrypt(dataKey, identity, value).toString("utf8");
}

interface Encrypted {
  readonly nonce: Buffer;
  readonly tag: Buffer;
  readonly ciphertext: Buffer;
}

function encrypt(key: Buffer, identity: string, plaintext: Buffer): Encrypted {
  const nonce = randomBytes(nonceBytes);
  const cipher = createCipheriv("aes-256-gcm", key, nonce);
  cipher.setAAD(Buffer.from(identity, "utf8"));
  const ciphertext = Buffer.concat([cipher.update(plaintext), cipher.final()]);
  return { nonce, tag: cipher.getAuthTag(), ciphertext };
}

function decrypt(key: Buffer, identity: string, { nonce, tag, ciphertext }: Encrypted): Buffer {
  const decipher = createDecipheriv("aes-256-gcm", key, nonce, { authTagLength: tagBytes });
  decipher.setAAD(Buffer.from(identity, "utf8"));
  decipher.setAuthTag(tag);
  return Buffer.concat([decipher.update(ciphertext), decipher.final()]);
}
