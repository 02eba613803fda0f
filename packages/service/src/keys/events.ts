import type { AuditAction, KeyKind, PublicKey, SecretKey } from "@sazabi/sdk/protocol";
import type { NewAuditEvent } from "../audit/store.ts";
import type { RevokedKey } from "./store/keys.ts";

/*
 * What goes on record about keys. `masked` says which secret was meant to whoever holds it, and nothing to others.
 */

type AnyKey = SecretKey | PublicKey;

export function keyCreated(key: AnyKey): NewAuditEvent {
  const { masked, expiresAt, projectId, allowedAddresses, requestsPerMinute } = key;
  const reach = "scopes" in key ? { scopes: key.scopes } : { allowedOrigins: key.allowedOrigins };
  const details = { masked, expiresAt, projectId, allowedAddresses, requestsPerMinute, ...reach };
  return { ...event(key, "created", details), newTexts: { name: key.name } };
}

export function keyImported(key: AnyKey): NewAuditEvent {
  return { ...keyCreated(key), action: `${kindOf(key)}.imported` };
}

type KeyChanges = Readonly<Record<string, unknown>> & { readonly name?: string | undefined };

/** `changes`: the members that were asked to change, as they are now; on record too is what they were before. */
export function keyUpdated(key: AnyKey, before: AnyKey, changes: KeyChanges): NewAuditEvent {
  const previous = Object.entries(before).filter(([member]) => changes[member] !== undefined);
  const details = { ...changes, before: Object.fromEntries(previous) };
  return { ...event(key, "updated", details), newTexts: { name: changes.name } };
}

export function keyRevoked(key: AnyKey | RevokedKey, reason: string | undefined): NewAuditEvent {
  const details = { masked: key.masked, ...(reason !== undefined && { reason }) };
  return { ...event(key, "revoked", details), newTexts: { reason } };
}

export type RotationStep = "rotated" | "rotation_shortened" | "rotation_finished" | "rotation_cancelled";

export function keyRotated(key: AnyKey, step: RotationStep): NewAuditEvent {
  const previous = key.rotation && {
    previousMasked: key.rotation.previousMasked,
    previousExpiresAt: key.rotation.previousExpiresAt,
  };
  return event(key, step, { masked: key.masked, ...previous });
}

export function keyRevealed({ id, name, masked }: PublicKey): NewAuditEvent {
  return { action: "public_key.revealed", target: { kind: "public_key", id, name }, details: { masked } };
}

type KeyAction<Action = AuditAction> = Action extends `secret_key.${infer What}` ? What : never;

function event(
  key: AnyKey | RevokedKey,
  what: Exclude<KeyAction, "reported">,
  details: Readonly<Record<string, unknown>>,
): NewAuditEvent {
  const kind = kindOf(key);
  return { action: `${kind}.${what}`, target: { kind, id: key.id, name: key.name }, details };
}

function kindOf(key: AnyKey | RevokedKey): `${KeyKind}_key` {
  if ("kind" in key) return `${key.kind}_key`;
  return "scopes" in key ? "secret_key" : "public_key";
}
