import { type KeyKind, type Rejection, reservedKeyPrefixes } from "@sazabi/sdk/protocol";
import { Hono } from "hono";
import { z } from "zod";
import { auditSource } from "../auth/authenticate.ts";
import { keyImported } from "../auth/key-events.ts";
import { noPepper } from "../auth/key-material.ts";
import { ApiError } from "../errors.ts";
import type { HttpEnv } from "../http/context.ts";
import { readProject, readProjects } from "../http/project.ts";
import { readBody } from "../http/request.ts";
import { ok } from "../http/respond.ts";
import type { Services } from "../services.ts";
import { sqlState } from "../store/database.ts";
import { insertKey } from "../store/keys.ts";
import { expiryOf, grantedScopes, newKeyFields, refuseWidening, refuseWiderFence } from "./key-fields.ts";

const maxImported = 500;

const importedKey = z.object({
  ...newKeyFields,
  style: z.undefined().optional(),
  kind: z.enum(["secret", "public"]),
  scopes: grantedScopes.default(["*"]),
  /** Every text of this key begins so; what begins like no known prefix is refused without a look-up. */
  prefix: z
    .string()
    .regex(/^[A-Za-z0-9_.-]{3,20}$/, "must be 3 to 20 letters, digits, _, . or -")
    .refine((prefix) => !reservedKeyPrefixes.some((own) => own.startsWith(prefix) || prefix.startsWith(own)), {
      error: "is how our own keys begin",
    }),
  /** Of the whole text of the key. */
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
});

const request = z.object({ keys: z.array(importedKey).min(1).max(maxImported) });

/**
 * Takes over keys that customers hold already, by their SHA-256. They work as they are, and move under the pepper
 * the first time they are used. All of a request are imported, or none.
 */
export const keyImportRoutes = ({ db, change, now, guards: { secretKey } }: Services) =>
  new Hono<HttpEnv>().post(
    "/",
    secretKey("keys.import", "write:keys", async (c, caller) => {
      const { keys: wanted } = await readBody(c, request);
      const visible = await readProjects(db, caller, undefined);
      const imported = await change(auditSource(c, caller), async (tx) => {
        const made: { index: number; id: string; kind: KeyKind; name: string; masked: string }[] = [];
        for (const [index, key] of wanted.entries()) {
          const projectId =
            key.kind === "public" ? (key.projectId ?? only(visible)?.id) : (key.projectId ?? caller.projectId);
          if (key.kind === "public" && !projectId) throw refused(index, "projectId", "is required for a public key");
          if (projectId) await readProject(tx, { ...caller, projectId: undefined }, projectId);
          const granted = key.kind === "secret" ? key.scopes : [];
          refuseWidening(caller, granted, projectId);
          if (key.kind === "secret") refuseWiderFence(caller, key.allowedAddresses ?? []);
          const stored = await insertKey(
            tx,
            {
              organizationId: caller.organizationId,
              projectId,
              kind: key.kind,
              style: "live",
              name: key.name,
              scopes: granted,
              expiresAt: expiryOf(key, now()),
              requestsPerMinute: key.requestsPerMinute,
              allowedAddresses: key.allowedAddresses,
              importedPrefix: key.prefix,
              createdBy: caller.keyId,
            },
            { digest: key.sha256, pepperVersion: noPepper, lastFour: key.lastFour },
          ).catch((error) => {
            // Also when another organization has it: a key names one owner.
            if (sqlState(error) === "23505") throw refused(index, "sha256", "is a key that is known already");
            throw error;
          });
          tx.record(keyImported(stored));
          made.push({ index, id: stored.id, kind: key.kind, name: stored.name, masked: stored.masked });
        }
        return made;
      });
      return ok(c, { imported }, 201);
    }),
  );

function only<T>(items: readonly T[]): T | undefined {
  return items.length === 1 ? items[0] : undefined;
}

function refused(index: number, field: Rejection["field"], message: string): ApiError {
  const path = `keys.${index}.${field}`;
  return new ApiError("VALIDATION_ERROR", `${path}: ${message}`, { issues: [{ path, message }] });
}

function parseSha256(text: string): Buffer | undefined {
  if (/^[0-9a-f]{64}$/i.test(text)) return Buffer.from(text, "hex");
  return /^[A-Za-z0-9+/_-]{43}=?$/.test(text) ? Buffer.from(text, "base64") : undefined;
}
