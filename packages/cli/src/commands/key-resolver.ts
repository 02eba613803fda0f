import {
  type Created,
  type IdentifiedKey,
  type KeyFilter,
  type KeyKind,
  maskKey,
  mayBeImportedKey,
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
  readonly project?: string | undefined;
}

/** Returns when the key was revoked or deactivated, or null if it is live. */
export const endedAt = (key: AnyKey) => ("revokedAt" in key ? key.revokedAt : key.deactivatedAt);

/** The operations on one kind of key. Secret and public keys have the same interface. */
export interface Keys {
  readonly kind: KeyKind;
  list(page: PageRequest & KeyFilter): Promise<Page<AnyKey>>;
  get(id: string): Promise<AnyKey>;
  update(id: string, change: UpdateKeyRequest, options: { readonly force?: boolean }): Promise<AnyKey>;
  revoke(id: string, how: Revocation): Promise<unknown>;
  rotate(id: string, request: RotateKeyRequest, idempotencyKey: string): Promise<Created<AnyKey>>;
  /** Ends the previous secret now, or after `graceSeconds`. Its present expiry is never extended. */
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
          update: (id, change, { force }) => orNameForceOption(secretKeys.update(id, change, { force, signal })),
          revoke: (id, how) => orNameForceOption(secretKeys.revoke(id, { ...how, signal })),
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

export interface FoundKey {
  readonly keys: Keys;
  readonly key: AnyKey;
}

/**
 * Finds a key by id, by name, or by the key itself, among all of `kinds`. A name is looked up in every kind, so that an
 * irreversible command never acts on an ambiguous name. A key's text is resolved by the service, because several keys
 * can have the same masked form.
 */
export async function findAmong(
  session: Session,
  admin: SazabiAdmin,
  kinds: readonly KeyKind[],
  ref: string,
  options: ProjectOption,
): Promise<FoundKey> {
  const each = kinds.map((kind) => keysOf(session, admin, kind, options));
  if (isId(ref)) return getAmong(each, ref);
  if (parseKey(ref)) return findByText(session, admin, kinds, ref, options);
  const named = await findNamed(session, admin, each, ref);
  if (named) return named;
  if (mayBeImportedKey(ref)) return findByText(session, admin, kinds, ref, options);
  throw noneCalled(ref, nounOf(kinds));
}

const nounOf = (kinds: readonly KeyKind[]) => (kinds.length === 1 ? `${kinds[0]} key` : "key");

async function findByText(
  session: Session,
  admin: SazabiAdmin,
  kinds: readonly KeyKind[],
  text: string,
  options: ProjectOption,
): Promise<FoundKey> {
  const identified = await identify(session, admin, text);
  if (!identified) throw noneCalled(text, nounOf(kinds));
  const { keyId, kind, projectId, secret } = identified;
  if (!kinds.includes(kind)) {
    throw new CliError(`${maskKey(text)} is not a ${nounOf(kinds)}: it is a ${kind} key (${keyId}).`, {
      code: "NOT_FOUND",
      exit: "notFound",
    });
  }
  if (secret === "replaced") {
    throw new CliError(`${maskKey(text)} does not work any more: it was replaced when its key was rotated.`, {
      code: "CONFLICT",
      hint: `The key has another secret now. To use its id: ${keyId}.`,
    });
  }
  const keys = keysOf(session, admin, kind, options.project ? options : { project: projectId ?? undefined });
  return { keys, key: await keys.get(keyId) };
}

/** Returns undefined if no key of the organization has this text. */
async function identify(session: Session, admin: SazabiAdmin, text: string): Promise<IdentifiedKey | undefined> {
  try {
    return await admin.keys.identify(text, { signal: session.context.signal });
  } catch (error) {
    if (error instanceof SazabiApiError && error.status === 404) return undefined;
    throw error;
  }
}

/** Ids are unique across kinds, so the first match is the key. */
async function getAmong(each: readonly Keys[], id: string): Promise<FoundKey> {
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

async function findNamed(
  session: Session,
  admin: SazabiAdmin,
  each: readonly Keys[],
  ref: string,
): Promise<FoundKey | undefined> {
  const named: FoundKey[] = [];
  for (const keys of each) {
    const found = await withEveryProject(session, admin, [keys], async (lists) =>
      (await Promise.all(lists.map(({ list }) => liveKeysCalled(ref, list)))).flat(),
    );
    for (const key of found) named.push({ keys, key });
  }
  const [only] = named;
  if (!only) return undefined;
  if (named.length > 1) {
    throw severalCalled(
      ref,
      `${nounOf(each.map(({ kind }) => kind))}s`,
      named.map(({ keys, key }) => `${key.id} (${keys.kind} key ${visible(key.masked)})`),
    );
  }
  return { keys: only.keys, key: await only.keys.get(only.key.id) };
}

/** Lists the keys of one kind, optionally of one project. */
export type KeyLists = Pick<Keys, "kind" | "list">;

/** Runs `work`. If the service requires a project for public keys, runs it again for every project. */
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

/** Replaces `?force=true` by `--force` in the error about the organization's last admin key. */
export async function orNameForceOption<T>(change: Promise<T>): Promise<T> {
  try {
    return await change;
  } catch (error) {
    if (!(error instanceof SazabiApiError) || error.status !== 409) throw error;
    // The service's message names a query parameter; the command line has an option.
    const message = error.message.replaceAll("?force=true", "--force");
    const hint = message === error.message ? "--force does it all the same." : undefined;
    throw new CliError(message, { code: error.code, hint, cause: error });
  }
}

async function liveKeysCalled(name: string, list: Keys["list"]): Promise<readonly AnyKey[]> {
  const { items } = await collect({ all: true, limit: 0 }, list);
  return items.filter((key) => key.name === name && !endedAt(key));
}

function noneCalled(ref: string, what: string): CliError {
  const isKey = parseKey(ref) !== undefined;
  const message = isKey
    ? `No ${what} of this organization is ${maskKey(ref)}.`
    : `There is no live ${what} called ${visible(shownName(ref))}.`;
  return new CliError(message, {
    code: "NOT_FOUND",
    exit: "notFound",
    hint: isKey
      ? "It belongs to another organization or another server, or to a project that the key in use cannot see."
      : "`sazabi keys list` shows all keys.",
  });
}

function severalCalled(ref: string, what: string, which: readonly string[]): CliError {
  return new CliError(`Several ${what} are called ${visible(shownName(ref))}.`, {
    code: "AMBIGUOUS",
    exit: "usage",
    hint: `Use the id: ${which.join(", ")}.`,
  });
}
