import {
  allOf,
  equalsText,
  type LogPatterns,
  type LogPatternsRequest,
  parseQuery,
  resolveField,
  storable,
} from "@sazabi/sdk/protocol";
import { Hono } from "hono";
import { z } from "zod";
import type { AppContext } from "../../../app-context.ts";
import type { HttpEnv } from "../../../http/context.ts";
import { readBody } from "../../../http/request.ts";
import { ok } from "../../../http/respond.ts";
import { readProjects } from "../../../projects/project-scope.ts";
import { isoOfMicros } from "../../time.ts";
import { runSearch } from "../run-search.ts";
import { windowOfDates } from "../window.ts";

const patternsBody = z.strictObject({
  projectId: z.uuid().optional(),
  query: z.string().min(1).max(500).optional(),
  severity: z.string().max(40).optional(),
  startDate: z.string().max(40).optional(),
  endDate: z.string().max(40).optional(),
  limit: z.number().int().min(1).max(100).default(25),
}) satisfies z.ZodType<LogPatternsRequest>;

/** What kinds of messages there are, and how many of each. */
export const logPatternRoutes = ({ db, logs, searches, now, guards: { secretKey } }: AppContext) =>
  new Hono<HttpEnv>().post(
    "/patterns",
    secretKey("logs.patterns", "read:logs", async (c, caller) => {
      const startedAt = performance.now();
      const { projectId, query, severity, limit, ...dates } = await readBody(c, patternsBody);
      const window = windowOfDates(dates, { nowMs: now() });
      const ofLevel = severity === undefined ? [] : [equalsText(resolveField("level"), storable(severity))];
      const projects = await readProjects(db, caller, projectId);
      const request = {
        projectNumbers: projects.map(({ number }) => number),
        query: allOf([parseQuery(query ?? "").ast, ...ofLevel]),
        ...window,
        limit,
      };
      const found = await runSearch(c, searches, caller, (signal) => logs.patterns({ ...request, signal }));
      const answer: LogPatterns = {
        patterns: found.map((pattern) => ({
          serviceName: pattern.service || null,
          fingerprint: (pattern.patternId >>> 0).toString(16).padStart(8, "0"),
          pattern: pattern.template,
          severity: pattern.level.toUpperCase(),
          occurrences: pattern.entries,
          firstSeen: isoOfMicros(pattern.firstMicros),
          lastSeen: isoOfMicros(pattern.lastMicros),
          representativeId: pattern.representative.id,
        })),
        meta: {
          backendId: logs.backend.id,
          count: found.length,
          took: Math.round(performance.now() - startedAt),
        },
      };
      return ok(c, answer);
    }),
  );
