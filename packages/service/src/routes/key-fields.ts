import { expiryPresets, hasScope, maxFenceEntries, maxNameLength, type SecretKey, scopes } from "@sazabi/sdk/protocol";
import { z } from "zod";
import { addressList, isWithin, parseAddressRange } from "../addresses.ts";
import type { SecretCaller } from "../auth/authenticate.ts";
import { ApiError } from "../errors.ts";
import { holdsKey } from "../misplaced-keys.ts";
import { parseOriginPattern } from "../origins.ts";
import type { Services } from "../services.ts";

/*
 * What the routes of keys share: the rules for names, expiries, scopes, limits and fences.
 */

const keyName = z
  .string()
  .trim()
  .min(1)
  .max(maxNameLength)
  .refine((name) => !hasControlCharacter(name), "must not hold control characters")
  .refine((name) => !holdsKey(name), "must not hold a key: names are kept and shown");

/** Why a key is revoked. */
export const revocationReason = z
  .string()
  .max(200)
  .refine((text) => !hasControlCharacter(text), "must not hold control characters")
  .refine((text) => !holdsKey(text), "must not hold a key: reasons are kept on record");

const expiresAt = z.iso
  .datetime({ offset: true, error: "must be an ISO 8601 time, e.g. 2030-01-31T12:00:00Z" })
  .transform((text) => new Date(text));

const expiresIn = z.enum(Object.keys(expiryPresets) as [keyof typeof expiryPresets]);

const requestsPerMinute = z.number().int().min(1).max(1_000_000);

const allowedAddresses = fence(
  parseAddressRange,
  "an address or a network such as 203.0.113.9, 10.0.0.0/8 or 2001:db8::/32",
);

/** Of public keys only. */
export const allowedOrigins = fence(
  parseOriginPattern,
  "an origin such as https://app.example.com or https://*.example.com",
);

/** Said aloud, so that nobody takes a secret key for fenced that is not. */
export const noOrigins = z
  .undefined({ error: "is for public keys; a secret key must never be in a web page" })
  .optional();

export const newKeyFields = {
  name: keyName,
  style: z.enum(["live", "sazabi"]).default("live"),
  expiresAt: expiresAt.nullish(),
  expiresIn: expiresIn.optional(),
  requestsPerMinute: requestsPerMinute.nullish(),
  allowedAddresses: allowedAddresses.optional(),
  projectId: z.uuid().optional(),
};

export const keyChangeFields = {
  name: keyName.optional(),
  expiresAt: expiresAt.nullish(),
  requestsPerMinute: requestsPerMinute.nullish(),
  allowedAddresses: allowedAddresses.optional(),
};

/** Filters of a list: keys that nobody used for so many days; with those that were revoked, or without. */
export const keyFilters = {
  unusedForDays: z.coerce.number().int().min(1).max(3650).optional(),
  revoked: z
    .enum(["true", "false"])
    .transform((text) => text === "true")
    .optional(),
};

export const grantedScopes = z
  .array(z.enum(["*", ...scopes]))
  .min(1)
  .max(scopes.length);

/** When a new key ends, from a time or a preset; undefined for never. `nowMs` by the database's clock. */
export function expiryOf(
  fields: { expiresAt?: Date | null | undefined; expiresIn?: keyof typeof expiryPresets | undefined },
  nowMs: number,
): Date | undefined {
  if (fields.expiresAt && fields.expiresIn) throw invalid("expiresIn", "give expiresAt or expiresIn, not both");
  if (fields.expiresAt) return inTheFuture(fields.expiresAt, nowMs);
  const seconds = fields.expiresIn ? expiryPresets[fields.expiresIn] : Number.POSITIVE_INFINITY;
  return Number.isFinite(seconds) ? new Date(nowMs + seconds * 1000) : undefined;
}

/** A key that has ended is revoked, not given a past expiry by mistake. */
export function inTheFuture(time: Date, nowMs: number): Date {
  if (time.getTime() <= nowMs) throw invalid("expiresAt", "must be in the future; revoke a key to end it now");
  if (time.getUTCFullYear() > 9999) throw invalid("expiresAt", "must be before the year 10000");
  return time;
}

/** Refuses a change that changes nothing: it is a mistake in the name of a member. */
export function refuseEmptyChange(change: object): void {
  if (Object.values(change).every((value) => value === undefined)) {
    throw new ApiError("VALIDATION_ERROR", "The body changes nothing. docs/api.md lists what can be changed.");
  }
}

/** How far a secret key reaches. */
export interface Reach {
  readonly projectId: string | undefined;
  readonly scopes: readonly string[];
  /** Empty for anywhere. */
  readonly allowedAddresses: readonly string[];
  /** Undefined for never. */
  readonly expiresAtMs: number | undefined;
  /** Of a key without a limit of its own, the one that holds for it. */
  readonly requestsPerMinute: number;
}

export function reachOf(key: SecretKey, { requestsPerMinute }: Pick<Services, "requestsPerMinute">): Reach {
  return {
    projectId: key.projectId ?? undefined,
    scopes: key.scopes,
    allowedAddresses: key.allowedAddresses,
    expiresAtMs: key.expiresAt === null ? undefined : Date.parse(key.expiresAt),
    requestsPerMinute: key.requestsPerMinute ?? requestsPerMinute,
  };
}

/** A secret key cannot make, import, change or rotate another that may do more than itself, for longer, or more often. */
export function refuseWidening(caller: SecretCaller, reach: Reach): void {
  refuseOtherProject(caller, reach.projectId);
  const beyond = reach.scopes.filter((scope) => !hasGranted(caller, scope));
  if (beyond.length > 0) throw cannotGrant(`This key cannot grant what it has not: ${beyond.join(", ")}.`);
  refuseWiderFence(caller, reach.allowedAddresses);
  refuseLongerLife(caller, reach.expiresAtMs);
  refuseHigherLimit(caller, reach.requestsPerMinute);
}

export function refuseOtherProject(caller: SecretCaller, projectId: string | undefined): void {
  if (!caller.projectId || caller.projectId === projectId) return;
  throw new ApiError("FORBIDDEN", "This key is narrowed to one project and can only make keys for that project.", {
    reason: "project_mismatch",
  });
}

function refuseLongerLife({ expiresAtMs: own }: SecretCaller, expiresAtMs = Number.POSITIVE_INFINITY): void {
  if (own === undefined || expiresAtMs <= own) return;
  throw cannotGrant(
    `This key expires at ${new Date(own).toISOString()} and cannot hand out one that works longer. ` +
      "Give expiresAt or expiresIn up to then.",
  );
}

function refuseHigherLimit({ requestsPerMinute: own }: SecretCaller, requestsPerMinute: number): void {
  if (own === undefined || requestsPerMinute <= own) return;
  throw cannotGrant(
    `This key may make ${own} requests a minute and cannot hand out one that may make ${requestsPerMinute}. ` +
      `Give requestsPerMinute up to ${own}.`,
  );
}

function cannotGrant(message: string): ApiError {
  return new ApiError("FORBIDDEN", message, { reason: "missing_scope" });
}

function refuseWiderFence(caller: SecretCaller, ranges: readonly string[]): void {
  const own = caller.allowedAddresses;
  if (own.length === 0) return;
  const beyond = ranges.length === 0 ? ["anywhere"] : ranges.filter((range) => !isWithin(range, own));
  if (beyond.length > 0) {
    throw new ApiError(
      "FORBIDDEN",
      `This key may be used from ${own.join(", ")} only, and cannot hand out one that may be used from ${beyond.join(", ")}.`,
      { reason: "address_not_allowed" },
    );
  }
}

/** Refuses a list for the caller's own key that would shut it out with the next request. */
export function refuseShuttingOut(caller: SecretCaller, id: string, ranges: readonly string[], address: string): void {
  if (id !== caller.keyId || ranges.length === 0 || addressList(ranges).has(address)) return;
  throw invalid(
    "allowedAddresses",
    `does not hold ${address}, from where this key is used now: it would shut itself out`,
  );
}

export function lastKey(): ApiError {
  return new ApiError(
    "CONFLICT",
    "This is the last secret key that can administer the organization (write:keys in all projects). Make another one first, " +
      "or repeat with ?force=true.",
  );
}

function hasGranted(caller: SecretCaller, scope: string): boolean {
  return scope === "*" ? caller.scopes.includes("*") : hasScope(caller.scopes, scope as (typeof scopes)[number]);
}

/** A list of texts that `parse` takes, kept in their canonical form, without repetitions. */
function fence(parse: (text: string) => string | undefined, what: string) {
  const entry = z
    .string()
    .max(300)
    .transform((text, context) => {
      const parsed = parse(text);
      if (parsed !== undefined) return parsed;
      context.addIssue({ code: "custom", message: `must be ${what}` });
      return z.NEVER;
    });
  return z
    .array(entry)
    .max(maxFenceEntries)
    .transform((entries) => [...new Set(entries)]);
}

function invalid(path: string, message: string): ApiError {
  return new ApiError("VALIDATION_ERROR", `${path}: ${message}`, { issues: [{ path, message }] });
}

/** True also for half a surrogate pair, which is no text at all. */
export function hasControlCharacter(text: string): boolean {
  return /\p{Cc}/u.test(text) || !text.isWellFormed();
}
