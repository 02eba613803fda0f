import type { KeyKind, SazabiAdmin } from "@sazabi/sdk";
import { visible } from "../output/visible.ts";
import type { Session } from "../session.ts";
import { type AnyKey, endedAt, keysOf, type ProjectOption } from "./key-resolver.ts";
import { collect } from "./paging.ts";

/** The newest, in one request: the remark is not worth more. */
const keysLookedAt = 100;

/** Says when another live key has the name of a new one: a command that is given the name cannot tell them apart. */
export async function sayWhenNameIsTaken(
  session: Session,
  admin: SazabiAdmin,
  kind: KeyKind,
  { id, name, project }: Pick<AnyKey, "id" | "name"> & ProjectOption,
): Promise<void> {
  if (session.flags.quiet) return;
  const { list } = keysOf(session, admin, kind, { project });
  // The key may be allowed to make keys and not to list them.
  const page = await collect({ limit: keysLookedAt }, (one) => list(one)).catch(() => undefined);
  const other = page?.items.find((key) => key.name === name && key.id !== id && endedAt(key) === null);
  if (!other) return;
  const ids = `${visible(other.id)} and ${visible(id)}`;
  session.say(`Another live ${kind} key is called "${visible(name)}". Commands tell them apart by id: ${ids}.`);
}
