import { hasScope, type KeyKind, parseKey, type Scope } from "@sazabi/sdk/protocol";
import type { AuditSource } from "../audit/store.ts";
import type { PublicCaller, SecretCaller, SelfServiceCaller } from "../auth/caller.ts";
import { escalation } from "../auth/privileges.ts";
import type { FailedAttempts } from "../auth/rate-limit/failed-attempts.ts";
import type { Bucket, RateLimiter, RateLimitState } from "../auth/rate-limit/rate-limit.ts";
import type { CachedKey } from "../auth/verify/cached-key.ts";
import type { DeadKeyUses, DeadReason } from "../auth/verify/dead-key-uses.ts";
import type { KeyVerifier } from "../auth/verify/verifier.ts";
import type { Requester } from "../concurrency/fair-concurrency.ts";
import type { Queryable } from "../db/database.ts";
import { ApiError } from "../errors.ts";
import type { KeyUses, UseVerdict } from "../keys/usage/uses.ts";
import { importedKeyCandidatesOf } from "../redaction/key-redaction.ts";
import type { BodyHolders } from "./body-budget.ts";
import { type Admission, clientAddress, type HttpContext, requestId, setRateLimitHeaders } from "./context.ts";
import { findCredential, malformedKey, missingKey, refuseWrongKind } from "./credential.ts";
import { keyInUrl } from "./request-head.ts";

export interface Authentication {
  readonly keys: KeyVerifier;
  readonly uses: KeyUses;
  readonly failures: FailedAttempts;
  readonly deadKeys: DeadKeyUses;
  readonly limiter: RateLimiter;
  /** Requests per minute of a secret key without its own limit. */
  readonly requestsPerMinute: number;
}

type SecretHandler = (c: HttpContext, caller: SecretCaller) => Response | Promise<Response>;
type OwnHandler = (c: HttpContext, caller: SelfServiceCaller) => Response | Promise<Response>;
type PublicHandler = (c: HttpContext, caller: PublicCaller) => Response | Promise<Response>;
/** Handles a request without a key in its headers: finds a key elsewhere and admits the request, or throws. */
type KeylessHandler = (c: HttpContext, keyless: KeylessRequest) => Response | Promise<Response>;

export interface KeylessRequest {
  /** Throws 429 while the address has too many failures. Call it before reading the body. */
  refuseTooMany(): void;
  /** Counts a failure of the address: its request was read and contained no key. */
  countFailure(): void;
  admit(key: string, handle: PublicHandler): Response | Promise<Response>;
}

/**
 * Creates guarded handlers for each kind of key. The guard runs inside the handler, not as middleware,
 * since a layer of middleware costs more than the check. A handler that needs a secret key cannot be
 * registered without one.
 */
export function guards(auth: Authentication) {
  return {
    /** Returns a handler for secret keys that have `scope`, or any scope when it is undefined. */
    secretKey: (operationId: string, scope: Scope | undefined, handle: SecretHandler) => (c: HttpContext) =>
      guarded(auth, c, operationId, "secret", scope, handle),

    /** As `secretKey`, for a streaming response: the handler calls `assertStillAllowed` before each part. */
    secretKeyStream: (operationId: string, scope: Scope, handle: SecretHandler) => (c: HttpContext) =>
      guarded(auth, c, operationId, "secret", scope, handle, { isStream: true }),

    /**
     * Returns a handler for public keys. Ingestion is limited by bytes, and by requests only for a key
     * with its own limit. `whenKeyless` handles formats in which the body may contain the key.
     */
    publicKey(operationId: string, handle: PublicHandler, whenKeyless?: KeylessHandler) {
      const handlePublic = asPublic(handle);
      const keyless =
        whenKeyless &&
        ((check: Check) =>
          whenKeyless(check.c, {
            refuseTooMany: () => auth.failures.refuseTooMany(check.address),
            countFailure: () => auth.failures.countKeyless(check.address),
            admit(key, handleKey) {
              check.handle = asPublic(handleKey);
              return identify(check, key);
            },
          }));
      return (c: HttpContext) => guarded(auth, c, operationId, "public", undefined, handlePublic, { keyless });
    },

    /** Returns a handler for operations that a key of either kind may do on itself, without a scope. */
    anyKey: (operationId: string, handle: OwnHandler) => (c: HttpContext) =>
      guarded(auth, c, operationId, "any", undefined, handle),
  };
}

export type Guards = ReturnType<typeof guards>;

/** The author of a change: recorded as an audit source, and checked again inside the transaction of the change. */
export interface ChangeAuthor extends AuditSource, Requester {
  /**
   * Throws 401 or 403 when the key of the caller was revoked, expired, rotated or restricted since the
   * request was admitted. Reads the key through `tx`, or from the cache under the lease without it.
   */
  assertStillAllowed(tx?: Queryable): void | Promise<void>;
}

/** Returns the caller as the author of changes. Call it only in a guarded handler. */
export function authorOf(c: HttpContext, caller: Omit<SelfServiceCaller, "kind">): ChangeAuthor {
  const { organizationId, projectId, keyId, keyName } = caller;
  const { admission } = c.env;
  if (!admission) throw new Error("The request did not pass a guard.");
  return {
    organizationId,
    projectId,
    keyId,
    actor: { kind: "key", id: keyId, name: keyName },
    address: clientAddress(c),
    requestId: requestId(c),
    assertStillAllowed: (tx) => admission.assertStillAllowed(tx),
  };
}

/** Checks an admitted request again. Returns a promise only when the key is not cached. */
export function assertStillAllowed(c: HttpContext): void | Promise<void> {
  return c.env.admission?.assertStillAllowed();
}

type Handle = (c: HttpContext, key: CachedKey) => Response | Promise<Response>;

/** The state needed to check a request, at its start and again later. */
class Check implements Admission {
  /** The credential. */
  text = "";
  /** The key as the handler received it. */
  admitted: CachedKey | undefined;

  constructor(
    readonly auth: Authentication,
    readonly c: HttpContext,
    readonly takes: KeyKind | "any",
    readonly scope: Scope | undefined,
    readonly address: string,
    public handle: Handle,
    readonly isStream: boolean,
  ) {}

  assertStillAllowed(tx?: Queryable): void | Promise<void> {
    const { keys } = this.auth;
    const found = tx ? keys.findIn(tx, this.text) : keys.find(this.text, this.address);
    return found instanceof Promise ? found.then((key) => this.#judgeAgain(key)) : this.#judgeAgain(found);
  }

  get holders(): BodyHolders {
    const { organizationId, projectId, keyId } = this.admitted as CachedKey;
    return [organizationId, projectId ?? "", keyId];
  }

  /** True for a request that changes nothing: its response can still be replaced with an error. */
  get isRead(): boolean {
    return this.c.req.method === "GET" || (this.scope !== undefined && !this.scope.startsWith("write:"));
  }

  #judgeAgain(key: CachedKey | undefined): void {
    refuseDead(this, key, this.auth.keys.now());
    const refusal = requestRefusal(this, key) ?? narrowedRefusal(key, this.admitted);
    if (refusal) throw refusal;
  }
}

interface GuardOptions {
  readonly keyless?: ((check: Check) => Response | Promise<Response>) | undefined;
  readonly isStream?: boolean;
}

const noOptions: GuardOptions = {};

/** Runs synchronously when the key is cached, since a promise per request costs more than the check. */
function guarded(
  auth: Authentication,
  c: HttpContext,
  operationId: string,
  takes: KeyKind | "any",
  scope: Scope | undefined,
  handle: Handle,
  { keyless, isStream = false }: GuardOptions = noOptions,
): Response | Promise<Response> {
  c.env.operationId = operationId;
  const check = new Check(auth, c, takes, scope, clientAddress(c), handle, isStream);
  const text = findCredential(c, takes);
  if (text !== undefined) return identify(check, text);
  if (keyless) return keyless(check);
  throw missingKey(takes);
}

function identify(check: Check, text: string): Response | Promise<Response> {
  const { keys } = check.auth;
  check.text = text;
  // Reading the clock costs as much as a cache look-up, so it is read once where nothing is awaited.
  const monotonic = keys.monotonic();
  const known = keys.known(text, monotonic);
  return known ? admit(check, known, keys.now(monotonic)) : lookUp(check, text);
}

/** Looks up a text that is not cached. A malformed key causes no I/O, but counts as a failure of its sender. */
async function lookUp(check: Check, text: string): Promise<Response> {
  const { auth, takes, address } = check;
  const parsed = parseKey(text);
  if (parsed) {
    refuseWrongKind(takes, parsed.kind);
  } else if (!(await auth.keys.mayBeImported(text))) {
    auth.failures.countMalformed(address);
    throw malformedKey();
  }
  const key = await auth.keys.find(text, address);
  return admit(check, key, auth.keys.now());
}

function admit(check: Check, key: CachedKey | undefined, nowMs: number): Response | Promise<Response> {
  // Records the use, so that the owner sees clients that still use a dead key.
  if (key && deathOf(key, nowMs)) recordUse(check, key, "dead", nowMs);
  refuseDead(check, key, nowMs);
  const refusal = refusalOf(check, key, nowMs);
  return refusal instanceof Promise
    ? refusal.then((found) => finish(check, key, nowMs, found))
    : finish(check, key, nowMs, refusal);
}

function finish(check: Check, key: CachedKey, nowMs: number, refusal: ApiError | undefined) {
  const { auth, c } = check;
  recordUse(check, key, refusal ? "refused" : "accepted", nowMs);
  if (refusal) throw refusal;
  check.admitted = key;
  c.env.admission = check;
  return auth.keys.mayHoldImported(c.env.incoming.url ?? "")
    ? refuseImportedInUrl(check, key).then(() => handled(check, key))
    : handled(check, key);
}

function recordUse({ auth, c, address }: Check, key: CachedKey, verdict: UseVerdict, nowMs: number): void {
  auth.uses.record(key, verdict, nowMs, address, c.env.incoming.headers["user-agent"]);
}

/**
 * Rejects imported keys of the caller's own organization in the URL. Keys of other organizations must
 * not be revealed to the caller.
 */
async function refuseImportedInUrl({ auth, c }: Check, { organizationId }: CachedKey): Promise<void> {
  const candidates = importedKeyCandidatesOf(c.env.incoming.url ?? "");
  if ((await auth.keys.importedAmong(organizationId, candidates)) !== undefined) throw keyInUrl();
}

function handled(check: Check, key: CachedKey): Response | Promise<Response> {
  const answer = check.handle(check.c, key);
  return answer instanceof Promise && !check.isStream && check.isRead ? judgedAgain(check, answer) : answer;
}

/** Checks the caller again, so that data is not sent to a key that lost its permissions meanwhile. */
async function judgedAgain(check: Check, answer: Promise<Response>): Promise<Response> {
  const response = await answer;
  await check.assertStillAllowed();
  return response;
}

/**
 * Returns the reason to reject a request with a valid key, or undefined. The rate limit is checked
 * last. A request from a forbidden address does not count against it, since third parties could send
 * many; a request that lacks a scope does.
 */
function refusalOf(check: Check, key: CachedKey, nowMs: number): ApiError | undefined | Promise<ApiError | undefined> {
  const { auth, c } = check;
  const refusal = requestRefusal(check, key);
  const limit = key.requestsPerMinute ?? (key.kind === "secret" ? auth.requestsPerMinute : undefined);
  if (limit === undefined) return refusal;
  const bucket = bucketOf(auth.limiter, key);
  const counts = refusal === undefined || refusal.options.reason === "missing_scope";
  const state = counts ? bucket.take(limit, nowMs) : bucket.peek(limit, nowMs);
  return state instanceof Promise
    ? state.then((known) => tell(c, known, refusal, counts))
    : tell(c, state, refusal, counts);
}

/** Returns why a live key may not be used for this request: its address, its origin or a missing scope. */
function requestRefusal({ c, address, scope }: Check, key: CachedKey): ApiError | undefined {
  return addressRefusal(key, address) ?? originRefusal(c, key) ?? scopeRefusal(key, scope);
}

/** Rejects the request when the key lost a permission that the handler relies on. */
function narrowedRefusal(now: CachedKey, admitted: CachedKey | undefined): ApiError | undefined {
  if (!admitted || now === admitted || now.kind !== "secret") return undefined;
  const gotLimit = now.requestsPerMinute !== undefined && admitted.requestsPerMinute === undefined;
  if (!gotLimit && !escalation(now, admitted)) return undefined;
  return new ApiError("FORBIDDEN", "This key was narrowed while the request was under way. Send the request again.", {
    reason: "missing_scope",
  });
}

function bucketOf(limiter: RateLimiter, key: CachedKey): Bucket {
  if (!key.bucket || key.bucket.isForgotten) key.bucket = limiter.bucket(key.keyId);
  return key.bucket;
}

/** A public key always has a project; only a secret key may have none. */
function asPublic(handle: PublicHandler): Handle {
  return (c, key) => handle(c, key as CachedKey & PublicCaller);
}

function addressRefusal({ addresses }: CachedKey, address: string): ApiError | undefined {
  if (!addresses || addresses.has(address)) return undefined;
  return new ApiError("FORBIDDEN", `This key may not be used from ${address}, the address this request came from.`, {
    reason: "address_not_allowed",
  });
}

/** Checks the `Origin` header. It restricts browsers only, since other clients can send any value. */
function originRefusal(c: HttpContext, { origins }: CachedKey): ApiError | undefined {
  if (!origins) return undefined;
  const { origin } = c.env.incoming.headers;
  if (origin !== undefined && origins.has(origin)) return undefined;
  const message =
    origin === undefined
      ? "This key is for web pages: it takes only requests that a browser sends, with their Origin header."
      : `This key may not be used on pages of ${origin.slice(0, 200)}.`;
  return new ApiError("FORBIDDEN", message, { reason: "origin_not_allowed" });
}

function scopeRefusal({ scopes }: CachedKey, scope: Scope | undefined): ApiError | undefined {
  if (!scope || hasScope(scopes, scope)) return undefined;
  return new ApiError("FORBIDDEN", `This key lacks the scope ${scope}.`, { reason: "missing_scope" });
}

function refuseDead(check: Check, record: CachedKey | undefined, nowMs: number): asserts record is CachedKey {
  if (!record) {
    throw new ApiError("UNAUTHORIZED", "No such API key. It may belong to another server.", {
      reason: "invalid_api_key",
    });
  }
  refuseWrongKind(check.takes, record.kind);
  const reason = deathOf(record, nowMs);
  if (!reason) return;
  check.auth.deadKeys.record(record, reason, check.address);
  throw deadRefusal(record, reason);
}

/** Returns why a key is not valid at this time, or undefined while it is valid. */
export function deathOf(record: CachedKey, nowMs: number): DeadReason | undefined {
  if (record.revoked) return "revoked";
  if (record.expiresAtMs !== undefined && record.expiresAtMs <= nowMs) return "expired";
  if (record.retiresAtMs !== undefined && record.retiresAtMs <= nowMs) return "rotated";
  return undefined;
}

function deadRefusal({ expiresAtMs, retiresAtMs }: CachedKey, reason: DeadReason): ApiError {
  if (reason === "revoked") {
    return new ApiError("UNAUTHORIZED", "This API key was revoked.", { reason: "revoked_api_key" });
  }
  if (reason === "expired") {
    return new ApiError("UNAUTHORIZED", `This API key expired at ${isoText(expiresAtMs)}.`, {
      reason: "expired_api_key",
    });
  }
  return new ApiError(
    "UNAUTHORIZED",
    `This secret was replaced: its key was rotated, and the grace ended at ${isoText(retiresAtMs)}.`,
    { reason: "revoked_api_key" },
  );
}

function isoText(ms: number | undefined): string {
  return new Date(ms as number).toISOString();
}

/** Most requests have the same limit and second as the previous one. */
const limitText = rememberedText();
const resetText = rememberedText();

/** Returns a function that formats numbers and reuses the text of the previous number. */
function rememberedText(): (value: number) => string {
  let last = 0;
  let text = "0";
  return (value) => {
    if (value !== last) {
      last = value;
      text = String(value);
    }
    return text;
  };
}

/** Sets the rate-limit headers on the response. Throws 429 when the limit is used up. */
function tell(
  c: HttpContext,
  state: RateLimitState,
  refusal: ApiError | undefined,
  counts: boolean,
): ApiError | undefined {
  const remaining = String(state.remaining);
  setRateLimitHeaders(c, { limit: limitText(state.limit), remaining, reset: resetText(state.resetAt) });
  if (state.allowed || !counts) return refusal;
  return new ApiError(
    "RATE_LIMIT_EXCEEDED",
    `Too many requests. Please retry after ${state.retryAfterSeconds} seconds.`,
    { retryAfterSeconds: state.retryAfterSeconds },
  );
}
