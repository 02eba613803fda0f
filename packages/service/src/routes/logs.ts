import { type LogEntry, type LogFilter, type LogQueryResult, parseQuery, type QueryNode } from "@sazabi/sdk/protocol";
import { Hono } from "hono";
import { z } from "zod";
import type { HttpEnv } from "../http/context.ts";
import { departureOf } from "../http/departure.ts";
import { readProjects } from "../http/project.ts";
import { readBody } from "../http/request.ts";
import { ok } from "../http/respond.ts";
import { decodeCursor, encodeCursor } from "../logs/cursor.ts";
import { queryOfFilters, queryOfWords } from "../logs/filters.ts";
import type { StoredLog } from "../logs/store.ts";
import { isoOfMicros } from "../logs/time.ts";
import { Turns } from "../logs/turns.ts";
import { readWindow } from "../logs/window.ts";
import type { Services } from "../services.ts";

const scalar = z.union([z.string().max(2000), z.number(), z.boolean()]);

const filter = z.object({
  field: z.string().min(1).max(200),
  op: z.enum(["eq", "neq", "in", "contains", "starts_with", "gt", "gte", "lt", "lte", "between", "exists"]),
  value: z.union([
    scalar,
    z.array(scalar).min(1).max(100),
    z.object({ from: z.string().max(200), to: z.string().max(200) }),
  ]),
}) satisfies z.ZodType<LogFilter>;

// Strict: a misspelt member would search for everything, and look like an answer.
const logQuery = z.strictObject({
  projectId: z.uuid().optional(),
  search: z
    .strictObject({
      query: z.string().max(4096),
      mode: z.enum(["all", "any", "phrase"]).default("all"),
      // Free words look into the message. Saying so is allowed; anything else is refused, not ignored.
      fields: z
        .array(
          z.enum(["body", "message"], {
            error: "words are searched in the message only; ask for an attribute with field:value",
          }),
        )
        .optional(),
    })
    .optional(),
  filters: z.array(filter).max(50).default([]),
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

const searchesAtOnce = 2;
const searchesWaiting = 16;

export const logRoutes = ({ db, logs, guards: { secretKey } }: Services) => {
  const turns = new Turns({ atOnce: searchesAtOnce, waiting: searchesWaiting });
  return new Hono<HttpEnv>().post(
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
};

function readSearch(wanted: z.infer<typeof logQuery>["search"], filters: readonly LogFilter[]) {
  const fromFilters = queryOfFilters(filters);
  if (!wanted) return { query: fromFilters, warnings: [] };
  const { ast, warnings } =
    wanted.mode === "all" ? parseQuery(wanted.query) : { ast: queryOfWords(wanted.query, wanted.mode), warnings: [] };
  return { query: { kind: "and", nodes: [ast, fromFilters] } satisfies QueryNode, warnings };
}

function toEntry(log: StoredLog, projectIds: ReadonlyMap<number, string>): LogEntry {
  return {
    id: log.position.id,
    projectId: projectIds.get(log.position.projectNumber) as string,
    timestamp: isoOfMicros(log.position.micros),
    level: log.level,
    severity: log.level.toUpperCase(),
    service: log.service,
    environment: log.environment,
    message: log.message,
    body: log.message,
    trace_id: log.traceId,
    span_id: log.spanId,
    attributes: log.attributes,
    resource: {},
  };
}

/** Keeps the members asked for; `id` and `timestamp` always stay, since pages are built on them. */
function selectFields(entry: LogEntry, select: readonly string[] | undefined): LogEntry {
  if (!select) return entry;
  const kept = new Set(["id", "timestamp", ...select]);
  return Object.fromEntries(Object.entries(entry).filter(([name]) => kept.has(name))) as unknown as LogEntry;
}
