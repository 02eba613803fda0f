import { hasScope, type SecretKey, type scopes } from "@sazabi/sdk/protocol";
import { ApiError } from "../errors.ts";
import { isWithin } from "../net/ip-ranges.ts";

/** Permissions of a secret key, its lifetime and the addresses it may be used from. */
export interface Privileges {
  /** The only project that the key can access; undefined for the whole organization. */
  readonly projectId: string | undefined;
  readonly scopes: readonly string[];
  /** Addresses and networks; empty for any address. */
  readonly allowedAddresses: readonly string[];
  /** Unix milliseconds; undefined for never. */
  readonly expiresAtMs: number | undefined;
  /** Undefined where the default limit applies. */
  readonly requestsPerMinute: number | undefined;
}

/** Returns the privileges of a key. `defaults.requestsPerMinute` applies to a key without its own limit. */
export function privilegesOf(key: SecretKey, defaults: { readonly requestsPerMinute: number }): Privileges {
  return {
    projectId: key.projectId ?? undefined,
    scopes: key.scopes,
    allowedAddresses: key.allowedAddresses,
    expiresAtMs: key.expiresAt === null ? undefined : Date.parse(key.expiresAt),
    requestsPerMinute: key.requestsPerMinute ?? defaults.requestsPerMinute,
  };
}

/**
 * Throws 403 when a secret key creates, imports, changes or rotates another key that has more
 * permissions, a later expiry or a higher limit.
 */
export function assertNoEscalation(caller: Privileges, wanted: Privileges): void {
  const refusal = escalation(caller, wanted);
  if (refusal) throw refusal;
}

/** Returns 403 with the first privilege in `wanted` that the caller lacks, or undefined when it has all of them. */
export function escalation(caller: Privileges, wanted: Privileges): ApiError | undefined {
  return (
    otherProject(caller, wanted.projectId) ??
    moreScopes(caller, wanted.scopes) ??
    widerFence(caller, wanted.allowedAddresses) ??
    longerLife(caller, wanted.expiresAtMs) ??
    higherLimit(caller, wanted.requestsPerMinute)
  );
}

interface PublicKeyPrivileges {
  readonly allowedAddresses?: readonly string[] | undefined;
  /** Null for never; undefined when it does not change. */
  readonly expiresAt?: Date | string | null | undefined;
}

/**
 * Throws 403 when a secret key creates, imports or changes a public key that accepts more addresses or
 * expires later than the secret key.
 */
export function assertNoWiderPublicKey(caller: Privileges, { allowedAddresses, expiresAt }: PublicKeyPrivileges): void {
  const expiresAtMs = expiresAt ? new Date(expiresAt).getTime() : undefined;
  const refusal =
    (allowedAddresses && widerFence(caller, allowedAddresses)) ??
    (expiresAt === undefined ? undefined : longerLife(caller, expiresAtMs));
  if (refusal) throw refusal;
}

function otherProject(caller: Privileges, projectId: string | undefined): ApiError | undefined {
  if (!caller.projectId || caller.projectId === projectId) return undefined;
  return new ApiError("FORBIDDEN", "This key is narrowed to one project and can only make keys for that project.", {
    reason: "project_mismatch",
  });
}

function moreScopes(caller: Privileges, wanted: readonly string[]): ApiError | undefined {
  const beyond = wanted.filter((scope) => !hasGranted(caller, scope));
  return beyond.length > 0 ? cannotGrant(`This key cannot grant what it has not: ${beyond.join(", ")}.`) : undefined;
}

function longerLife({ expiresAtMs: own }: Privileges, expiresAtMs = Number.POSITIVE_INFINITY): ApiError | undefined {
  if (own === undefined || expiresAtMs <= own) return undefined;
  return cannotGrant(
    `This key expires at ${new Date(own).toISOString()} and cannot hand out one that works longer. ` +
      "Give expiresAt or expiresIn up to then.",
  );
}

function higherLimit(
  { requestsPerMinute: own }: Privileges,
  requestsPerMinute: number | undefined,
): ApiError | undefined {
  if (own === undefined || requestsPerMinute === undefined || requestsPerMinute <= own) return undefined;
  return cannotGrant(
    `This key may make ${own} requests a minute and cannot hand out one that may make ${requestsPerMinute}. ` +
      `Give requestsPerMinute up to ${own}.`,
  );
}

function widerFence({ allowedAddresses: own }: Privileges, ranges: readonly string[]): ApiError | undefined {
  if (own.length === 0) return undefined;
  const beyond = ranges.length === 0 ? ["anywhere"] : ranges.filter((range) => !isWithin(range, own));
  if (beyond.length === 0) return undefined;
  return new ApiError(
    "FORBIDDEN",
    `This key may be used from ${own.join(", ")} only, and cannot hand out one that may be used from ${beyond.join(", ")}.`,
    { reason: "address_not_allowed" },
  );
}

function cannotGrant(message: string): ApiError {
  return new ApiError("FORBIDDEN", message, { reason: "missing_scope" });
}

function hasGranted({ scopes: own }: Privileges, scope: string): boolean {
  return scope === "*" ? own.includes("*") : hasScope(own, scope as (typeof scopes)[number]);
}
