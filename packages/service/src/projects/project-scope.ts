import type { SecretCaller } from "../auth/caller.ts";
import type { Queryable } from "../db/database.ts";
import { ApiError } from "../errors.ts";
import { listProjects, type NumberedProject } from "./store.ts";

/** Returns the project that the request names, or all projects that its key can access. */
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

/** Returns the project of a request. When the key can access several, the request must name one. */
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
