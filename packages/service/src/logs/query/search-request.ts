import {
  type LogEntry,
  type LogFilter,
  type LogQueryResult,
  lookIn,
  parseQuery,
  type QueryNode,
  type QueryWarning,
  type TextScope,
} from "@sazabi/sdk/protocol";
import { z } from "zod";
import type { AppContext } from "../../app-context.ts";
import type { SecretCaller } from "../../auth/caller.ts";
import type { HttpContext } from "../../http/context.ts";
import { type JsonText, jsonArray, jsonWithin } from "../../http/json-text.ts";
import type { NumberedProject } from "../../projects/store.ts";
import { maxAnswerBytes, type StoredLog } from "../log-store.ts";
import { isoOfMicros } from "../time.ts";
import { decodeCursor, encodeCursor } from "./cursor.ts";
import { queryOfFilters, queryOfWords } from "./filters.ts";
import { runSearch } from "./run-search.ts";
import type { Window } from "./window.ts";

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

/** The members that say what a request looks for. */
export const searchMembers = {
  projectId: z.uuid().optional(),
  search: z
    .strictObject({
      query: z.string().max(4096),
      mode: z.enum(["all", "any", "phrase"]).default("all"),
      // Anything else is refused, not ignored.
      fields: z
        .array(
          z.enum(["body", "message", "attributes"], {
            error: "words are searched in message and attributes; ask for one field with field:value",
          }),
        )
        .optional(),
    })
    .optional(),
  filters: z.array(filter).max(50).default([]),
};

export const pagination = z
  .strictObject({ limit: z.number().int().min(1).max(1000).default(50), cursor: z.string().max(200).optional() })
  .prefault({});

/** What `search` and `filters` ask for, together. */
export function readSearch(wanted: z.infer<typeof searchMembers.search>, filters: readonly LogFilter[]) {
  const fromFilters = queryOfFilters(filters);
  if (!wanted) return { query: fromFilters, warnings: [] };
  const { ast, warnings } =
    wanted.mode === "any" || wanted.mode === "phrase"
      ? { ast: queryOfWords(wanted.query, wanted.mode), warnings: [] }
      : parseQuery(wanted.query);
  const words = lookIn(ast, scopeOf(wanted.fields ?? []));
  return { query: { kind: "and", nodes: [words, fromFilters] } satisfies QueryNode, warnings };
}

function scopeOf(fields: readonly ("body" | "message" | "attributes")[]): TextScope {
  if (fields.length === 0) return "entry";
  if (!fields.includes("attributes")) return "message";
  return fields.every((field) => field === "attributes") ? "attributes" : "both";
}

export interface Search {
  readonly projects: readonly NumberedProject[];
  readonly query: QueryNode;
  readonly warnings: readonly QueryWarning[];
  readonly window: Window;
  /** Default: newest first. */
  readonly direction: "asc" | "desc" | undefined;
  readonly limit: number;
  readonly cursor?: string | undefined;
  /** What is shown of an entry. Default: all of it. */
  readonly shape?: ((entry: LogEntry) => object) | undefined;
  /** When the request came, by `performance.now()`. */
  readonly startedAt: number;
}

/** A `LogQueryResult` whose entries are JSON already. */
type SearchAnswer = Omit<LogQueryResult, "data"> & { readonly data: JsonText };

/** One page of a search, when it is the caller's turn. It ends early where its entries are large. */
export async function answerSearch(
  c: HttpContext,
  { logs, searches }: Pick<AppContext, "logs" | "searches">,
  caller: SecretCaller,
  { projects, query, warnings, window, direction = "desc", limit, cursor, shape, startedAt }: Search,
): Promise<SearchAnswer> {
  const search = {
    projectNumbers: projects.map(({ number }) => number),
    query,
    ...window,
    direction,
    limit,
    after: cursor === undefined ? undefined : decodeCursor(cursor),
  };
  const projectIds = new Map(projects.map(({ number, id }) => [number, id]));
  // Made in the caller's turn, so that only so many answers are in memory twice.
  const { data, count, last, more } = await runSearch(c, searches, caller, async (signal) => {
    const found = await logs.search({ ...search, signal });
    const entries = await jsonWithin(shown(found.logs, projectIds, shape), maxAnswerBytes);
    const count = entries.length;
    const more = found.more || count < found.logs.length;
    return { data: jsonArray(entries), count, last: found.logs[count - 1], more };
  });
  return {
    data,
    nextCursor: last && more ? encodeCursor(last.position) : null,
    meta: {
      count,
      took: Math.round(performance.now() - startedAt),
      from: isoOfMicros(window.fromMicros),
      to: isoOfMicros(window.toMicros),
      warnings,
    },
  };
}

/** Each when it is asked for: most of them may not be. */
function* shown(
  logs: readonly StoredLog[],
  projectIds: ReadonlyMap<number, string>,
  shape: (entry: LogEntry) => object = (entry) => entry,
): Generator<object> {
  for (const log of logs) yield shape(toEntry(log, projectIds));
}

export function toEntry(log: StoredLog, projectIds: ReadonlyMap<number, string>): LogEntry {
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
