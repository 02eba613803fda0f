import type { LogContext } from "@sazabi/sdk/protocol";
import { Hono } from "hono";
import { z } from "zod";
import type { AppContext } from "../../../app-context.ts";
import { TimeSlices } from "../../../concurrency/event-loop-fairness.ts";
import { ApiError } from "../../../errors.ts";
import type { HttpEnv } from "../../../http/context.ts";
import { type JsonText, jsonArray, jsonOf, jsonWithin } from "../../../http/json-text.ts";
import { readQuery } from "../../../http/request.ts";
import { okLarge } from "../../../http/respond.ts";
import { readProject } from "../../../projects/project-scope.ts";
import { type LogSearch, maxAnswerBytes } from "../../log-store.ts";
import { runSearch } from "../run-search.ts";
import { toEntry } from "../search-request.ts";

const count = z.coerce.number().int().min(0).max(100).default(0);
const contextQuery = z.strictObject({ projectId: z.uuid().optional(), before: count, after: count });

/** Neighbours are looked for in every day that there is: the limit, not the window, says what it costs. */
const allTimes = { fromMicros: 0, toMicros: Date.UTC(9999, 0) * 1000 };

/** Of the entries on each side; one entry has less than half of it. */
const maxSideBytes = maxAnswerBytes / 2;

/** A `LogContext` whose entries are JSON already. */
type ContextAnswer = Readonly<Record<"log" | "before" | "after", JsonText>> & Pick<LogContext, "truncated">;

/** One entry, and what stands around it. */
export const logContextRoutes = ({ db, logs, searches, guards: { secretKey } }: AppContext) =>
  new Hono<HttpEnv>().get(
    "/:id",
    secretKey("logs.get", "read:logs", async (c, caller) => {
      const { projectId, before, after } = readQuery(c, contextQuery);
      const id = readLogId(c.req.param("id") ?? "");
      const project = await readProject(db, caller, projectId);
      const projectIds = new Map([[project.number, project.id]]);
      const context = await runSearch(c, searches, caller, async (signal): Promise<ContextAnswer> => {
        const [found] = await logs.find([project.number], id, signal);
        if (!found) throw noSuchEntry();
        const slices = new TimeSlices();
        const neighbours = async (direction: LogSearch["direction"], limit: number) => {
          if (limit === 0) return { entries: [], truncated: false };
          const search = { projectNumbers: [project.number], query: { kind: "everything" }, ...allTimes } as const;
          const bounds = { direction, limit, maxBytes: maxSideBytes, after: found.position, signal };
          const { logs: read, more } = await logs.search({ ...search, ...bounds });
          const shown = read.map((log) => toEntry(log, projectIds));
          const entries = await jsonWithin(shown, maxSideBytes, slices);
          return { entries, truncated: entries.length < limit && (more || entries.length < read.length) };
        };
        const earlier = await neighbours("desc", before);
        const later = await neighbours("asc", after);
        return {
          log: await jsonOf(toEntry(found, projectIds), slices),
          before: jsonArray(earlier.entries.reverse()),
          after: jsonArray(later.entries),
          ...((earlier.truncated || later.truncated) && {
            truncated: { before: earlier.truncated, after: later.truncated },
          }),
        };
      });
      return okLarge(c, context);
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
