import { ApiError } from "../../errors.ts";
import { subscriberBlock } from "../../net/ip-ranges.ts";

/** So many keys that do not exist may come from one address at once … */
const attempts = 100;
/** … and one more each time so many milliseconds have passed: 10 a second. */
const refillMs = 100;
/** A mistyped key is refused without any I/O, so it weighs less. */
const malformedWeight = 0.1;
/** How far an address can get into debt, in `attempts`: what was under way when the last attempt was used up. */
const maxDebt = 1;
const maxAddresses = 100_000;

/**
 * How much one client address (of IPv6: one /64) may fail. It guards the database from keys that nobody made, and counts
 * failures only: a key that is known here is never asked about it, whatever else comes from its address. The exception are
 * requests whose key is in the body: the bodies of an address that fails too often are not read.
 */
export class FailedAttempts {
  /** When each address may fail `attempts` times again; the one that failed last is last. */
  readonly #clearAt = new Map<string, number>();
  readonly #now: () => number;

  /** `now` in milliseconds, monotonic. */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** Throws 429 while the address has used up its attempts. Call it before the database is asked. */
  refuseTooMany(address: string): void {
    const clearAt = this.#clearAt.get(subscriberBlock(address));
    if (clearAt === undefined) return;
    const waitMs = clearAt + refillMs - attempts * refillMs - this.#now();
    if (waitMs <= 0) return;
    const seconds = Math.ceil(waitMs / 1000);
    throw new ApiError(
      "RATE_LIMIT_EXCEEDED",
      `Too many requests. Please retry after ${seconds} seconds. Too many requests without a key that exists came from ${address}.`,
      { retryAfterSeconds: seconds },
    );
  }

  /** A key of the right form that is nobody's. */
  countUnknown(address: string): void {
    this.#count(address, 1);
  }

  /** A body that was read and carried no key. */
  countKeyless(address: string): void {
    this.#count(address, 1);
  }

  /** A text that is no key. Throws 429 instead of counting while the address has used up its attempts. */
  countMalformed(address: string): void {
    this.refuseTooMany(address);
    this.#count(address, malformedWeight);
  }

  #count(address: string, weight: number): void {
    const block = subscriberBlock(address);
    const now = this.#now();
    const clearAt = Math.max(now, this.#clearAt.get(block) ?? 0) + weight * refillMs;
    this.#clearAt.delete(block);
    this.#clearAt.set(block, Math.min(clearAt, now + (1 + maxDebt) * attempts * refillMs));
    if (this.#clearAt.size > maxAddresses) this.#forgetOldest();
  }

  #forgetOldest(): void {
    const oldest = this.#clearAt.keys().next().value;
    if (oldest !== undefined) this.#clearAt.delete(oldest);
  }
}
