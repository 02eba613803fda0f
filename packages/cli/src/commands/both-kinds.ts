import {
  type Created,
  isMaskOf,
  type KeyFilter,
  type KeyKind,
  type Page,
  type PageRequest,
  type PublicKey,
  parseKey,
  type Revocation,
  type RotateKeyRequest,
  type SazabiAdmin,
  SazabiApiError,
  type SecretKey,
  type UpdateKeyRequest,
} from "@sazabi/sdk";
import { CliError } from "../errors.ts";
import { shownName } from "../output/mask.ts";
import { visible } from "../output/visible.ts";
import type { Session } from "../session.ts";
import { collect } from "./paging.ts";
import { findProjectId, isId } from "./project-option.ts";

export type AnyKey = SecretKey | PublicKey;

export interface ProjectOption {
  readonly project?: string;
}

/** When the key was revoked or deactivated; null while it lives. */
export const endedAt = (key: AnyKey) => ("revokedAt" in key ? key.revokedAt : key.deactivatedAt);

/** A kind of key, as the commands need it: the same for both. */
export interface Keys {
  readonly kind: KeyKind;
  list(page: PageRequest & KeyFilter): Promise<Page<AnyKey>>;
  get(id: string): Promise<AnyKey>;
  update(id: string, change: UpdateKeyRequest, options: { readonly force?: boolean }): Promise<AnyKey>;
  revoke(id: string, how: Revocation): Promise<unknown>;
  rotate(id: string, request: RotateKeyRequest, idempotencyKey: string): Promise<Created<AnyKey>>;
  /** The previous secret ends now, or so long from now, or when it ends anyway, whichever comes first. */
  finishRotation(id: string, graceSeconds: number | undefined): Promise<AnyKey>;
  cancelRotation(id: string): Promise<AnyKey>;
}

export function keysOf(session: Session, admin: SazabiAdmin, kind: KeyKind, options: ProjectOption): Keys {
  const { signal } = session.context;
  const { secretKeys, publicKeys } = admin;
  const project = () => inProject(session, admin, options);
  const keys: Omit<Keys, "kind"> =
    kind === "secret"
      ? {
          list: (page) => secretKeys.list(page, { signal }),
          get: (id) => secretKeys.get(id, { signal }),
          update: (id, change, { force }) => explainConflict(secretKeys.update(id, change, { force, signal })),
          revoke: (id, how) => explainConflict(secretKeys.revoke(id, { ...how, signal })),
          rotate: (id, request, idempotencyKey) => secretKeys.rotate(id, request, { idempotencyKey, signal }),
          finishRotation: (id, graceSeconds) => secretKeys.finishRotation(id, { graceSeconds, signal }),
          cancelRotation: (id) => secretKeys.cancelRotation(id, { signal }),
        }
      : {
          list: async (page) => publicKeys.list({ ...page, ...(await project()) }, { signal }),
          get: async (id) => publicKeys.get(id, { ...(await project()), signal }),
          update: async (id, change) => publicKeys.update(id, { ...change, ...(await project()) }, { signal }),
          revoke: async (id) => publicKeys.deactivate(id, { ...(await project()), signal }),
          rotate: (id, request, idempotencyKey) => publicKeys.rotate(id, request, { idempotencyKey, signal }),
          finishRotation: (id, graceSeconds) => publicKeys.finishRotation(id, { graceSeconds, signal }),
          cancelRotation: (id) => publicKeys.cancelRotation(id, { signal }),
        };
  return { kind, ...keys };
}

/**
 * The key that `ref` means among all of `kinds`: by id, by name, or by the whole key, for who finds a key where it
 * should not be. A name is looked up in each of them before anything is decided: what
 * follows may not be undone.
 */
export async function findAmong(
  session: Session,
  admin: SazabiAdmin,
  kinds: readonly KeyKind[],
  ref: string,
  options: ProjectOption,
): Promise<{ readonly keys: Keys; readonly key: AnyKey }> {
  const each = kinds.map((kind) => keysOf(session, admin, kind, options));
  return isId(ref) ? getAmong(each, ref) : findNamed(session, admin, each, ref);
}

/** An id is of one key only, so the first that has it is the one. */
async function getAmong(each: readonly Keys[], id: string) {
  const [only] = each;
  if (only && each.length === 1) return { keys: only, key: await only.get(id) };
  for (const keys of each) {
    try {
      return { keys, key: await keys.get(id) };
    } catch (error) {
      if (!(error instanceof SazabiApiError) || error.status !== 404) throw error;
    }
  }
  throw new CliError(`There is no key ${id}.`, { code: "NOT_FOUND", exit: "notFound" });
}

async function findNamed(session: Session, admin: SazabiAdmin, each: readonly Keys[], ref: string) {
  const whole = parseKey(ref);
  const named: { readonly keys: Keys; readonly key: AnyKey }[] = [];
  for (const keys of each) {
    if (whole && whole.kind !== keys.kind) continue;
    const found = await withEveryProject(session, admin, [keys], async (lists) =>
      (await Promise.all(lists.map(({ list }) => keysCalled(ref, list)))).flat(),
    );
    for (const key of found) named.push({ keys, key });
  }
  const [only] = named;
  const what = each.length === 1 ? `${each[0]?.kind} key` : "key";
  if (!only) throw noneCalled(ref, what);
  if (named.length > 1) {
    throw severalCalled(
      ref,
      `${what}s`,
      named.map(({ keys, key }) => `${key.id} (${keys.kind} key ${key.masked})`),
    );
  }
  return { keys: only.keys, key: await only.keys.get(only.key.id) };
}

/** A list of keys, of a kind and perhaps of a project. */
export type KeyLists = Pick<Keys, "kind" | "list">;

/** Runs `work`; when the service wants to know which project's public keys, again with those of every project. */
export async function withEveryProject<T>(
  session: Session,
  admin: SazabiAdmin,
  each: readonly KeyLists[],
  work: (lists: readonly KeyLists[]) => Promise<T>,
): Promise<T> {
  try {
    return await work(each);
  } catch (error) {
    if (!(error instanceof SazabiApiError) || !error.missingContext.includes("projectId")) throw error;
  }
  const projects = await admin.projects.list({ signal: session.context.signal });
  const ofProjects = (kind: KeyKind) => projects.map(({ id }) => keysOf(session, admin, kind, { project: id }));
  return work(each.flatMap((one) => (one.kind === "public" ? ofProjects(one.kind) : [one])));
}

export async function inProject(session: Session, admin: SazabiAdmin, { project }: ProjectOption) {
  const projectId = await findProjectId(session, admin, project);
  return projectId === undefined ? {} : { projectId };
}

/** Of what takes rights from keys: the last one that can administer the organization needs `--force`. */
export async function explainConflict<T>(change: Promise<T>): Promise<T> {
  try {
    return await change;
  } catch (error) {
    if (!(error instanceof SazabiApiError) || error.status !== 409) throw error;
    // The service speaks of the request; here there is an option for it.
    const message = error.message.replaceAll("?force=true", "--force");
    const hint = message === error.message ? "--force does it all the same." : undefined;
    throw new CliError(message, { code: error.code, hint, cause: error });
  }
}

/** The live keys with this name; for a whole key, those that it can be. */
async function keysCalled(ref: string, list: Keys["list"]): Promise<readonly AnyKey[]> {
  const whole = parseKey(ref);
  const { items } = await collect({ all: true, limit: 0 }, list);
  const isMeant = (key: AnyKey) =>
    (!whole && key.name === ref) ||
    [key.masked, key.rotation?.previousMasked].some((masked) => masked !== undefined && isMaskOf(masked, ref));
  return items.filter((key) => isMeant(key) && !endedAt(key));
}

function noneCalled(ref: string, what: string): CliError {
  return new CliError(`There is no live ${what} called ${visible(shownName(ref))}.`, {
    code: "NOT_FOUND",
    exit: "notFound",
    hint: "`sazabi keys list` shows those there are.",
  });
}

function severalCalled(ref: string, what: string, which: readonly string[]): CliError {
  return new CliError(`Several ${what} are called ${visible(shownName(ref))}.`, {
    code: "AMBIGUOUS",
    exit: "usage",
    hint: `Use the id: ${which.join(", ")}.`,
  });
}
