import { setTimeout as sleep } from "node:timers/promises";

/** Steps of query evaluation (`StepMeter`). A step takes 4 to 10 nanoseconds. */
export const stepLimits = {
  /** Of one query on one entry: the longest that the event loop is held. */
  perEntry: 2_000_000,
  keyPerSecond: 10_000_000,
  /** What a key that was quiet may use at once. */
  keyBurst: 40_000_000,
  /** Shared evenly among the keys that use steps. */
  processPerSecond: 40_000_000,
};

const refillEveryMs = 50;

/** Steps that the tails of each key may still use. All tails of a key use the same ones. */
export class StepBudgets {
  readonly #now: () => number;
  /** A key that is not here has a full budget. May be negative: the last evaluation is paid afterwards. */
  readonly #left = new Map<string, number>();
  #refilledAt: number;

  /** `now` in milliseconds. */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
    this.#refilledAt = now();
  }

  /** False when the key has no steps left. */
  charge(keyId: string, steps: number): boolean {
    this.#refill();
    const left = (this.#left.get(keyId) ?? stepLimits.keyBurst) - steps;
    this.#left.set(keyId, left);
    return left > 0;
  }

  /** Zero when the key has steps left. */
  secondsUntilSteps(keyId: string): number {
    this.#refill();
    const left = this.#left.get(keyId);
    if (left === undefined || left > 0) return 0;
    return Math.max(1, Math.ceil(-left / this.#perSecond()));
  }

  /** Resolves when the key has steps left, or the signal is aborted. */
  async untilSteps(keyId: string, signal: AbortSignal): Promise<void> {
    while (!signal.aborted && this.secondsUntilSteps(keyId) > 0) await sleep(2 * refillEveryMs);
  }

  #refill(): void {
    const elapsedMs = this.#now() - this.#refilledAt;
    if (elapsedMs < refillEveryMs) return;
    this.#refilledAt += elapsedMs;
    let shared = (stepLimits.processPerSecond * elapsedMs) / 1000;
    const most = (stepLimits.keyPerSecond * elapsedMs) / 1000;
    // Keys that need less than their share leave the rest to the others.
    const keys = [...this.#left].sort(([, left], [, other]) => other - left);
    for (const [index, [keyId, left]] of keys.entries()) {
      const added = Math.min(most, shared / (keys.length - index), stepLimits.keyBurst - left);
      shared -= added;
      if (left + added >= stepLimits.keyBurst) this.#left.delete(keyId);
      else this.#left.set(keyId, left + added);
    }
  }

  /** At least: what a key gets while all others use up their shares, too. */
  #perSecond(): number {
    return Math.min(stepLimits.keyPerSecond, stepLimits.processPerSecond / Math.max(1, this.#left.size));
  }
}
