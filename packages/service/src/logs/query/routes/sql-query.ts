import { hasScope, type NativeQueryRequest, type NativeQueryResult } from "@sazabi/sdk/protocol";
import { Hono } from "hono";
import { z } from "zod";
import type { AppContext } from "../../../app-context.ts";
import { ApiError } from "../../../errors.ts";
import type { HttpEnv } from "../../../http/context.ts";
import { jsonOf } from "../../../http/json-text.ts";
import { readBody } from "../../../http/request.ts";
import { okLarge } from "../../../http/respond.ts";
import { readProject } from "../../../projects/project-scope.ts";
import { runSearch } from "../run-search.ts";

const nativeBody = z.strictObject({
  projectId: z.uuid().optional(),
  query: z
    .string()
    .min(1)
    .max(10_000)
    .refine((text) => !text.includes("\0"), "must not hold NUL characters"),
}) satisfies z.ZodType<NativeQueryRequest>;

/** Read-only SQL over the entries of one project. It takes two scopes: it executes a query, and reads any log. */
export const logNativeRoutes = ({ db, logs, nativeQueries, guards: { secretKey } }: AppContext) =>
  new Hono<HttpEnv>().post(
    "/native-query",
    secretKey("logs.nativeQuery", "execute:queries", async (c, caller) => {
      const startedAt = performance.now();
      if (!hasScope(caller.scopes, "read:logs")) {
        throw new ApiError("FORBIDDEN", "This key lacks the scope read:logs.", { reason: "missing_scope" });
      }
      const { projectId, query } = await readBody(c, nativeBody);
      const project = await readProject(db, caller, projectId);
      const request = { projectNumber: project.number, text: query };
      const { result, truncated } = await runSearch(c, nativeQueries, caller, async (signal) => {
        const { text, truncated } = await logs.queryNative({ ...request, signal });
        return { result: await jsonOf(text), truncated };
      });
      const took = Math.round(performance.now() - startedAt);
      const rest: Omit<NativeQueryResult, "result"> = {
        format: "text",
        meta: { backendId: logs.backend.id, took, truncated },
      };
      return okLarge(c, { result, ...rest });
    }),
  );
