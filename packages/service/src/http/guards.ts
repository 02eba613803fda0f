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
  /** Requests a minute for a secret key without a limit of its own. */
  readonly requestsPerMinute: number;
}

type SecretHandler = (c: HttpContext, caller: SecretCaller) => Response | Promise<Response>;
type OwnHandler = (c: HttpContext, caller: SelfServiceCaller) => Response | Promise<Response>;
type PublicHandler = (c: HttpContext, caller: PublicCaller) => Response | Promise<Response>;
/** For a request whose headers carry no key: finds one elsewhere and has it admitted, or throws. */
type KeylessHandler = (c: HttpContext, keyless: KeylessRequest) => Response | Promise<Response>;

export interface KeylessRequest {
  /** Throws 429 while the address of the request has failed too often. Call it before the body is read. */
  refuseTooMany(): void;
  /** Counts against the address that its request was read and carried no key. */
  countFailure(): void;
  admit(key: string, handle: PublicHandler): Response | Promise<Response>;
}

/**
 * Makes the two kinds of guarded handler. The guard runs inside the handler, not as a middleware: a layer of
 * middleware costs more than the check itself. A handler that asks for a secret key cannot be written without one.
 */
export function guards(auth: Authentication) {
  return {
    /** A handler for secret keys that have `scope`; of any scope when that is undefined. */
    secretKey: (operationId: string, scope: Scope | undefined, handle: SecretHandler) => (c: HttpContext) =>
      guarded(auth, c, operationId, "secret", scope, handle),

    /** As `secretKey`, for an answer that goes on: the handler itself asks `assertStillAllowed` before each part of it. */
    secretKeyStream: (operationId: string, scope: Scope, handle: SecretHandler) => (c: HttpContext) =>
      guarded(auth, c, operationId, "secret", scope, handle, { isStream: true }),

    /**
     * A handler for public keys. Intake is bounded by bytes; by requests only for a key with a limit of its own.
     * `whenKeyless` is for formats in which the key may stand in the body.
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

    /** A handler for what whoever holds a key may ask with it, of either kind and without a scope. */
    anyKey: (operationId: string, handle: OwnHandler) => (c: HttpContext) =>
      guarded(auth, c, operationId, "any", undefined, handle),
  };
}

export type Guards = ReturnType<typeof guards>;

/** Who makes a change: on record as an audit source, and checked again inside the transaction of the change. */
export interface ChangeAuthor extends AuditSource, Requester {
  /**
   * Throws 401 or 403 when the caller's key was revoked, expired, rotated away, fenced off or narrowed since the request
   * was admitted: as `tx` sees it, or without one as this process knows it under its lease.
   */
  assertStillAllowed(tx?: Queryable): void | Promise<void>;
}

/** The caller as the author of changes. Call it in a guarded handler only. */
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

/** Judges an admitted request again. A promise only where the key is not in memory. */
export function assertStillAllowed(c: HttpContext): void | Promise<void> {
  return c.env.admission?.assertStillAllowed();
}

type Handle = (c: HttpContext, key: CachedKey) => Response | Promise<Response>;

/** What a request is checked with, at its start and again later. */
class Check implements Admission {
  /** The credential. */
  text = "";
  /** The key as the handler got it. */
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

  /** True for a request that changes nothing: its answer can still be refused when it is there. */
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

/** Answers without a pause where the key is in memory: a promise for each request costs more than the check. */
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
  // Reading a clock costs as much as a look-up: once is enough where nothing is waited for.
  const monotonic = keys.monotonic();
  const known = keys.known(text, monotonic);
  return known ? admit(check, known, keys.now(monotonic)) : lookUp(check, text);
}

/** For a text that is not in memory. One that is no key costs no I/O, but whoever sends it counts as failing. */
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
  // The owner sees who still uses a key that is dead.
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

/** A key of the caller's organization; of others' it is not for the caller to know. */
async function refuseImportedInUrl({ auth, c }: Check, { organizationId }: CachedKey): Promise<void> {
  const candidates = importedKeyCandidatesOf(c.env.incoming.url ?? "");
  if ((await auth.keys.importedAmong(organizationId, candidates)) !== undefined) throw keyInUrl();
}

function handled(check: Check, key: CachedKey): Response | Promise<Response> {
  const answer = check.handle(check.c, key);
  return answer instanceof Promise && !check.isStream && check.isRead ? judgedAgain(check, answer) : answer;
}

/** What was read for a key that lost its rights meanwhile is not handed over. */
async function judgedAgain(check: Check, answer: Promise<Response>): Promise<Response> {
  const response = await answer;
  await check.assertStillAllowed();
  return response;
}

/**
 * Returns the reason to reject a request with a valid key, or undefined. The rate limit comes last. A request from where the
 * key may not be used does not use it up, since others could send many; one that lacks a scope does.
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

/** Whether a live key may be used for this request: from its address and page, and with its scopes. */
function requestRefusal({ c, address, scope }: Check, key: CachedKey): ApiError | undefined {
  return addressRefusal(key, address) ?? originRefusal(c, key) ?? scopeRefusal(key, scope);
}

/** The handler works with the rights that the key had: none of them may have been taken away since. */
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

/** A public key has a project: only a secret one can do without. */
function asPublic(handle: PublicHandler): Handle {
  return (c, key) => handle(c, key as CachedKey & PublicCaller);
}

function addressRefusal({ addresses }: CachedKey, address: string): ApiError | undefined {
  if (!addresses || addresses.has(address)) return undefined;
  return new ApiError("FORBIDDEN", `This key may not be used from ${address}, the address this request came from.`, {
    reason: "address_not_allowed",
  });
}

/** A fence, not a lock: a browser says truly where a page is from, another program says what it likes. */
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

/** Why a key is not valid at this time; undefined while it is. */
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

/** Most requests have the limit and the second of the one before. */
const limitText = rememberedText();
const resetText = rememberedText();

/** A number as a text, made anew only for another number than the last. */
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

/** Puts the state of the limit into the headers of the answer, and throws 429 when the limit is used up. */
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
