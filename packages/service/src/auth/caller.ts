import type { KeyKind } from "@sazabi/sdk/protocol";

/** Who sent a request with a secret key. */
export interface SecretCaller {
  readonly keyId: string;
  readonly keyName: string;
  readonly organizationId: string;
  /** The one project the key is narrowed to. */
  readonly projectId: string | undefined;
  readonly scopes: readonly string[];
  /** Where the key may be used from; empty for anywhere. */
  readonly allowedAddresses: readonly string[];
  /** Unix milliseconds; undefined for never. */
  readonly expiresAtMs: number | undefined;
  /** The key's own limit, if it has one. */
  readonly requestsPerMinute: number | undefined;
}

/** Who sent a request with a public key. It has no organization-wide members: nothing but its project can be named. */
export interface PublicCaller {
  readonly keyId: string;
  readonly projectId: string;
  readonly projectNumber: number;
}

/** A key of either kind that asks about itself. */
export interface SelfServiceCaller extends Pick<SecretCaller, "keyId" | "keyName" | "organizationId" | "projectId"> {
  readonly kind: KeyKind;
}
