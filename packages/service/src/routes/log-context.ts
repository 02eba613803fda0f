import type { LogContext } from "@sazabi/sdk/protocol";
import { Hono } from "hono";
import { z } from "zod";
import { ApiError } from "../errors.ts";
import type { HttpEnv } from "../http/context.ts";
import { readProject } from "../http/project.ts";
import { readQuery } from "../http/request.ts";
import { ok } from "../http/respond.ts";
import type { LogSearch, StoredLog } from "../logs/store.ts";
import type { Services } from "../services.ts";
import { toEntry } from "./log-search.ts";
import { runSearch } from "./run-search.ts";

const count = z.coerce.number().int().min(0).max(100).default(0);
const contextQuery = z.strictObject({ projectId: z.uuid().optional(), before: count, after: count });

/** Neighbours are looked for in every day that there is: the limit, not the window, says what it costs. */
const allTimes = { fromMicros: 0, toMicros: Date.UTC(9999, 0) * 1000 };

/** One entry, and what stands around it. */
export const logContextRoutes = ({ db, logs, searches, guards: { secretKey } }: Services) =>
  new Hono<HttpEnv>().get(
    "/:id",
    secretKey("logs.get", "read:logs", async (c, caller) => {
      const { projectId, before, after } = readQuery(c, contextQuery);
      const id = readLogId(c.req.param("id") ?? "");
      const project = await readProject(db, caller, projectId);
      const context = await runSearch(c, searches, caller, async (signal) => {
        const [found] = await logs.find([project.number], id, signal);
        if (!found) throw noSuchEntry();
        const neighbours = async (direction: LogSearch["direction"], limit: number): Promise<readonly StoredLog[]> => {
          if (limit === 0) return [];
          const search = { projectNumbers: [project.number], query: { kind: "everything" }, ...allTimes } as const;
          const page = await logs.search({ ...search, direction, limit, after: found.position, signal });
          return page.slice(0, limit);
        };
        return {
          log: found,
          before: [...(await neighbours("desc", before))].reverse(),
          after: await neighbours("asc", after),
        };
      });
      const projectIds = new Map([[project.number, project.id]]);
      const answer: LogContext = {
        log: toEntry(context.log, projectIds),
        before: context.before.map((log) => toEntry(log, projectIds)),
        after: context.after.map((log) => toEntry(log, projectIds)),
      };
      return ok(c, answer);
    }),
  );

/** A text that is no id names nothing. */
function readLogId(text: string): bigint {
  if (!/^[1-9]\d{0,17}$/.test(text)) throw noSuchEntry();
  return BigInt(text);
}

function noSuchEntry(): ApiError {
  return new ApiError("NOT_FOUND", "No such log entry.");
}
