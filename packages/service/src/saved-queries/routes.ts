import {
  type AuditTarget,
  type ExecuteSavedQueryRequest,
  maxLookBackSeconds,
  parseQuery,
  type SavedQuery,
} from "@sazabi/sdk/protocol";
import { Hono } from "hono";
import { z } from "zod";
import type { AppContext } from "../app-context.ts";
import { ApiError } from "../errors.ts";
import type { HttpEnv } from "../http/context.ts";
import { authorOf } from "../http/guards.ts";
import { withIdempotency, withoutSecret } from "../http/idempotency.ts";
import { pageOf, pageQuery } from "../http/page.ts";
import { readBody, readId, readQuery } from "../http/request.ts";
import { noContent, ok, okLarge } from "../http/respond.ts";
import { hasHiddenInLines, hiddenMessage, visibleName } from "../http/text-fields.ts";
import { answerSearch, pagination } from "../logs/query/search-request.ts";
import { windowOfDates } from "../logs/query/window.ts";
import { readProject, readProjects } from "../projects/project-scope.ts";
import { holdsKey } from "../redaction/key-redaction.ts";
import {
  deleteSavedQuery,
  findSavedQuery,
  insertSavedQuery,
  listSavedQueries,
  maxSavedQueries,
  updateSavedQuery,
} from "./store.ts";

const withoutKey = (text: string) => !holdsKey(text);
const keptAndShown = "must not hold a key: saved queries are kept and shown";

const description = z
  .string()
  .max(1000)
  .refine((text) => !hasHiddenInLines(text), hiddenMessage)
  .refine(withoutKey, keptAndShown)
  .nullable();
const query = z
  .string()
  .max(4096)
  .refine((text) => !text.includes("\0"), "must not hold NUL characters")
  .refine(withoutKey, keptAndShown);
const lookBackSeconds = z.number().int().min(1).max(maxLookBackSeconds);

const newQuery = z.strictObject({
  projectId: z.uuid().optional(),
  name: visibleName,
  description: description.default(null),
  query,
  lookBackSeconds: lookBackSeconds.default(86_400),
});
const queryChange = z.strictObject({
  name: visibleName.optional(),
  description: description.optional(),
  query: query.optional(),
  lookBackSeconds: lookBackSeconds.optional(),
});
const listQuery = z.strictObject({ ...pageQuery.shape, projectId: z.uuid().optional() });
const execution = z.strictObject({
  startDate: z.string().max(40).optional(),
  endDate: z.string().max(40).optional(),
  sort: z.strictObject({ direction: z.enum(["asc", "desc"]).optional() }).optional(),
  pagination,
}) satisfies z.ZodType<ExecuteSavedQueryRequest>;

/** Routes of saved queries. A key that may execute them sees their results, even without `read:logs`. */
export const queryRoutes = (services: AppContext) => {
  const { db, change, guards } = services;
  const { secretKey } = guards;
  return new Hono<HttpEnv>()
    .get(
      "/",
      secretKey("queries.list", "read:queries", async (c, caller) => {
        const { projectId, limit, cursor } = readQuery(c, listQuery);
        const projects = await readProjects(db, caller, projectId);
        const found = await listSavedQueries(db, { projectIds: projects.map(({ id }) => id), limit, cursor });
        const { page, nextCursor } = pageOf(found, limit);
        return ok(c, { queries: page, nextCursor });
      }),
    )

    .post(
      "/",
      secretKey("queries.create", "write:queries", async (c, caller) => {
        const wanted = await readBody(c, newQuery);
        const project = await readProject(db, caller, wanted.projectId);
        const request = { ...wanted, projectId: project.id };
        const answer = await change(authorOf(c, caller), (tx) =>
          withIdempotency(c, services, {
            tx,
            caller,
            request,
            authorizeReplay: withoutSecret,
            work: async () => {
              const made = await insertSavedQuery(tx, { ...request, createdBy: caller.keyId });
              if (made === "taken") throw taken(wanted.name);
              if (made === "full") throw full();
              tx.record({
                action: "query.created",
                target: targetOf(made),
                details: detailsOf(made),
                newTexts: textsOf(wanted),
              });
              return { query: made };
            },
          }),
        );
        return ok(c, answer, 201);
      }),
    )

    .get(
      "/:id",
      secretKey("queries.get", "read:queries", async (c, caller) => {
        const found = await findSavedQuery(db, caller, readId(c, "id", thing));
        if (!found) throw noSuchQuery();
        return ok(c, { query: found });
      }),
    )

    .patch(
      "/:id",
      secretKey("queries.update", "write:queries", async (c, caller) => {
        const id = readId(c, "id", thing);
        const wanted = await readBody(c, queryChange);
        const updated = await change(authorOf(c, caller), async (tx) => {
          const after = await updateSavedQuery(tx, caller, id, wanted);
          if (!after) throw noSuchQuery();
          if (after === "taken") throw taken(wanted.name as string);
          tx.record({
            action: "query.updated",
            target: targetOf(after),
            details: detailsOf(after),
            newTexts: textsOf(wanted),
          });
          return after;
        });
        return ok(c, { query: updated });
      }),
    )

    .delete(
      "/:id",
      secretKey("queries.delete", "write:queries", async (c, caller) => {
        const id = readId(c, "id", thing);
        await change(authorOf(c, caller), async (tx) => {
          const deleted = await deleteSavedQuery(tx, caller, id);
          if (!deleted) throw noSuchQuery();
          tx.record({ action: "query.deleted", target: targetOf(deleted), details: detailsOf(deleted) });
        });
        return noContent(c);
      }),
    )

    .post(
      "/:id/execute",
      secretKey("queries.execute", "execute:queries", async (c, caller) => {
        const startedAt = performance.now();
        const id = readId(c, "id", thing);
        const wanted = await readBody(c, execution);
        const saved = await findSavedQuery(db, caller, id);
        if (!saved) throw noSuchQuery();
        const window = windowOfDates(wanted, { nowMs: services.now(), lookBackMs: saved.lookBackSeconds * 1000 });
        const { ast, warnings } = parseQuery(saved.query);
        const result = await answerSearch(c, services, caller, {
          projects: [await readProject(db, caller, saved.projectId)],
          query: ast,
          warnings,
          window,
          direction: wanted.sort?.direction,
          ...wanted.pagination,
          startedAt,
        });
        return okLarge(c, result);
      }),
    );
};

const thing = "saved query";

function noSuchQuery(): ApiError {
  return new ApiError("NOT_FOUND", `No such ${thing}.`);
}

function taken(wanted: string): ApiError {
  return new ApiError("CONFLICT", `The project has a saved query named "${wanted}" already.`);
}

function full(): ApiError {
  return new ApiError(
    "CONFLICT",
    `The project has ${maxSavedQueries} saved queries, as many as it may have. Delete some.`,
  );
}

function targetOf({ id, name: shown }: SavedQuery): AuditTarget {
  return { kind: "query", id, name: shown };
}

/** The audit event includes the text of the query, which may be relevant for an investigation. */
function detailsOf({ projectId, query: text, lookBackSeconds: seconds }: SavedQuery) {
  return { projectId, query: text, lookBackSeconds: seconds };
}

function textsOf({ name, description, query }: z.infer<typeof queryChange>) {
  return { name, description, query };
}
