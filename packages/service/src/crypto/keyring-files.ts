import type { KeyringName } from "./keyring-store.ts";

/** A secret that is required to use the database: its location when no variable provides it. */
export interface KeyringFile {
  readonly name: KeyringName;
  readonly noun: string;
  /** File name in the data folder. */
  readonly fileName: "key-pepper" | "master-key";
  /** Environment variable that takes precedence over the file. */
  readonly variable: string;
}

export const keyringFiles = {
  pepper: { name: "pepper", noun: "key pepper", fileName: "key-pepper", variable: "SAZABI_KEY_PEPPER" },
  master: { name: "master", noun: "master key", fileName: "master-key", variable: "SAZABI_MASTER_KEY" },
} as const satisfies Readonly<Record<KeyringName, KeyringFile>>;
