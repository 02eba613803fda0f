import type { KeyKind } from "@sazabi/sdk";
import type { Session } from "../session.ts";

/** A completion and its description. */
export interface Candidate {
  readonly word: string;
  readonly about: string;
}

/** Values that come from the service or the settings. */
export type LiveKind = "keys" | "secret-keys" | "public-keys" | "projects" | "profiles";

/** Returns names and ids. Lists the newest hundred keys of each kind. */
export async function liveCandidates(
  session: Session,
  kind: LiveKind,
  project?: string,
): Promise<readonly Candidate[]> {
  if (kind === "profiles") {
    const profiles = Object.entries(session.settings.profiles ?? {});
    return profiles.map(([word, { login }]) => ({ word, about: login?.organization.name ?? "not logged in" }));
  }
  if (!(await session.findCredential())) return [];
  if (kind === "projects") return projectCandidates(session);
  const kinds: readonly KeyKind[] =
    kind === "keys" ? ["secret", "public"] : [kind === "secret-keys" ? "secret" : "public"];
  const lists = await Promise.allSettled(kinds.map((one) => keyCandidates(session, one, project)));
  return lists.flatMap((list) => (list.status === "fulfilled" ? list.value : []));
}

async function projectCandidates(session: Session): Promise<readonly Candidate[]> {
  const projects = await (await session.admin()).projects.list({ signal: session.context.signal });
  return projects.flatMap(({ id, name }) => namedAndById(id, name, "project"));
}

async function keyCandidates(session: Session, kind: KeyKind, project?: string): Promise<readonly Candidate[]> {
  const { keysOf } = await import("../commands/key-resolver.ts");
  const keys = keysOf(session, await session.admin(), kind, project === undefined ? {} : { project });
  const { items } = await keys.list({ limit: 100, revoked: false });
  return items.flatMap(({ id, name, masked }) => namedAndById(id, name, `${kind} key ${masked}`));
}

function namedAndById(id: string, name: string, what: string): readonly Candidate[] {
  return [
    { word: name, about: what },
    { word: id, about: `${what} ${name}` },
  ];
}
