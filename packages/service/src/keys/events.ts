import type { PublicKey, SecretKey } from "@sazabi/sdk/protocol";
import type { NewAuditEvent } from "../audit/store.ts";
import type { RevokedKey } from "./store/keys.ts";

/* Audit events about keys. `masked` identifies a secret to its holder, and reveals nothing to others. */

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

/** `changes`: the members in the request, with their new values. The event also records their previous values. */
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

/** Events of keys of either kind. */
type What = "created" | "updated" | "revoked" | RotationStep;

function event(key: AnyKey | RevokedKey, what: What, details: Readonly<Record<string, unknown>>): NewAuditEvent {
  const kind = kindOf(key);
  return { action: `${kind}.${what}`, target: { kind, id: key.id, name: key.name }, details };
}

function kindOf(key: AnyKey | RevokedKey): "secret_key" | "public_key" {
  if ("kind" in key) return `${key.kind}_key`;
  return "scopes" in key ? "secret_key" : "public_key";
}
