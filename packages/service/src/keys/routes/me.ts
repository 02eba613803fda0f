import type { Me, SecretKey } from "@sazabi/sdk/protocol";
import { Hono } from "hono";
import type { AppContext } from "../../app-context.ts";
import { ApiError } from "../../errors.ts";
import type { HttpEnv } from "../../http/context.ts";
import { ok } from "../../http/respond.ts";
import { findOrganization } from "../../organizations/store.ts";
import { findKey } from "../store/keys.ts";

/** Returns the identity of the key. Accepts any live secret key, regardless of its scopes. */
export const meRoutes = ({ db, guards: { secretKey } }: AppContext) =>
  new Hono<HttpEnv>().get(
    "/",
    secretKey("me.get", undefined, async (c, caller) => {
      const [organization, key] = await Promise.all([
        findOrganization(db, caller.organizationId),
        findKey(db, { organizationId: caller.organizationId }, "secret", caller.keyId),
      ]);
      if (!organization || !key) throw new ApiError("NOT_FOUND", "No such secret key.");
      return ok(c, {
        credentialType: "secret",
        organization,
        keyName: caller.keyName,
        key: key as SecretKey,
      } satisfies Me);
    }),
  );
