import type { SecretCaller } from "../../auth/caller.ts";
import type { FairConcurrencyLimiter } from "../../concurrency/fair-concurrency.ts";
import { disconnectSignal } from "../../http/client-disconnect.ts";
import type { HttpContext } from "../../http/context.ts";
import { assertStillAllowed } from "../../http/guards.ts";

/**
 * Runs a search of the caller's when the limiter has a place for it. `signal` is aborted when the client disconnects;
 * then a search that waits leaves the queue, and one that runs is cancelled. Every search of a request goes through here.
 * Throws 401 or 403 when the caller lost its rights during the wait.
 */
export function runSearch<T>(
  c: HttpContext,
  limiter: FairConcurrencyLimiter,
  caller: SecretCaller,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const signal = disconnectSignal(c);
  const runIfAllowed = async () => {
    await assertStillAllowed(c);
    return work(signal);
  };
  return limiter.run(caller, runIfAllowed, signal);
}
