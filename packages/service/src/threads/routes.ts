import { Hono } from "hono";
import { z } from "zod";
import type { AppContext } from "../app-context.ts";
import type { HttpEnv } from "../http/context.ts";
import { pageOf, pageQuery } from "../http/page.ts";
import { readQuery } from "../http/request.ts";
import { ok } from "../http/respond.ts";
import { readProjects } from "../projects/project-scope.ts";
import { listThreads } from "./store.ts";

const listQuery = pageQuery.extend({
  projectId: z.uuid().optional(),
  status: z.enum(["regular", "archived"]).optional(),
});

export const threadRoutes = ({ db, guards: { secretKey } }: AppContext) =>
  new Hono<HttpEnv>().get(
    "/",
    secretKey("threads.list", "read:threads", async (c, caller) => {
      const { projectId, status, limit, cursor } = readQuery(c, listQuery);
      const projectIds = (await readProjects(db, caller, projectId)).map(({ id }) => id);
      const { page, nextCursor } = pageOf(await listThreads(db, { projectIds, status, limit, cursor }), limit);
      return ok(c, { threads: page, nextCursor });
    }),
  );
