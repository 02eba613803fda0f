import { createHash } from "node:crypto";
import type { SecretCaller } from "../auth/caller.ts";
import { seal, unseal } from "../crypto/envelope-encryption.ts";
import type { Keyring } from "../crypto/keyring.ts";
import type { Queryable } from "../db/database.ts";
import { ApiError } from "../errors.ts";
import { holdsKey } from "../redaction/key-redaction.ts";
import { type HttpContext, header } from "./context.ts";
import { keepAnswer, lockAnswer } from "./idempotency-store.ts";

/** Returns the `Idempotency-Key` of the request: 1 to 200 visible ASCII characters. */
export function readIdempotencyKey(c: HttpContext): string | undefined {
  const key = header(c, "idempotency-key");
  if (key === undefined) return undefined;
  if (!/^[\x21-\x7e]{1,200}$/.test(key)) {
    throw new ApiError("VALIDATION_ERROR", "Idempotency-Key must be 1 to 200 visible ASCII characters.");
  }
  if (holdsKey(key)) throw new ApiError("VALIDATION_ERROR", "Idempotency-Key holds an API key. Make up another text.");
  return key;
}

export interface IdempotentWork<Answer> {
  readonly tx: Queryable;
  readonly caller: SecretCaller;
  readonly request: unknown;
  readonly work: () => Promise<Answer>;
  /**
   * Throws when the caller may no longer receive the stored response: it may contain a secret that a new
   * request could not get. Use `withoutSecret` where responses contain no secret.
   */
  readonly authorizeReplay: (answer: Answer) => Promise<void> | void;
}

/** An `authorizeReplay` for responses without secrets: the checks of the route before it are enough. */
export function withoutSecret(): void {}

/**
 * Runs `work` once per `Idempotency-Key` of a caller, in its transaction. A repetition within a day
 * gets the first response, including secrets. Throws 409 when the key is reused for a different
 * request. The stored response is encrypted, since it may contain a new key.
 */
export async function withIdempotency<Answer extends object>(
  c: HttpContext,
  { master }: { readonly master: Keyring },
  { tx, caller, request, work, authorizeReplay }: IdempotentWork<Answer>,
): Promise<Answer> {
  const key = readIdempotencyKey(c);
  if (key === undefined) return work();
  const name = sha256(JSON.stringify([caller.keyId, c.env.operationId, key]));
  const requestHash = sha256(JSON.stringify([c.req.path, request]));
  const identity = `idempotent_answers/${caller.organizationId}/${name.toString("hex")}`;
  const kept = await lockAnswer(tx, caller.organizationId, name);
  if (kept) {
    if (!kept.requestHash.equals(requestHash)) throw otherRequest();
    const answer = JSON.parse(unseal(master, identity, kept.sealed)) as Answer;
    await authorizeReplay(answer);
    return answer;
  }
  const answer = await work();
  const sealed = seal(master, identity, JSON.stringify(answer));
  await keepAnswer(tx, caller.organizationId, name, { requestHash, sealed });
  return answer;
}

function otherRequest(): ApiError {
  return new ApiError("CONFLICT", "This Idempotency-Key was used with another request. Use a new one.");
}

function sha256(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}
