import { hasScope, type KeyKind, type Scope } from "@sazabi/sdk/protocol";
import { ApiError } from "../errors.ts";
import { clientAddress, type HttpContext, header, requestId } from "../http/context.ts";
import { readCredential } from "../http/credential.ts";
import type { AuditSource } from "../store/audit.ts";
import type { KeyRecord } from "../store/keys.ts";
import type { KeyDirectory } from "./key-directory.ts";
import type { KeyUses } from "./key-uses.ts";
import type { RateLimiter, RateLimitState } from "./rate-limit.ts";

/** Who sent a request with a secret key. */
export interface SecretCaller {
  readonly keyId: string;
  readonly keyName: string;
  readonly organizationId: string;
  /** The one project the key is narrowed to. */
  readonly projectId: string | undefined;
  readonly scopes: readonly string[];
}

/** Who sent a request with a public key. It has no organization-wide members: nothing but its project can be named. */
export interface PublicCaller {
  readonly keyId: string;
  readonly projectId: string;
  readonly projectNumber: number;
}

export interface Authentication {
  readonly keys: KeyDirectory;
  readonly uses: KeyUses;
  readonly limiter: RateLimiter;
  /** Requests a minute for a key without a limit of its own. */
  readonly requestsPerMinute: number;
}

type SecretHandler = (c: HttpContext, caller: SecretCaller) => Response | Promise<Response>;
type PublicHandler = (c: HttpContext, caller: PublicCaller) => Response | Promise<Response>;

/**
 * Makes the two kinds of guarded handler. The guard runs inside the handler, not as a middleware: a layer of
 * middleware costs more than the check itself. A handler that asks for a secret key cannot be written without one.
 */
export function guards(auth: Authentication) {
  return {
    /** A handler for secret keys that have `scope`; of any scope when that is undefined. */
    secretKey: (operationId: string, scope: Scope | undefined, handle: SecretHandler) => (c: HttpContext) =>
      guarded(auth, c, operationId, "secret", (record) => {
        admit(auth, c, record, scope);
        return handle(c, secretCaller(record));
      }),

    /** A handler for public keys. Intake is bounded by bytes, not by requests. */
    publicKey: (operationId: string, handle: PublicHandler) => (c: HttpContext) =>
      guarded(auth, c, operationId, "public", (record) => {
        const caller = { keyId: record.id, projectId: record.projectId, projectNumber: record.projectNumber };
        auth.uses.record(record, true, clientAddress(c), header(c, "user-agent"));
        return handle(c, caller as PublicCaller);
      }),
  };
}

export type Guards = ReturnType<typeof guards>;

/** Under whose name a caller's changes go on record. */
export function auditSource(c: HttpContext, { organizationId, keyId, keyName }: SecretCaller): AuditSource {
  return {
    organizationId,
    actor: { kind: "key", id: keyId, name: keyName },
    address: clientAddress(c),
    requestId: requestId(c),
  };
}

async function guarded(
  auth: Authentication,
  c: HttpContext,
  operationId: string,
  takes: KeyKind,
  handle: (record: KeyRecord) => Response | Promise<Response>,
): Promise<Response> {
  c.set("operationId", operationId);
  const credential = readCredential(c, takes);
  const found = auth.keys.find(credential.key);
  const record = found instanceof Promise ? await found : found;
  refuseDead(record, takes, auth.keys.now());
  return handle(record);
}

/** What a live key is asked beyond being one. A request that is refused for its scope does not use up the limit. */
function admit(auth: Authentication, c: HttpContext, record: KeyRecord, scope: Scope | undefined): void {
  const recordUse = (accepted: boolean) =>
    auth.uses.record(record, accepted, clientAddress(c), header(c, "user-agent"));
  try {
    if (scope && !hasScope(record.scopes, scope)) {
      throw new ApiError("FORBIDDEN", `This key lacks the scope ${scope}.`, { reason: "missing_scope" });
    }
    limit(c, auth.limiter.take(record.id, record.requestsPerMinute ?? auth.requestsPerMinute));
    recordUse(true);
  } catch (error) {
    recordUse(false);
    throw error;
  }
}

function secretCaller({ id, name, organizationId, projectId, scopes }: KeyRecord): SecretCaller {
  return { keyId: id, keyName: name, organizationId, projectId, scopes };
}

function refuseDead(record: KeyRecord | undefined, kind: KeyKind, nowMs: number): asserts record is KeyRecord {
  if (!record || record.kind !== kind) {
    throw new ApiError("UNAUTHORIZED", "No such API key. It may belong to another server.", {
      reason: "invalid_api_key",
    });
  }
  if (record.revoked) {
    throw new ApiError("UNAUTHORIZED", "This API key was revoked.", { reason: "revoked_api_key" });
  }
  if (record.expiresAtMs !== undefined && record.expiresAtMs <= nowMs) {
    throw new ApiError("UNAUTHORIZED", `This API key expired at ${new Date(record.expiresAtMs).toISOString()}.`, {
      reason: "expired_api_key",
    });
  }
  if (record.retiresAtMs !== undefined && record.retiresAtMs <= nowMs) {
    throw new ApiError(
      "UNAUTHORIZED",
      `This secret was replaced: its key was rotated, and the grace ended at ${new Date(record.retiresAtMs).toISOString()}.`,
      { reason: "revoked_api_key" },
    );
  }
}

function limit(c: HttpContext, state: RateLimitState): void {
  c.header("x-ratelimit-limit", String(state.limit));
  c.header("x-ratelimit-remaining", String(state.remaining));
  c.header("x-ratelimit-reset", String(state.resetAt));
  if (!state.allowed) {
    throw new ApiError(
      "RATE_LIMIT_EXCEEDED",
      `Too many requests. Please retry after ${state.retryAfterSeconds} seconds.`,
      { retryAfterSeconds: state.retryAfterSeconds },
    );
  }
}
