import { type KeyKind, maxGraceSeconds } from "@sazabi/sdk/protocol";
import { Hono } from "hono";
import { z } from "zod";
import type { AppContext } from "../../app-context.ts";
import type { Change } from "../../audited-transaction.ts";
import type { SecretCaller } from "../../auth/caller.ts";
import { assertNoEscalation, assertNoWiderPublicKey, privilegesOf } from "../../auth/privileges.ts";
import { ApiError } from "../../errors.ts";
import type { HttpContext, HttpEnv } from "../../http/context.ts";
import { authorOf } from "../../http/guards.ts";
import { withIdempotency } from "../../http/idempotency.ts";
import { readBody, readId, readQuery } from "../../http/request.ts";
import { ok } from "../../http/respond.ts";
import { keyRotated, type RotationStep } from "../events.ts";
import { newSecret } from "../generate.ts";
import { endOf, findKey, isSealed, withValue } from "../store/keys.ts";
import { beginRotation, cancelRotation, finishRotation } from "../store/rotation.ts";

const rotation = z.strictObject({ graceSeconds: z.number().int().min(0).max(maxGraceSeconds).default(3600) });

/**
 * Of `finish`: how long the previous secret still works. By default it stops immediately; an empty
 * text is not a number.
 */
const ending = z.strictObject({
  graceSeconds: z
    .string()
    .regex(/^\d{1,7}$/, "must be a number of seconds")
    .transform(Number)
    .pipe(z.number().max(maxGraceSeconds))
    .default(0),
});

/**
 * In-place rotation: a key gets a new secret and keeps its name, scopes, limits and history. The old
 * secret works until the grace period ends. Mounted for each kind of key.
 */
export const rotationRoutes = (services: AppContext, kind: KeyKind) => {
  const { change, pepper, guards, flushUses } = services;
  const noun = kind === "secret" ? "secretKey" : "publicKey";
  const operation = `${noun}s`;

  async function liveKey(tx: Change, caller: SecretCaller, id: string) {
    const key = await findKey(tx, caller, kind, id);
    if (!key || endOf(key)) throw new ApiError("NOT_FOUND", `No such ${kind} key.`);
    // The new secret must not have privileges that the caller lacks.
    if ("scopes" in key) assertNoEscalation(caller, privilegesOf(key, services));
    else assertNoWiderPublicKey(caller, key);
    return key;
  }

  async function endRotation(
    c: HttpContext,
    caller: SecretCaller,
    end: (tx: Change, id: string) => Promise<boolean>,
    step: RotationStep,
  ) {
    const id = readId(c, "id", `${kind} key`);
    // The response shows uses of the previous secret, so they are flushed. Ending a secret does not wait
    // for that.
    if (step === "rotation_shortened") await flushUses(id);
    const key = await change(
      authorOf(c, caller),
      async (tx) => {
        await liveKey(tx, caller, id);
        if (!(await end(tx, id))) throw new ApiError("CONFLICT", "No rotation of this key is under way.");
        const ended = await liveKey(tx, caller, id);
        tx.record(keyRotated(ended, step));
        return ended;
      },
      "revocations",
    );
    return ok(c, { [noun]: key });
  }

  return new Hono<HttpEnv>()
    .post(
      "/:id/rotate",
      guards.secretKey(`${operation}.rotate`, "write:keys", async (c, caller) => {
        const id = readId(c, "id", `${kind} key`);
        const { graceSeconds } = await readBody(c, rotation);
        // Ending the previous secret immediately does not wait for the flush.
        if (graceSeconds > 0) await flushUses(id);
        const rotate = (tx: Change) =>
          withIdempotency(c, services, {
            tx,
            caller,
            request: { graceSeconds },
            authorizeReplay: async () => void (await liveKey(tx, caller, id)),
            work: async () => {
              const { style } = await liveKey(tx, caller, id);
              if (await isSealed(tx, id)) throw sealed();
              const secret = newSecret(pepper, kind, style);
              if (!(await beginRotation(tx, id, graceSeconds, secret))) throw underWay();
              const key = await liveKey(tx, caller, id);
              tx.record(keyRotated(key, "rotated"));
              return { [noun]: withValue(key, secret.value) };
            },
          });
        const answer = await change(authorOf(c, caller), rotate, graceSeconds > 0 ? "changes" : "revocations");
        return ok(c, answer, 201);
      }),
    )

    .post(
      "/:id/rotate/finish",
      guards.secretKey(`${operation}.finishRotation`, "write:keys", async (c, caller) => {
        const { graceSeconds } = readQuery(c, ending);
        const step = graceSeconds === 0 ? "rotation_finished" : "rotation_shortened";
        return endRotation(c, caller, (tx, id) => finishRotation(tx, id, graceSeconds), step);
      }),
    )

    .post(
      "/:id/rotate/cancel",
      guards.secretKey(`${operation}.cancelRotation`, "write:keys", (c, caller) =>
        endRotation(c, caller, cancelRotation, "rotation_cancelled"),
      ),
    );
};

/** The value of the key is stored, and a rotation would leave the old value there. */
function sealed(): ApiError {
  return new ApiError(
    "CONFLICT",
    "This is the project's log-forwarding key, which is not rotated: deactivate it, then " +
      "POST /v1/public-keys/log-forwarding/ensure makes a new one.",
  );
}

function underWay(): ApiError {
  return new ApiError(
    "CONFLICT",
    "A rotation of this key is already in progress; both secrets are valid. Finish or cancel that rotation first.",
  );
}
