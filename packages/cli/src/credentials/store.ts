/** The store of a profile's key. */
export type StoreName = "keychain" | "file";

export const storeNames: readonly StoreName[] = ["keychain", "file"];

/** Stores one key per account. An account is a profile at an address; see `accountOf`. */
export interface CredentialStore {
  readonly name: StoreName;
  /** The location of the store, for messages. */
  readonly description: string;
  /** Throws if the store is certainly unusable, without accessing it. */
  check?(): void;
  /** Returns undefined if the account has no key. Throws if the store cannot be read. */
  get(account: string): Promise<string | undefined>;
  set(account: string, key: string): Promise<void>;
  /** Returns false if there was nothing to delete. */
  delete(account: string): Promise<boolean>;
}

/**
 * Why a store failed. An absent key is not a failure.
 *
 * - `locked`: the store is locked, and unlocking was declined or nobody could be prompted
 * - `unavailable`: this machine has no such store, or it failed
 * - `timeout`: it did not respond in time
 */
export type StoreFault = "locked" | "unavailable" | "timeout";

export class CredentialStoreError extends Error {
  override readonly name = "CredentialStoreError";
  readonly fault: StoreFault;

  constructor(fault: StoreFault, message: string, options?: ErrorOptions) {
    super(message, options);
    this.fault = fault;
  }
}

/** Returns the account of a profile. It includes the address, so that a key is never sent to another service. */
export function accountOf(profile: string, apiUrl: string): string {
  return `${profile}@${apiUrl}`;
}
