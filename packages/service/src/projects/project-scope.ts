import type { SecretCaller } from "../auth/caller.ts";
import type { Queryable } from "../db/database.ts";
import { ApiError } from "../errors.ts";
import { listProjects, type NumberedProject } from "./store.ts";

/** The projects a request is about: the one it names, or all that its key can see. */
export async function readProjects(
  db: Queryable,
  caller: SecretCaller,
  projectId: string | undefined,
): Promise<readonly NumberedProject[]> {
  const visible = await listProjects(db, caller);
  if (projectId === undefined) return visible;
  const named = visible.filter(({ id }) => id === projectId.toLowerCase());
  if (named.length === 0) throw new ApiError("NOT_FOUND", "No such project.");
  return named;
}

/** The one project a request is about. Where the key can see several, the request has to name it. */
export async function readProject(
  db: Queryable,
  caller: SecretCaller,
  projectId: string | undefined,
): Promise<NumberedProject> {
  const projects = await readProjects(db, caller, projectId);
  const only = projects[0];
  if (only && projects.length === 1) return only;
  throw new ApiError(
    "VALIDATION_ERROR",
    `projectId: this key can see ${projects.length} projects; say which one is meant.`,
    { missingContext: ["projectId"], issues: [{ path: "projectId", message: "is required" }] },
  );
}
