import type { KeyKind } from "@sazabi/sdk/protocol";

/** The sender of a request with a secret key. */
export interface SecretCaller {
  readonly keyId: string;
  readonly keyName: string;
  readonly organizationId: string;
  /** The only project that the key can access; undefined when it can access the whole organization. */
  readonly projectId: string | undefined;
  readonly scopes: readonly string[];
  /** Addresses and networks from which the key may be used; empty for any address. */
  readonly allowedAddresses: readonly string[];
  /** Unix milliseconds; undefined for never. */
  readonly expiresAtMs: number | undefined;
  /** The key's own limit, if it has one. */
  readonly requestsPerMinute: number | undefined;
}

/** The sender of a request with a public key. It has no organization-wide members: it can access its project only. */
export interface PublicCaller {
  readonly keyId: string;
  readonly projectId: string;
  readonly projectNumber: number;
}

/** A key of either kind that requests information about itself. */
export interface SelfServiceCaller extends Pick<SecretCaller, "keyId" | "keyName" | "organizationId" | "projectId"> {
  readonly kind: KeyKind;
}
