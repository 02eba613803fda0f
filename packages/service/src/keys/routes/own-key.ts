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
 * What the holder of a key can do with it, whatever its scopes: see what it is, and revoke it if it is secret. For
 * somebody who found one. A public key stands in web pages, so everybody holds it (docs/decisions/0005).
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

/** What a stranger may know who read the key in a web page: nothing about the people who use it. */
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
