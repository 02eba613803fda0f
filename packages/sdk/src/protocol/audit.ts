import type { Id, Timestamp } from "./resources.ts";

/** Who did it. `system` is the service itself: the first start, a retention job. */
export type Actor =
  | { readonly kind: "key"; readonly id: Id; readonly name: string }
  | { readonly kind: "system"; readonly name: string };

export interface AuditTarget {
  readonly kind: "secret_key" | "public_key" | "project" | "organization" | "query";
  readonly id: Id;
  readonly name: string;
}

const keyActions = [
  "created",
  "imported",
  "updated",
  "revoked",
  "rotated",
  "rotation_shortened",
  "rotation_finished",
  "rotation_cancelled",
] as const;

type KeyAction = `${"secret" | "public"}_key.${(typeof keyActions)[number]}`;

/** All actions that are on record: noun and what happened to it. */
export const auditActions = [
  "organization.created",
  "project.created",
  "project.renamed",
  "project.retention_set",
  ...keyActions.map((what): KeyAction => `secret_key.${what}`),
  "secret_key.reported",
  ...keyActions.map((what): KeyAction => `public_key.${what}`),
  "public_key.revealed",
  "query.created",
  "query.updated",
  "query.deleted",
] as const;

export type AuditAction = (typeof auditActions)[number];

/** One thing that was done. Never holds a secret. */
export interface AuditEvent {
  readonly id: Id;
  /** From 1, without a gap, per organization. */
  readonly seq: number;
  readonly organizationId: Id;
  readonly at: Timestamp;
  readonly actor: Actor;
  /** One of `auditActions`, or of those of a newer service: `secret_key.created`, `project.renamed`. */
  readonly action: string;
  readonly target: AuditTarget;
  readonly details: Readonly<Record<string, unknown>>;
  readonly address: string | null;
  readonly requestId: string | null;
  /** Hexadecimal SHA-256 of the event before; zeros for the first. */
  readonly previousHash: string;
  /** Hexadecimal SHA-256 of `auditText` of this event. */
  readonly hash: string;
}

/** Which events; all filters must hold. */
export interface AuditListRequest {
  readonly action?: string;
  readonly actorId?: Id;
  readonly targetId?: Id;
  /** Included. */
  readonly from?: Timestamp;
  /** Excluded. */
  readonly to?: Timestamp;
  /** 1 to 1000, default 50. */
  readonly limit?: number;
  readonly cursor?: string;
}

/** The latest event of an organization. */
export interface AuditHead {
  readonly seq: number;
  readonly hash: string;
}

export const firstPreviousHash = "0".repeat(64);

/**
 * What an event's hash is the SHA-256 of (as UTF-8): the previous hash and every member, as JSON with the members of each
 * object in alphabetical order. Whoever has the events can verify them; changing one breaks every hash after it.
 */
export function auditText(event: Omit<AuditEvent, "hash">): string {
  const { id, seq, organizationId, at, actor, action, target, details, address, requestId, previousHash } = event;
  return canonicalJson({
    id,
    seq,
    organizationId,
    at,
    actor,
    action,
    target,
    details,
    address,
    requestId,
    previousHash,
  });
}

function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(",")}]`;
  if (value === null || typeof value !== "object") return JSON.stringify(value) ?? "null";
  const members = Object.entries(value)
    .filter(([, member]) => member !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, member]) => `${JSON.stringify(name)}:${canonicalJson(member)}`);
  return `{${members.join(",")}}`;
}
