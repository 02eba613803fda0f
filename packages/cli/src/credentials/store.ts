/** Where a profile's key is kept. */
export type StoreName = "keychain" | "file";

export const storeNames: readonly StoreName[] = ["keychain", "file"];

/** Keeps one key an account. An account is a profile at an address: see `accountOf`. */
export interface CredentialStore {
  readonly name: StoreName;
  /** Where that is, for a person. */
  readonly description: string;
  /** Throws when it is already certain, without asking anybody, that the store cannot be used. */
  check?(): void;
  /** Undefined when nothing is stored under this account. Everything else that keeps it from answering is thrown. */
  get(account: string): Promise<string | undefined>;
  set(account: string, key: string): Promise<void>;
  /** False when there was nothing to delete. */
  delete(account: string): Promise<boolean>;
}

/**
 * Why a store could not answer. `absent` is not among them: that is an answer.
 *
 * - `locked`: it is there and shut, and unlocking was declined or nobody could be asked
 * - `unavailable`: there is no such store on this machine, or it refused
 * - `timeout`: it did not answer in time
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

/** The address is part of it: a key stored for one service is never found, and so never sent, for another. */
export function accountOf(profile: string, apiUrl: string): string {
  return `${profile}@${apiUrl}`;
}
