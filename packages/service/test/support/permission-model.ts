import type { ErrorReason, KeyKind } from "@sazabi/sdk/protocol";

/** Who may do what, as docs/api.md says it, and nothing of how the service finds out. */
export interface ModelKey {
  readonly id: string;
  readonly kind: KeyKind;
  readonly organization: { readonly id: string; disabled: boolean; readonly projects: readonly string[] };
  readonly project: string | undefined;
  scopes: readonly string[];
  revoked: boolean;
  expired: boolean;
}

/** One of the secrets of a key; without a key, one that nobody made. */
export interface ModelSecret {
  readonly value: string;
  readonly key?: ModelKey;
  dead: boolean;
}

export type Operation =
  | { readonly does: "describe itself" }
  | { readonly does: "send a log" }
  | { readonly does: "read the audit" }
  | { readonly does: "read a project"; readonly project: string }
  | { readonly does: "read a key"; readonly key: ModelKey }
  | { readonly does: "make a key"; readonly scopes: readonly string[]; readonly project: string | undefined };

export interface Verdict {
  readonly status: number;
  readonly reason?: ErrorReason;
}

const needs = {
  "read the audit": "read:audit",
  "read a project": "read:projects",
  "read a key": "read:keys",
  "make a key": "write:keys",
} as const;

export function verdictOf({ value, key, dead }: ModelSecret, operation: Operation): Verdict {
  const kind = value.startsWith("sk_") ? "secret" : "public";
  if (kind !== (operation.does === "send a log" ? "public" : "secret"))
    return { status: 403, reason: "wrong_key_type" };
  if (!key) return { status: 401, reason: "invalid_api_key" };
  if (key.revoked || key.organization.disabled) return { status: 401, reason: "revoked_api_key" };
  if (key.expired) return { status: 401, reason: "expired_api_key" };
  if (dead) return { status: 401, reason: "revoked_api_key" };
  if (operation.does === "send a log") return { status: 202 };
  if (operation.does === "describe itself") return { status: 200 };
  const has = (scope: string) => key.scopes.includes("*") || key.scopes.includes(scope);
  if (!has(needs[operation.does])) return { status: 403, reason: "missing_scope" };
  const sees = (project: string | undefined) => key.project === undefined || key.project === project;
  switch (operation.does) {
    case "read the audit":
      return key.project === undefined ? { status: 200 } : { status: 403, reason: "project_mismatch" };
    case "read a project":
      return { status: key.organization.projects.includes(operation.project) && sees(operation.project) ? 200 : 404 };
    case "read a key": {
      const { kind, organization, project } = operation.key;
      return { status: kind === "secret" && organization === key.organization && sees(project) ? 200 : 404 };
    }
    case "make a key": {
      const project = operation.project ?? key.project;
      if (project && !(key.organization.projects.includes(project) && sees(project))) return { status: 404 };
      return operation.scopes.every((scope) => has(scope)) ? { status: 201 } : { status: 403, reason: "missing_scope" };
    }
  }
}
