import {
  allOf,
  anyOf,
  equalsText,
  type LogFacet,
  type LogVolume,
  type LogVolumeRequest,
  maxVolumeIntervals,
  parseQuery,
  type QueryNode,
  resolveField,
  storable,
  type VolumeGroup,
  type VolumeInterval,
  volumeGroups,
  volumeIntervals,
} from "@sazabi/sdk/protocol";
import { Hono } from "hono";
import { z } from "zod";
import type { AppContext } from "../../../app-context.ts";
import { invalidMember } from "../../../errors.ts";
import type { HttpEnv } from "../../../http/context.ts";
import { jsonArray, jsonWithin } from "../../../http/json-text.ts";
import { readBody } from "../../../http/request.ts";
import { ok, okLarge } from "../../../http/respond.ts";
import { readProjects } from "../../../projects/project-scope.ts";
import { maxCounts } from "../../count-limit.ts";
import { maxAnswerBytes, type VolumeCount, type VolumeRequest } from "../../log-store.ts";
import { isoOfMicros } from "../../time.ts";
import { runSearch } from "../run-search.ts";
import { readSearch, searchMembers } from "../search-request.ts";
import { readWindow, type Window, windowOfDates } from "../window.ts";

const intervals = Object.keys(volumeIntervals) as [VolumeInterval, ...VolumeInterval[]];

const oneOrMore = z.union([z.string().max(200), z.array(z.string().max(200)).max(100)]).optional();

const volumeBody = z.strictObject({
  projectId: z.uuid().optional(),
  startDate: z.string().max(40).optional(),
  endDate: z.string().max(40).optional(),
  interval: z.enum(intervals).optional(),
  groupBy: z.enum(volumeGroups).optional(),
  query: z.string().max(4096).optional(),
  filters: z.strictObject({ service_name: oneOrMore, severity_text: oneOrMore, environment: oneOrMore }).prefault({}),
}) satisfies z.ZodType<LogVolumeRequest>;

const facetBody = z.strictObject({
  ...searchMembers,
  field: z.string().min(1).max(200),
  limit: z.number().int().min(1).max(100).default(10),
});

/** How many entries there are: by time, and by the values of a field. */
export const logCountRoutes = ({ db, logs, searches, now, guards: { secretKey } }: AppContext) =>
  new Hono<HttpEnv>()
    .post(
      "/volume",
      secretKey("logs.volume", "read:logs", async (c, caller) => {
        const startedAt = performance.now();
        const wanted = await readBody(c, volumeBody);
        const nowMs = now();
        const window = windowOfDates(wanted, { nowMs });
        const interval = wanted.interval ?? intervalFor(window, nowMs);
        const bucketMicros = volumeIntervals[interval] * 1000;
        refuseTooMany(window, bucketMicros);
        const { ast, warnings } = parseQuery(wanted.query ?? "");
        const projects = await readProjects(db, caller, wanted.projectId);
        const request = {
          projectNumbers: projects.map(({ number }) => number),
          query: allOf([ast, readVolumeFilters(wanted.filters)]),
          ...window,
          bucketMicros,
          groupBy: wanted.groupBy && columns[wanted.groupBy],
          largestGroups: groupsThatFit(window, bucketMicros),
        };
        const counts = await runSearch(c, searches, caller, (signal) => logs.volume({ ...request, signal }));
        const series = seriesOf(counts, wanted.groupBy);
        const volume: LogVolume = {
          total: series.reduce((sum, { total }) => sum + total, 0),
          startDate: isoOfMicros(window.fromMicros),
          endDate: isoOfMicros(window.toMicros),
          interval,
          series,
          meta: { took: Math.round(performance.now() - startedAt), warnings },
        };
        return ok(c, volume);
      }),
    )

    .post(
      "/facets",
      secretKey("logs.facets", "read:logs", async (c, caller) => {
        const startedAt = performance.now();
        const { projectId, field, search, filters, limit } = await readBody(c, facetBody);
        const window = readWindow(filters, now());
        const { query, warnings } = readSearch(search, filters);
        const projects = await readProjects(db, caller, projectId);
        const request = {
          projectNumbers: projects.map(({ number }) => number),
          query,
          ...window,
          field: resolveField(storable(field)),
          limit,
        };
        const { values, truncated } = await runSearch(c, searches, caller, async (signal) => {
          const found = await logs.facet({ ...request, signal });
          const shown = found.map(({ value, entries }) => ({ value, count: entries }));
          const within = await jsonWithin(shown, maxAnswerBytes);
          return { values: jsonArray(within), truncated: within.length < found.length };
        });
        return okLarge(c, {
          field,
          values,
          meta: {
            took: Math.round(performance.now() - startedAt),
            from: isoOfMicros(window.fromMicros),
            to: isoOfMicros(window.toMicros),
            warnings,
            ...(truncated && { truncated }),
          } satisfies LogFacet["meta"],
        });
      }),
    );

const columns = {
  service_name: "service",
  severity_text: "level",
  environment: "environment",
  service: "service",
  level: "level",
} as const satisfies Record<VolumeGroup, VolumeRequest["groupBy"]>;

/** The shortest with which 150 are enough up to now; a day for whatever is longer. */
function intervalFor({ fromMicros, toMicros }: Window, nowMs: number): VolumeInterval {
  const endMicros = fromMicros < nowMs * 1000 ? Math.min(toMicros, nowMs * 1000) : toMicros;
  return intervals.find((name) => endMicros - fromMicros <= volumeIntervals[name] * 1000 * 150) ?? "1d";
}

function refuseTooMany({ fromMicros, toMicros }: Window, bucketMicros: number): void {
  if ((toMicros - fromMicros) / bucketMicros <= maxVolumeIntervals) return;
  throw invalidMember(
    "interval",
    `makes more than ${maxVolumeIntervals} of them in this window; take a longer one, or a shorter window`,
  );
}

function readVolumeFilters(filters: z.infer<typeof volumeBody>["filters"]): QueryNode {
  return allOf(
    Object.entries(filters).flatMap(([name, value]) => {
      const values = value === undefined ? [] : [value].flat();
      return values.length === 0 ? [] : [anyOf(values.map((one) => equalsText(resolveField(name), storable(one))))];
    }),
  );
}

/** How many groups fit into an answer if each of them has entries in every interval. One place is kept for all other groups together. */
function groupsThatFit({ fromMicros, toMicros }: Window, bucketMicros: number): number {
  const intervalsTouched = Math.ceil((toMicros - fromMicros) / bucketMicros) + 1;
  return Math.min(1_000, Math.floor(maxCounts / intervalsTouched) - 1);
}

type Series = LogVolume["series"][number];
type Point = Series["points"][number];

/** One for each group, the largest first; all other groups as one are last. */
function seriesOf(counts: readonly VolumeCount[], groupBy: VolumeGroup | undefined): LogVolume["series"] {
  const series = new Map<string | number, Omit<Series, "total" | "points"> & { total: number; points: Point[] }>();
  for (const { group, otherGroups, startMicros, entries } of counts) {
    // A number is the key of no group's name.
    const key = otherGroups ?? groupKey(group, groupBy);
    const made = { group: otherGroups ? "other" : groupKey(group, groupBy), ...(otherGroups && { otherGroups }) };
    const one = series.get(key) ?? { ...made, total: 0, points: [] };
    series.set(key, one);
    one.total += entries;
    one.points.push({ bucket: isoOfMicros(startMicros), count: entries });
  }
  const rank = ({ otherGroups = 0 }: Series) => Math.min(otherGroups, 1);
  return [...series.values()].sort((a, b) => rank(a) - rank(b) || b.total - a.total || (a.group < b.group ? -1 : 1));
}

function groupKey(group: string | null, groupBy: VolumeGroup | undefined): string {
  if (groupBy === undefined) return "all";
  return groupBy === "severity_text" ? (group ?? "").toUpperCase() : (group ?? "");
}
