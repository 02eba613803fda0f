import { expiryPresets, hasScope, maxNameLength, scopes } from "@sazabi/sdk/protocol";
import { z } from "zod";
import type { SecretCaller } from "../auth/authenticate.ts";
import { ApiError } from "../errors.ts";

/*
 * What the routes of keys share: the rules for names, expiries, scopes and limits.
 */

const keyName = z
  .string()
  .trim()
  .min(1)
  .max(maxNameLength)
  .refine((name) => !hasControlCharacter(name), "must not hold control characters");

const expiresAt = z.iso
  .datetime({ offset: true, error: "must be an ISO 8601 time, e.g. 2030-01-31T12:00:00Z" })
  .transform((text) => new Date(text));

const expiresIn = z.enum(Object.keys(expiryPresets) as [keyof typeof expiryPresets]);

const requestsPerMinute = z.number().int().min(1).max(1_000_000);

export const newKeyFields = {
  name: keyName,
  style: z.enum(["live", "sazabi"]).default("live"),
  expiresAt: expiresAt.nullish(),
  expiresIn: expiresIn.optional(),
  requestsPerMinute: requestsPerMinute.nullish(),
  projectId: z.uuid().optional(),
};

export const keyChangeFields = {
  name: keyName.optional(),
  expiresAt: expiresAt.nullish(),
  requestsPerMinute: requestsPerMinute.nullish(),
};

/** Filter of a list: keys that nobody used for so many days. */
export const unusedQuery = { unusedForDays: z.coerce.number().int().min(1).max(3650).optional() };

export const grantedScopes = z
  .array(z.enum(["*", ...scopes]))
  .min(1)
  .max(scopes.length);

/** When a new key ends, from a time or a preset; undefined for never. */
export function expiryOf(fields: {
  expiresAt?: Date | null | undefined;
  expiresIn?: keyof typeof expiryPresets | undefined;
}): Date | undefined {
  if (fields.expiresAt && fields.expiresIn) throw invalid("expiresIn", "give expiresAt or expiresIn, not both");
  if (fields.expiresAt) return inTheFuture(fields.expiresAt);
  const seconds = fields.expiresIn ? expiryPresets[fields.expiresIn] : Number.POSITIVE_INFINITY;
  return Number.isFinite(seconds) ? new Date(Date.now() + seconds * 1000) : undefined;
}

/** A key that has ended is revoked, not given a past expiry by mistake. */
export function inTheFuture(time: Date): Date {
  if (time.getTime() <= Date.now()) throw invalid("expiresAt", "must be in the future; revoke a key to end it now");
  if (time.getUTCFullYear() > 9999) throw invalid("expiresAt", "must be before the year 10000");
  return time;
}

/** Refuses a change that changes nothing: it is a mistake in the name of a member. */
export function refuseEmptyChange(change: object): void {
  if (Object.values(change).every((value) => value === undefined)) {
    throw new ApiError("VALIDATION_ERROR", "The body changes nothing. docs/api.md lists what can be changed.");
  }
}

/** A key can never make another that reaches further than itself. */
export function refuseWidening(caller: SecretCaller, granted: readonly string[], projectId: string | undefined): void {
  if (caller.projectId && caller.projectId !== projectId) {
    throw new ApiError("FORBIDDEN", "This key is narrowed to one project and can only make keys for that project.", {
      reason: "project_mismatch",
    });
  }
  const beyond = granted.filter((scope) => (scope === "*" ? !caller.scopes.includes("*") : !hasGranted(caller, scope)));
  if (beyond.length > 0) {
    throw new ApiError("FORBIDDEN", `This key cannot grant what it has not: ${beyond.join(", ")}.`, {
      reason: "missing_scope",
    });
  }
}

function hasGranted(caller: SecretCaller, scope: string): boolean {
  return hasScope(caller.scopes, scope as (typeof scopes)[number]);
}

function invalid(path: string, message: string): ApiError {
  return new ApiError("VALIDATION_ERROR", `${path}: ${message}`, { issues: [{ path, message }] });
}

function hasControlCharacter(text: string): boolean {
  return /\p{Cc}/u.test(text) || !text.isWellFormed();
}
