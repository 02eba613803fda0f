import { maxFenceEntries, parseDuration, scopes } from "@sazabi/sdk/protocol";
import { z } from "zod";
import type { SecretCaller } from "../../auth/caller.ts";
import type { Queryable } from "../../db/database.ts";
import { ApiError, invalidMember } from "../../errors.ts";
import { hasHiddenCharacter, hiddenMessage, visibleName } from "../../http/text-fields.ts";
import { addressList, parseAddressRange } from "../../net/ip-ranges.ts";
import { parseOriginPattern } from "../../net/origins.ts";
import { holdsKey } from "../../redaction/key-redaction.ts";
import { hasMoreKeysThan } from "../store/keys.ts";

/* Fields shared by the routes of keys: names, expiries, scopes, limits and restrictions. */

const keyName = visibleName.refine(
  (name) => !z.uuid().safeParse(name).success,
  "must not look like an id: commands would take it for one",
);

/** Reason for the revocation of a key. */
export const revocationReason = z
  .string()
  .max(200)
  .refine((text) => !hasHiddenCharacter(text), hiddenMessage)
  .refine((text) => !holdsKey(text), "must not hold a key: reasons are kept on record");

const expiresAt = z.iso
  .datetime({ offset: true, error: "must be an ISO 8601 time, e.g. 2030-01-31T12:00:00Z" })
  .transform((text) => new Date(text));

/** Returns milliseconds; Infinity for never. */
const expiresIn = z.string().transform((text, context) => {
  if (text === "never") return Number.POSITIVE_INFINITY;
  const ms = parseDuration(text);
  if (ms !== undefined && ms > 0 && Number.isFinite(ms)) return ms;
  context.addIssue({ code: "custom", message: "must be never or a duration: 15m, 1h, 7d, 45d, 1d12h" });
  return z.NEVER;
});

const requestsPerMinute = z.number().int().min(1).max(1_000_000);

const allowedAddresses = fence(
  parseAddressRange,
  "an address or a network such as 203.0.113.9, 10.0.0.0/8 or 2001:db8::/32",
);

/** For public keys only. */
export const allowedOrigins = fence(
  parseOriginPattern,
  "an origin such as https://app.example.com or https://*.example.com",
);

/** Rejects the member explicitly, so that a secret key is not mistaken for a restricted one. */
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
  expiresIn: expiresIn.optional(),
  requestsPerMinute: requestsPerMinute.nullish(),
  allowedAddresses: allowedAddresses.optional(),
};

/** Confirms a change that may remove the last key that can administer the organization. */
export const forceQuery = z.object({
  force: z
    .enum(["true", "false"])
    .default("false")
    .transform((text) => text === "true"),
});

/** Options for revoking a secret key. */
export const revocationQuery = forceQuery.extend({ reason: revocationReason.optional() });

/** Filters of a list: keys that were not used for a number of days; with or without revoked keys. */
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

interface ExpiryFields {
  readonly expiresAt?: Date | null | undefined;
  readonly expiresIn?: number | undefined;
}

/** Returns the expiry of a new key; undefined for never. `nowMs` is by the clock of the database. */
export function expiryOf({ expiresAt, expiresIn }: ExpiryFields, nowMs: number): Date | undefined {
  if (expiresAt && expiresIn) throw invalidMember("expiresIn", "give expiresAt or expiresIn, not both");
  if (expiresIn === Number.POSITIVE_INFINITY) return undefined;
  if (expiresIn) return inTheFuture(new Date(nowMs + expiresIn), nowMs, "expiresIn");
  return expiresAt ? inTheFuture(expiresAt, nowMs) : undefined;
}

/** Returns the change with `expiresIn` converted to a time. */
export function withExpiryTime<T extends ExpiryFields>(
  { expiresIn, ...wanted }: T,
  nowMs: number,
): Omit<T, "expiresIn"> {
  if (wanted.expiresAt === undefined && expiresIn === undefined) return wanted;
  return { ...wanted, expiresAt: expiryOf({ expiresAt: wanted.expiresAt, expiresIn }, nowMs) ?? null };
}

/** As `expiryOf`, but a key without an expiry in its request inherits that of the key that creates it. */
export function expiryOfMade(fields: ExpiryFields, nowMs: number, maker: SecretCaller): Date | undefined {
  if (fields.expiresAt !== undefined || fields.expiresIn !== undefined) return expiryOf(fields, nowMs);
  return maker.expiresAtMs === undefined ? undefined : new Date(maker.expiresAtMs);
}

/** Rejects past times: a key is ended by revoking it, not by a past expiry. */
function inTheFuture(time: Date, nowMs: number, member = "expiresAt"): Date {
  if (time.getTime() <= nowMs) throw invalidMember(member, "must be in the future; revoke a key to end it now");
  if (!(time.getUTCFullYear() <= 9999)) throw invalidMember(member, "must be before the year 10000");
  return time;
}

/** Rejects an empty change, which is usually a misspelt member. */
export function refuseEmptyChange(change: object): void {
  if (Object.values(change).every((value) => value === undefined)) {
    throw new ApiError("VALIDATION_ERROR", "The body changes nothing. docs/api.md lists what can be changed.");
  }
}

/** Rejects a list for the caller's own key that does not include the caller's address. */
export function assertNotLockedOut(caller: SecretCaller, id: string, ranges: readonly string[], address: string): void {
  if (id !== caller.keyId || ranges.length === 0 || addressList(ranges).has(address)) return;
  throw invalidMember(
    "allowedAddresses",
    `does not hold ${address}, from where this key is used now: it would shut itself out`,
  );
}

/** A list of texts accepted by `parse`, in canonical form and without duplicates. */
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

/**
 * Maximum number of unrevoked keys per organization. It limits how many keys a leaked key can create,
 * and so the time it takes to revoke all at once.
 */
const maxKeys = 50_000;

/** Throws 409 when the organization has too many keys, including those just created. Call it in their transaction. */
export async function refuseTooManyKeys(tx: Queryable, organizationId: string): Promise<void> {
  if (!(await hasMoreKeysThan(tx, organizationId, maxKeys))) return;
  throw new ApiError(
    "CONFLICT",
    `An organization may have ${maxKeys} keys that are not revoked. Revoke some first: \`unusedForDays\` of ` +
      "POST /v1/keys/revoke-all chooses those that nobody uses.",
  );
}
