import { type LogSchema, type LogSchemaRequest, columns as queryColumns } from "@sazabi/sdk/protocol";
import { Hono } from "hono";
import { z } from "zod";
import type { AppContext } from "../../../app-context.ts";
import type { HttpEnv } from "../../../http/context.ts";
import { readBody } from "../../../http/request.ts";
import { ok } from "../../../http/respond.ts";
import { readProjects } from "../../../projects/project-scope.ts";
import type { LogFields } from "../../log-store.ts";
import { runSearch } from "../run-search.ts";
import { readWindow } from "../window.ts";

const schemaBody = z.strictObject({
  projectId: z.uuid().optional(),
  question: z.string().min(1).max(2000).optional(),
  topK: z.number().int().min(1).max(32).default(8),
}) satisfies z.ZodType<LogSchemaRequest>;

const servicesNamed = 100;

/** What entries of the last day hold, and what of it a question is about. */
export const logSchemaRoutes = ({ db, logs, searches, now, guards: { secretKey } }: AppContext) =>
  new Hono<HttpEnv>().post(
    "/schema",
    secretKey("logs.schema", "read:logs", async (c, caller) => {
      const { projectId, question, topK } = await readBody(c, schemaBody);
      const projects = await readProjects(db, caller, projectId);
      const scope = {
        projectNumbers: projects.map(({ number }) => number),
        query: { kind: "everything" },
        ...readWindow([], now()),
      } as const;
      const [fields, services] = await runSearch(c, searches, caller, async (signal) => [
        await logs.fields({ ...scope, signal }),
        await logs.facet({ ...scope, signal, field: { column: "service" }, limit: servicesNamed }),
      ]);
      const bundles = question === undefined ? [] : bundlesFor(question, fields).slice(0, topK);
      const schema: LogSchema = {
        backend: { id: logs.backend.id, name: logs.backend.name, kind: "native" },
        features: ["tail", "facets", "volume"],
        commands: ["schema", "query", "volume", "patterns", "nativeQuery"],
        queryableFields: ["timestamp", "level", ...queryColumns],
        searchableFields: ["message", "attributes"],
        ...(question !== undefined && { question }),
        selectedBundles: bundles,
        selectedAttributeKeys: [...new Set(bundles.flatMap(({ keys }) => keys))],
        observedServiceNames: services.map(({ value }) => value),
        observedAttributeKeys: fields.attributes.map(({ key }) => key),
        indexStatus: question === undefined ? "skipped" : bundles.length > 0 ? "ready" : "empty",
      };
      return ok(c, schema);
    }),
  );

/** Of a question: each is looked for in every name. */
const wordsLooked = 50;

type Bundle = LogSchema["selectedBundles"][number];

/** A service with its attributes is a bundle. Those come first whose names the question has words of. */
function bundlesFor(question: string, { services, attributes }: LogFields): readonly Bundle[] {
  const words = [...new Set(question.toLowerCase().match(/[\p{L}\p{N}]{3,}/gu) ?? [])].slice(0, wordsLooked);
  const hits = (name: string) => {
    const lower = name.toLowerCase();
    return words.filter((word) => lower.includes(word)).length;
  };
  const ofServices = new Map<string, { keys: string[]; hits: number }>();
  for (const { service } of services) ofServices.set(service, { keys: [], hits: 2 * hits(service) });
  for (const { key, services: having } of attributes) {
    const keyHits = hits(key);
    for (const service of having) {
      const known = ofServices.get(service);
      known?.keys.push(key);
      if (known) known.hits += keyHits;
    }
  }
  return services
    .map(({ service, entries }) => {
      const { keys, hits: score } = ofServices.get(service) ?? { keys: [], hits: 0 };
      return { id: service, service, keys, rowCount: entries, score };
    })
    .sort((a, b) => b.score - a.score || b.rowCount - a.rowCount);
}
