import type { PublicKey, SecretKey } from "@sazabi/sdk/protocol";
import { Hono } from "hono";
import type { AppContext } from "../../app-context.ts";
import { ApiError } from "../../errors.ts";
import type { HttpEnv } from "../../http/context.ts";
import { authorOf } from "../../http/guards.ts";
import { readQuery } from "../../http/request.ts";
import { noContent, ok } from "../../http/respond.ts";
import { keyRevoked } from "../events.ts";
import { findKey, revokeKey } from "../store/keys.ts";
import { revocationQuery } from "./fields.ts";
import { keepAdministrator } from "./last-administrator.ts";

/**
 * Operations on a key by its holder, regardless of its scopes: inspect it, and revoke it if it is
 * secret. Intended for a person who found a key. A public key appears in web pages, so its holder may
 * be anyone (docs/decisions/0005).
 */
export const ownKeyRoutes = ({ db, change, guards: { anyKey } }: AppContext) =>
  new Hono<HttpEnv>()
    .get(
      "/",
      anyKey("keys.self", async (c, { keyId, kind, organizationId }) => {
        const key = await findKey(db, { organizationId }, kind, keyId);
        if (!key) throw new ApiError("NOT_FOUND", "No such key.");
        return ok(c, { kind, key: kind === "secret" ? key : publicly(key) });
      }),
    )

    .post(
      "/revoke",
      anyKey("keys.revokeSelf", async (c, caller) => {
        if (caller.kind === "public") throw everybodyHasIt();
        const { force, reason } = readQuery(c, revocationQuery);
        const { organizationId, keyId, kind } = caller;
        await change(
          authorOf(c, caller),
          async (tx) => {
            const revoked = await keepAdministrator(c, tx, { organizationId, force }, () =>
              revokeKey(tx, { organizationId }, kind, keyId, { revokedBy: keyId, reason }),
            );
            if (revoked?.revokedNow) tx.record(keyRevoked(revoked.key, reason ?? "by itself"));
          },
          "revocations",
        );
        return noContent(c);
      }),
    );

/** Returns the members that are safe to show to a person who read the key in a web page: nothing about its users. */
function publicly({ masked, projectId, expiresAt }: SecretKey | PublicKey) {
  return { masked, projectId, expiresAt };
}

function everybodyHasIt(): ApiError {
  return new ApiError(
    "FORBIDDEN",
    "A public key cannot end itself, since whoever sees it in a web page could end it. A secret key that may write " +
      "keys can: POST /v1/public-keys/:id/deactivate.",
    { reason: "wrong_key_type" },
  );
}
