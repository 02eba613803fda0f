import { type AuditTarget, type Project, regions } from "@sazabi/sdk/protocol";
import { Hono } from "hono";
import { z } from "zod";
import type { AppContext } from "../app-context.ts";
import { ApiError, invalidMember } from "../errors.ts";
import type { HttpEnv } from "../http/context.ts";
import { authorOf } from "../http/guards.ts";
import { withIdempotency, withoutSecret } from "../http/idempotency.ts";
import { noPages } from "../http/page.ts";
import { readBody, readId, readQuery } from "../http/request.ts";
import { ok } from "../http/respond.ts";
import { visibleName } from "../http/text-fields.ts";
import { findProject, insertProject, listProjects, type NumberedProject, updateProject } from "./store.ts";

const projectName = visibleName.regex(/^[\p{L}\p{M}\p{N} _-]+$/u, "may hold letters, digits, spaces, _ and -");

const newProject = z.object({
  name: projectName,
  region: z.enum(regions).default("us-west-2"),
  organizationId: z.uuid().optional(),
});
const projectChange = z
  .object({ name: projectName.optional(), retentionDays: z.int().min(1).nullable().optional() })
  .refine(({ name, retentionDays }) => name !== undefined || retentionDays !== undefined, {
    error: "must be given, or retentionDays",
    path: ["name"],
  });
const listQuery = z.object({ organizationId: z.string().optional(), ...noPages });

export const projectRoutes = (services: AppContext) => {
  const { db, change, guards, logRetentionDays } = services;
  const { secretKey } = guards;
  return new Hono<HttpEnv>()
    .get(
      "/",
      secretKey("projects.list", "read:projects", async (c, caller) => {
        refuseOtherOrganization(caller, readQuery(c, listQuery).organizationId);
        return ok(c, { projects: (await listProjects(db, caller)).map(toProject) });
      }),
    )

    .get(
      "/:id",
      secretKey("projects.get", "read:projects", async (c, caller) => {
        const project = await findProject(db, caller, readId(c, "id", "project"));
        if (!project) throw new ApiError("NOT_FOUND", "No such project.");
        return ok(c, { project: toProject(project) });
      }),
    )

    .post(
      "/",
      secretKey("projects.create", "write:projects", async (c, caller) => {
        const { name, region, organizationId } = await readBody(c, newProject);
        refuseOtherOrganization(caller, organizationId);
        if (caller.projectId) {
          throw new ApiError("FORBIDDEN", "This key is narrowed to one project and cannot make others.", {
            reason: "project_mismatch",
          });
        }
        const answer = await change(authorOf(c, caller), (tx) =>
          withIdempotency(c, services, {
            tx,
            caller,
            request: { name, region },
            authorizeReplay: withoutSecret,
            work: async () => {
              const made = await insertProject(tx, { organizationId: caller.organizationId, name, region });
              if (!made) throw taken(name);
              tx.record({
                action: "project.created",
                target: targetOf(made),
                details: { region },
                newTexts: { name: made.name },
              });
              return { project: toProject(made) };
            },
          }),
        );
        return ok(c, answer, 201);
      }),
    )

    .patch(
      "/:id",
      secretKey("projects.update", "write:projects", async (c, caller) => {
        const id = readId(c, "id", "project");
        const wanted = await readBody(c, projectChange);
        const { name, retentionDays } = wanted;
        refuseLongerRetention(retentionDays, logRetentionDays);
        const project = await change(authorOf(c, caller), async (tx) => {
          const updated = await updateProject(tx, caller, id, wanted);
          if (!updated) throw new ApiError("NOT_FOUND", "No such project.");
          if (updated === "taken") throw taken(name as string);
          if (name !== undefined)
            tx.record({ action: "project.renamed", target: targetOf(updated), newTexts: { name } });
          if (retentionDays !== undefined) {
            tx.record({ action: "project.retention_set", target: targetOf(updated), details: { retentionDays } });
          }
          return updated;
        });
        return ok(c, { project: toProject(project) });
      }),
    );
};

function refuseOtherOrganization({ organizationId }: { organizationId: string }, named: string | undefined): void {
  if (named !== undefined && named !== organizationId) throw new ApiError("NOT_FOUND", "No such organization.");
}

function refuseLongerRetention(days: number | null | undefined, serviceDays: number): void {
  if (days === null || days === undefined || days <= serviceDays) return;
  throw invalidMember("retentionDays", `is at most ${serviceDays}: this service keeps logs no longer`);
}

function taken(name: string): ApiError {
  return new ApiError("CONFLICT", `There is a project named "${name}" already.`);
}

function targetOf({ id, name }: Project): AuditTarget {
  return { kind: "project", id, name };
}

function toProject({ number: _, ...project }: NumberedProject): Project {
  return project;
}
