import { Hono } from "hono";
import { z } from "zod";
import { auditSource } from "../auth/authenticate.ts";
import { keyRevoked } from "../auth/key-events.ts";
import { ApiError } from "../errors.ts";
import type { HttpEnv } from "../http/context.ts";
import { readQuery } from "../http/request.ts";
import { noContent, ok } from "../http/respond.ts";
import type { Services } from "../services.ts";
import { findKey, isKey, revokeKey } from "../store/keys.ts";
import { lastKey, revocationReason } from "./key-fields.ts";

const revocation = z.object({
  force: z.enum(["true", "false"]).default("false"),
  reason: revocationReason.optional(),
});

/**
 * What whoever holds a key can do with it, of either kind and whatever its scopes: see what it is, and make it
 * worthless. For somebody who found one.
 */
export const ownKeyRoutes = ({ db, change, guards: { anyKey } }: Services) =>
  new Hono<HttpEnv>()
    .get(
      "/",
      anyKey("keys.self", async (c, { keyId, kind, organizationId }) => {
        const key = await findKey(db, { organizationId }, kind, keyId);
        if (!key) throw new ApiError("NOT_FOUND", "No such key.");
        return ok(c, { kind, key });
      }),
    )

    .post(
      "/revoke",
      anyKey("keys.revokeSelf", async (c, caller) => {
        const { force, reason } = readQuery(c, revocation);
        const { organizationId, keyId, kind } = caller;
        await change(auditSource(c, caller), async (tx) => {
          const how = { revokedBy: keyId, reason, force: force === "true" };
          const revoked = await revokeKey(tx, { organizationId }, kind, keyId, how);
          if (revoked === "last") throw lastKey();
          if (isKey(revoked)) tx.record(keyRevoked(revoked, reason ?? "by itself"));
        });
        return noContent(c);
      }),
    );
