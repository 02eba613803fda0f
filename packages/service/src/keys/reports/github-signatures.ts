import { createPublicKey, type KeyObject, verify } from "node:crypto";
import { readFile } from "node:fs/promises";
import { z } from "zod";

/** The response of https://api.github.com/meta/public_keys/secret_scanning. */
const publicKeys = z.object({
  public_keys: z.array(z.object({ key_identifier: z.string().min(1), key: z.string() })).min(1),
});

/** Verifies that a secret scanning message comes from GitHub, by public keys in a file of the operator. */
export class GithubSignatures {
  readonly #keys: ReadonlyMap<string, KeyObject>;

  constructor(keys: ReadonlyMap<string, KeyObject>) {
    this.#keys = keys;
  }

  /** Returns whether `signature` is valid: base64 of an ECDSA signature (DER) over the SHA-256 of the raw body. */
  isValid(keyIdentifier: string, signature: string, body: Buffer): boolean {
    const key = this.#keys.get(keyIdentifier);
    return key !== undefined && verify("sha256", body, key, Buffer.from(signature, "base64"));
  }
}

export async function openGithubSignatures(file: string): Promise<GithubSignatures> {
  try {
    const { public_keys } = publicKeys.parse(JSON.parse(await readFile(file, "utf8")));
    return new GithubSignatures(new Map(public_keys.map(({ key_identifier, key }) => [key_identifier, readKey(key)])));
  } catch (cause) {
    throw new Error(
      `SAZABI_GITHUB_SCANNING_KEYS: ${file} does not hold GitHub's public keys for secret scanning, as ` +
        "https://api.github.com/meta/public_keys/secret_scanning gives them.",
      { cause },
    );
  }
}

function readKey(pem: string): KeyObject {
  const key = createPublicKey(pem);
  if (key.asymmetricKeyDetails?.namedCurve !== "prime256v1") throw new Error("not a key of the curve P-256");
  return key;
}
