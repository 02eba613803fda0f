import { type Rejection, reservedKeyPrefixes } from "@sazabi/sdk/protocol";
import { Hono } from "hono";
import { z } from "zod";
import type { AppContext } from "../../app-context.ts";
import type { SecretCaller } from "../../auth/caller.ts";
import { assertNoEscalation, assertNoWiderPublicKey } from "../../auth/privileges.ts";
import type { Keyring } from "../../crypto/keyring.ts";
import { type Queryable, sqlState } from "../../db/database.ts";
import { ApiError, invalidMember } from "../../errors.ts";
import type { HttpEnv } from "../../http/context.ts";
import { authorOf } from "../../http/guards.ts";
import { withIdempotency, withoutSecret } from "../../http/idempotency.ts";
import { readBody } from "../../http/request.ts";
import { ok } from "../../http/respond.ts";
import { readProjects } from "../../projects/project-scope.ts";
import type { NumberedProject } from "../../projects/store.ts";
import { keyImported } from "../events.ts";
import { importedDigestsOf, noPepper } from "../generate.ts";
import { countImportedPrefixes, findImportedDigests, type ImportedKey, insertImportedKeys } from "../store/keys.ts";
import { allowedOrigins, expiryOf, grantedScopes, newKeyFields, noOrigins, refuseTooManyKeys } from "./fields.ts";

const maxImported = 500;
/**
 * Maximum number of prefixes of unrevoked keys per organization: texts of all requests are compared
 * with each prefix.
 */
const maxPrefixes = 50;

const { style: _, ...importedFields } = newKeyFields;

const commonFields = {
  ...importedFields,
  /** The prefix of the key. A text without a known prefix is rejected without a look-up. */
  prefix: z
    .string()
    .regex(/^[A-Za-z0-9_.-]{3,20}$/, "must be 3 to 20 letters, digits, _, . or -")
    .refine((prefix) => !reservedKeyPrefixes.some((own) => own.startsWith(prefix) || prefix.startsWith(own)), {
      error: "is how our own keys begin",
    }),
  /** SHA-256 of the whole text of the key. */
  sha256: z.string().transform((text, context) => {
    const digest = parseSha256(text);
    if (digest) return digest;
    context.addIssue({ code: "custom", message: "must be a SHA-256 in hexadecimal or base64" });
    return z.NEVER;
  }),
  lastFour: z
    .string()
    .regex(/^[\x21-\x7e]{4}$/, "must be four visible characters")
    .default("????"),
};

const importedKey = z.discriminatedUnion("kind", [
  z.strictObject({
    ...commonFields,
    kind: z.literal("secret"),
    scopes: grantedScopes.default(["*"]),
    allowedOrigins: noOrigins,
  }),
  z.strictObject({ ...commonFields, kind: z.literal("public"), allowedOrigins: allowedOrigins.optional() }),
]);

const request = z.strictObject({ keys: z.array(importedKey).min(1).max(maxImported) });

/**
 * Imports keys that customers already use, by their SHA-256. They work unchanged, and are re-hashed
 * with the pepper on first use. A request imports all of its keys or none.
 */
export const keyImportRoutes = (services: AppContext) => {
  const { db, change, guards, pepper } = services;
  return new Hono<HttpEnv>().post(
    "/",
    guards.secretKey("keys.import", "write:keys", async (c, caller) => {
      const { keys: wanted } = await readBody(c, request);
      const projects = await readProjects(db, caller, undefined);
      const keys = wanted.map((key, index) => toImported(services, caller, projects, key, index));
      const importAll = () =>
        change(authorOf(c, caller), (tx) =>
          withIdempotency(c, services, {
            tx,
            caller,
            request: wanted,
            authorizeReplay: withoutSecret,
            work: async () => {
              await refuseKnown(tx, pepper, wanted);
              const owner = { organizationId: caller.organizationId, createdBy: caller.keyId };
              const prefixesBefore = await countImportedPrefixes(tx, caller.organizationId);
              const imported = await insertImportedKeys(tx, owner, keys);
              await refuseTooManyKeys(tx, caller.organizationId);
              const prefixes = await countImportedPrefixes(tx, caller.organizationId);
              if (prefixes > Math.max(maxPrefixes, prefixesBefore)) throw tooManyPrefixes();
              for (const key of imported) tx.record(keyImported(key));
              return {
                imported: imported.map(({ id, name, masked }, index) => ({
                  index,
                  id,
                  kind: keys[index]?.kind,
                  name,
                  masked,
                })),
              };
            },
          }),
        );
      const answer = await importAll().catch((error) => {
        // Another request imported one of the keys concurrently; the second attempt reports which.
        if (sqlState(error) === "23505") return importAll();
        throw error;
      });
      return ok(c, answer, 201);
    }),
  );
};

function toImported(
  services: AppContext,
  caller: SecretCaller,
  projects: readonly NumberedProject[],
  key: z.infer<typeof importedKey>,
  index: number,
): ImportedKey {
  const projectId = projectOf(caller, projects, key, index);
  const expiresAt = expiryOf(key, services.now());
  const { kind, name, prefix, requestsPerMinute, allowedAddresses = [] } = key;
  const [importedDigest] = importedDigestsOf(services.pepper, key.sha256) as [Buffer];
  const secret = { digest: key.sha256, pepperVersion: noPepper, lastFour: key.lastFour };
  const stored = { projectId, name, prefix, expiresAt, requestsPerMinute, allowedAddresses, importedDigest, secret };
  if (key.kind === "public") {
    assertNoWiderPublicKey(caller, { allowedAddresses, expiresAt: expiresAt ?? null });
    return { ...stored, kind, scopes: [], allowedOrigins: key.allowedOrigins };
  }
  assertNoEscalation(caller, {
    projectId,
    scopes: key.scopes,
    allowedAddresses,
    expiresAtMs: expiresAt?.getTime(),
    requestsPerMinute: requestsPerMinute ?? services.requestsPerMinute,
  });
  return { ...stored, kind, scopes: key.scopes };
}

/** Returns the project of a key, by the rules for creating keys. */
function projectOf(
  caller: SecretCaller,
  projects: readonly NumberedProject[],
  { kind, projectId }: z.infer<typeof importedKey>,
  index: number,
): string | undefined {
  const named = projectId?.toLowerCase() ?? caller.projectId ?? (kind === "public" ? only(projects)?.id : undefined);
  if (named === undefined) {
    if (kind === "public") throw refused(index, "projectId", "is required for a public key");
    return undefined;
  }
  if (!projects.some(({ id }) => id === named)) throw new ApiError("NOT_FOUND", "No such project.");
  return named;
}

/**
 * Rejects keys that exist in any organization, since a key has one owner. Checks the digests with and
 * without the pepper.
 */
async function refuseKnown(
  tx: Queryable,
  pepper: Keyring,
  keys: readonly { readonly sha256: Buffer }[],
): Promise<void> {
  const digests = keys.map(({ sha256 }) => importedDigestsOf(pepper, sha256).map((digest) => digest.toString("hex")));
  const asked = digests.flat().map((digest) => Buffer.from(digest, "hex"));
  const known = new Set((await findImportedDigests(tx, asked)).map((digest) => digest.toString("hex")));
  for (const [index, versions] of digests.entries()) {
    if (versions.some((digest) => known.has(digest))) throw refused(index, "sha256", "is a key that is known already");
    for (const digest of versions) known.add(digest);
  }
}

function tooManyPrefixes(): ApiError {
  const message =
    `The imported keys of an organization may begin with at most ${maxPrefixes} prefixes, and these would make more. ` +
    "Give keys that begin alike the same `prefix`, or revoke those that are no longer used. Nothing was imported.";
  return new ApiError("CONFLICT", message);
}

function only<T>(items: readonly T[]): T | undefined {
  return items.length === 1 ? items[0] : undefined;
}

function refused(index: number, field: Rejection["field"], message: string): ApiError {
  return invalidMember(`keys.${index}.${field}`, message);
}

function parseSha256(text: string): Buffer | undefined {
  if (/^[0-9a-f]{64}$/i.test(text)) return Buffer.from(text, "hex");
  return /^[A-Za-z0-9+/_-]{43}=?$/.test(text) ? Buffer.from(text, "base64") : undefined;
}
