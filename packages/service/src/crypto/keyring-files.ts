import type { KeyringName } from "./keyring-store.ts";

/** A secret of the service that its database is of no use without: where it is when no variable gives it. */
export interface KeyringFile {
  readonly name: KeyringName;
  readonly noun: string;
  /** In the data folder. */
  readonly fileName: "key-pepper" | "master-key";
  /** The variable that goes before the file. */
  readonly variable: string;
}

export const keyringFiles = {
  pepper: { name: "pepper", noun: "key pepper", fileName: "key-pepper", variable: "SAZABI_KEY_PEPPER" },
  master: { name: "master", noun: "master key", fileName: "master-key", variable: "SAZABI_MASTER_KEY" },
} as const satisfies Readonly<Record<KeyringName, KeyringFile>>;
