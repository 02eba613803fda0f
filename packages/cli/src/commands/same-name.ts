import type { KeyKind, SazabiAdmin } from "@sazabi/sdk";
import { visible } from "../output/visible.ts";
import type { Session } from "../session.ts";
import { type AnyKey, endedAt, keysOf, type ProjectOption } from "./key-resolver.ts";
import { collect } from "./paging.ts";

/** One page of the newest keys: the note is not worth more requests. */
const keysLookedAt = 100;

/** Warns if another live key has the same name as a new one, because a command cannot select either by that name. */
export async function sayWhenNameIsTaken(
  session: Session,
  admin: SazabiAdmin,
  kind: KeyKind,
  { id, name, project }: Pick<AnyKey, "id" | "name"> & ProjectOption,
): Promise<void> {
  if (session.flags.quiet) return;
  const { list } = keysOf(session, admin, kind, { project });
  // The key in use may be allowed to create keys but not to list them.
  const page = await collect({ limit: keysLookedAt }, (one) => list(one)).catch(() => undefined);
  const other = page?.items.find((key) => key.name === name && key.id !== id && endedAt(key) === null);
  if (!other) return;
  const ids = `${visible(other.id)} and ${visible(id)}`;
  session.say(`Another live ${kind} key is called "${visible(name)}". Commands tell them apart by id: ${ids}.`);
}
