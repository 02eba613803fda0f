import type { LogEntry } from "@sazabi/sdk/protocol";
import { Hono } from "hono";
import { z } from "zod";
import type { AppContext } from "../../../app-context.ts";
import type { HttpEnv } from "../../../http/context.ts";
import { readBody } from "../../../http/request.ts";
import { okLarge } from "../../../http/respond.ts";
import { readProjects } from "../../../projects/project-scope.ts";
import { answerSearch, pagination, readSearch, searchMembers } from "../search-request.ts";
import { readWindow } from "../window.ts";

// Strict: a misspelt member would search for everything, and look like an answer.
const logQuery = z.strictObject({
  ...searchMembers,
  select: z.array(z.string().max(200)).max(50).optional(),
  sort: z
    .object({
      field: z.enum(["timestamp", "@timestamp"], { error: "logs are sorted by timestamp only" }),
      direction: z.enum(["asc", "desc"]).default("desc"),
    })
    .optional(),
  pagination,
});

export const logRoutes = (services: AppContext) => {
  const { db, guards } = services;
  return new Hono<HttpEnv>().post(
    "/query",
    guards.secretKey("logs.query", "read:logs", async (c, caller) => {
      const startedAt = performance.now();
      const wanted = await readBody(c, logQuery);
      const { limit, cursor } = wanted.pagination;
      const window = readWindow(wanted.filters, services.now());
      const { query, warnings } = readSearch(wanted.search, wanted.filters);
      const projects = await readProjects(db, caller, wanted.projectId);
      const { select } = wanted;
      const result = await answerSearch(c, services, caller, {
        projects,
        query,
        warnings,
        window,
        direction: wanted.sort?.direction,
        limit,
        cursor,
        shape: select && ((entry) => selectFields(entry, select)),
        startedAt,
      });
      return okLarge(c, result);
    }),
  );
};

/** Keeps the members asked for; `id` and `timestamp` always stay, since pages are built on them. */
function selectFields(entry: LogEntry, select: readonly string[]): object {
  const kept = new Set(["id", "timestamp", ...select]);
  return Object.fromEntries(Object.entries(entry).filter(([name]) => kept.has(name)));
}
