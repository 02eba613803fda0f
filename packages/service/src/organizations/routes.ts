import { Hono } from "hono";
import { z } from "zod";
import type { AppContext } from "../app-context.ts";
import { ApiError } from "../errors.ts";
import type { HttpEnv } from "../http/context.ts";
import { noPages } from "../http/page.ts";
import { readId, readQuery } from "../http/request.ts";
import { ok } from "../http/respond.ts";
import { findOrganization } from "./store.ts";

const listQuery = z.object(noPages);

/** Lists the organization of the key: a secret key belongs to exactly one. */
export const organizationRoutes = ({ db, guards: { secretKey } }: AppContext) =>
  new Hono<HttpEnv>()
    .get(
      "/",
      secretKey("organizations.list", "read:organizations", async (c, caller) => {
        readQuery(c, listQuery);
        const own = await findOrganization(db, caller.organizationId);
        return ok(c, { organizations: own ? [own] : [] });
      }),
    )

    .get(
      "/:id",
      secretKey("organizations.get", "read:organizations", async (c, caller) => {
        const id = readId(c, "id", "organization");
        const organization = id === caller.organizationId ? await findOrganization(db, id) : undefined;
        if (!organization) throw new ApiError("NOT_FOUND", "No such organization.");
        return ok(c, { organization });
      }),
    );
