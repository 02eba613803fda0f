import {
  type Created,
  type KeyKind,
  maskKey,
  type Page,
  type PageRequest,
  type PublicKey,
  parseKey,
  type Revocation,
  type RotateKeyRequest,
  type SazabiAdmin,
  SazabiApiError,
  type SecretKey,
  type UnusedFilter,
  type UpdateKeyRequest,
} from "@sazabi/sdk";
import { CliError } from "../errors.ts";
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
  list(page: PageRequest & UnusedFilter): Promise<Page<AnyKey>>;
  get(id: string): Promise<AnyKey>;
  update(id: string, change: UpdateKeyRequest): Promise<AnyKey>;
  revoke(id: string, how: Revocation): Promise<unknown>;
  rotate(id: string, request: RotateKeyRequest, idempotencyKey: string): Promise<Created<AnyKey>>;
  finishRotation(id: string): Promise<AnyKey>;
  cancelRotation(id: string): Promise<AnyKey>;
  /** The id of the live key with this id or name. */
  find(ref: string): Promise<string>;
}

export function keysOf(session: Session, admin: SazabiAdmin, kind: KeyKind, options: ProjectOption): Keys {
  const { signal } = session.context;
  const { secretKeys, publicKeys } = admin;
  const project = () => inProject(session, admin, options);
  const keys: Omit<Keys, "find" | "kind"> =
    kind === "secret"
      ? {
          list: (page) => secretKeys.list(page, { signal }),
          get: (id) => secretKeys.get(id, { signal }),
          update: (id, change) => secretKeys.update(id, change, { signal }),
          revoke: (id, how) => explainConflict(secretKeys.revoke(id, { ...how, signal })),
          rotate: (id, request, idempotencyKey) => secretKeys.rotate(id, request, { idempotencyKey, signal }),
          finishRotation: (id) => secretKeys.finishRotation(id, { signal }),
          cancelRotation: (id) => secretKeys.cancelRotation(id, { signal }),
        }
      : {
          list: async (page) => publicKeys.list({ ...page, ...(await project()) }, { signal }),
          get: async (id) => publicKeys.get(id, { ...(await project()), signal }),
          update: async (id, change) => publicKeys.update(id, { ...change, ...(await project()) }, { signal }),
          revoke: async (id) => publicKeys.deactivate(id, { ...(await project()), signal }),
          rotate: (id, request, idempotencyKey) => publicKeys.rotate(id, request, { idempotencyKey, signal }),
          finishRotation: (id) => publicKeys.finishRotation(id, { signal }),
          cancelRotation: (id) => publicKeys.cancelRotation(id, { signal }),
        };
  return { kind, ...keys, find: (ref) => findId(ref, kind, keys.list) };
}

/** Looks for the key among each of `kinds` in turn. */
export async function findAmong(
  session: Session,
  admin: SazabiAdmin,
  kinds: readonly KeyKind[],
  ref: string,
  options: ProjectOption,
): Promise<{ readonly keys: Keys; readonly key: AnyKey }> {
  let missing: unknown;
  for (const kind of kinds) {
    const keys = keysOf(session, admin, kind, options);
    try {
      return { keys, key: await keys.get(await keys.find(ref)) };
    } catch (error) {
      if (!isNotFound(error)) throw error;
      missing = error;
    }
  }
  throw missing;
}

function isNotFound(error: unknown): boolean {
  if (error instanceof CliError) return error.exit === "notFound";
  return error instanceof SazabiApiError && error.status === 404;
}

export async function inProject(session: Session, admin: SazabiAdmin, { project }: ProjectOption) {
  const projectId = await findProjectId(session, admin, project);
  return projectId === undefined ? {} : { projectId };
}

async function explainConflict<T>(revocation: Promise<T>): Promise<T> {
  try {
    return await revocation;
  } catch (error) {
    if (!(error instanceof SazabiApiError) || error.status !== 409) throw error;
    throw new CliError(error.message, { code: error.code, hint: "--force revokes it all the same.", cause: error });
  }
}

/** By id, by name, or by the whole key: who finds a key where it should not be can revoke it without looking it up. */
async function findId(ref: string, kind: KeyKind, list: Keys["list"]): Promise<string> {
  if (isId(ref)) return ref;
  const whole = parseKey(ref);
  const { items } = await collect({ all: true, limit: 0 }, list);
  const isMeant = (key: AnyKey) =>
    whole ? [key.masked, key.rotation?.previousMasked].includes(maskKey(ref)) : key.name === ref;
  const named = items.filter((key) => isMeant(key) && !endedAt(key));
  const [only] = named;
  if (only && named.length === 1) return only.id;
  if (!only) {
    throw new CliError(`There is no live ${kind} key called ${visible(ref)}.`, { code: "NOT_FOUND", exit: "notFound" });
  }
  throw new CliError(`Several ${kind} keys are called ${visible(ref)}.`, {
    code: "AMBIGUOUS",
    exit: "usage",
    hint: `Use the id: ${named.map((key) => `${key.id} (${key.masked})`).join(", ")}.`,
  });
}
