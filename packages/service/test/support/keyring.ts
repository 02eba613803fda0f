import { randomBytes } from "node:crypto";
import { type Keyring, parseKeyring } from "../../src/crypto/keyring.ts";

/** A keyring of one version with a random secret. */
export function newKeyring(version = 1): Keyring {
  return parseKeyring(`${version}:${randomBytes(32).toString("base64")}`) as Keyring;
}
