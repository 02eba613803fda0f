import type { LogEntry, LogQueryResult } from "@sazabi/sdk/protocol";
import { Hono } from "hono";
import { z } from "zod";
import type { HttpEnv } from "../http/context.ts";
import { departureOf } from "../http/departure.ts";
import { readProjects } from "../http/project.ts";
import { readBody } from "../http/request.ts";
import { ok } from "../http/respond.ts";
import { decodeCursor, encodeCursor } from "../logs/cursor.ts";
import { isoOfMicros } from "../logs/time.ts";
import { readWindow } from "../logs/window.ts";
import type { Services } from "../services.ts";
import { readSearch, searchMembers, toEntry } from "./log-search.ts";

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
  pagination: z
    .strictObject({ limit: z.number().int().min(1).max(1000).default(50), cursor: z.string().max(200).optional() })
    .prefault({}),
});

export const logRoutes = ({ db, logs, turns, guards: { secretKey } }: Services) =>
  new Hono<HttpEnv>().post(
    "/query",
    secretKey("logs.query", "read:logs", async (c, caller) => {
      const startedAt = performance.now();
      const wanted = await readBody(c, logQuery);
      const { limit, cursor } = wanted.pagination;
      const window = readWindow(wanted.filters, Date.now());
      const { query, warnings } = readSearch(wanted.search, wanted.filters);
      const projects = await readProjects(db, caller, wanted.projectId);
      const search = {
        projectNumbers: projects.map(({ number }) => number),
        query,
        ...window,
        direction: wanted.sort?.direction ?? "desc",
        limit,
        after: cursor === undefined ? undefined : decodeCursor(cursor),
        signal: departureOf(c),
      };
      const found = await turns.take(caller.organizationId, () => logs.search(search));
      const projectIds = new Map(projects.map(({ number, id }) => [number, id]));
      const page = found.slice(0, limit);
      const last = page.at(-1);
      const result: LogQueryResult = {
        data: page.map((log) => selectFields(toEntry(log, projectIds), wanted.select)),
        nextCursor: last && found.length > limit ? encodeCursor(last.position) : null,
        meta: {
          count: page.length,
          took: Math.round(performance.now() - startedAt),
          from: isoOfMicros(window.fromMicros),
          to: isoOfMicros(window.toMicros),
          warnings,
        },
      };
      return ok(c, result);
    }),
  );

/** Keeps the members asked for; `id` and `timestamp` always stay, since pages are built on them. */
function selectFields(entry: LogEntry, select: readonly string[] | undefined): LogEntry {
  if (!select) return entry;
  const kept = new Set(["id", "timestamp", ...select]);
  return Object.fromEntries(Object.entries(entry).filter(([name]) => kept.has(name))) as unknown as LogEntry;
}
