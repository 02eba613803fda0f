import type { SazabiAdmin } from "@sazabi/sdk";
import { CliError } from "../errors.ts";
import { maskImported } from "../output/mask.ts";
import { visible } from "../output/visible.ts";
import type { Session } from "../session.ts";

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

export function isId(text: string): boolean {
  return uuid.test(text);
}

/**
 * Returns the id of the project set by flag, environment or profile. If none is set, returns undefined and the service
 * chooses.
 */
export async function findProjectId(
  session: Session,
  admin: SazabiAdmin,
  flag: string | undefined,
): Promise<string | undefined> {
  const named = session.project(flag);
  session.projectInUse = named;
  return named && requireProjectId(session, admin, named.value, named.source);
}

/** Describes the project in use, or returns an empty string if none is set. */
export function formatProject({ projectInUse }: Session): string {
  if (!projectInUse) return "";
  const { value, source } = projectInUse;
  return `, in project ${visible(value)}${source === "--project" ? "" : ` (${source})`}`;
}

/** Returns the id of a project given by id or name. */
export async function requireProjectId(
  session: Session,
  admin: SazabiAdmin,
  idOrName: string,
  source: string,
): Promise<string> {
  if (isId(idOrName)) return idOrName;
  const projects = await admin.projects.list({ signal: session.context.signal });
  const named = projects.filter(({ name }) => name === idOrName);
  const [only] = named;
  if (only && named.length === 1) return only.id;
  const known = projects.map(({ name }) => name).join(", ");
  if (!only) maskImported(idOrName);
  const problem = only ? "Several projects are" : "No project is";
  throw new CliError(`${problem} called ${visible(idOrName)} (${source}).`, {
    code: only ? "AMBIGUOUS" : "NOT_FOUND",
    exit: only ? "usage" : "notFound",
    hint: only ? "Use its id: `sazabi projects list`." : `There are: ${visible(known)}.`,
  });
}
