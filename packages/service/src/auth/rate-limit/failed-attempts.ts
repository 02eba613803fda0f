import { ApiError } from "../../errors.ts";
import { subscriberBlock } from "../../net/ip-ranges.ts";

/** Requests with unknown keys that one address may send at once. */
const attempts = 100;
/** Interval after which one more attempt is allowed: 10 a second. */
const refillMs = 100;
/** A malformed key is rejected without any I/O, so it weighs less. */
const malformedWeight = 0.1;
/**
 * Maximum debt of an address, as a multiple of `attempts`. It bounds the requests that were in
 * progress when the last attempt was used up.
 */
const maxDebt = 1;
const maxAddresses = 100_000;

/**
 * Limits failed authentication attempts per client address (IPv6: per /64), which protects the
 * database from unknown keys. It counts failures only: a key that is known to this process is never
 * checked against it. The exception is requests whose key is in the body: the body is not read while
 * the address is over the limit.
 */
export class FailedAttempts {
  /** The time at which each address has all `attempts` again, ordered by the latest failure. */
  readonly #clearAt = new Map<string, number>();
  readonly #now: () => number;

  /** `now` returns monotonic milliseconds. */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** Throws 429 while the address has no attempts left. Call it before querying the database. */
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

  /** Counts a well-formed key that does not exist. */
  countUnknown(address: string): void {
    this.#count(address, 1);
  }

  /** Counts a body that was read and contained no key. */
  countKeyless(address: string): void {
    this.#count(address, 1);
  }

  /** Counts a malformed key. Throws 429 instead while the address has no attempts left. */
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
