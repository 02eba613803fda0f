/** What a key may do per minute, and what is left of it. */
export interface RateLimitState {
  readonly allowed: boolean;
  /** Requests a minute. */
  readonly limit: number;
  /** Requests that would be allowed right now. */
  readonly remaining: number;
  /** Unix seconds when the full burst is available again. */
  readonly resetAt: number;
  /** Seconds until one more request is allowed; 0 when one is now. */
  readonly retryAfterSeconds: number;
}

/** Short bursts may go this far above the limit (spec/2). */
const burst = 1.2;

interface Bucket {
  tokens: number;
  filledAt: number;
}

/**
 * Token buckets, one per key: `limit` requests a minute, and up to 20 % more at once after a pause. For one
 * process. A bucket that is full again says nothing and is forgotten.
 */
export class RateLimiter {
  readonly #buckets = new Map<string, Bucket>();
  readonly #now: () => number;

  /** `now` in milliseconds, monotonic. */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** Counts one request of `id`, unless it is refused. */
  take(id: string, limit: number): RateLimitState {
    const now = this.#now();
    const capacity = limit * burst;
    const perMs = limit / 60_000;
    let bucket = this.#buckets.get(id);
    if (!bucket) {
      bucket = { tokens: capacity, filledAt: now };
      this.#buckets.set(id, bucket);
    }
    bucket.tokens = Math.min(capacity, bucket.tokens + (now - bucket.filledAt) * perMs);
    bucket.filledAt = now;
    const allowed = bucket.tokens >= 1;
    if (allowed) bucket.tokens -= 1;
    return {
      allowed,
      limit,
      remaining: Math.floor(bucket.tokens),
      resetAt: Math.ceil((Date.now() + (capacity - bucket.tokens) / perMs) / 1000),
      retryAfterSeconds: bucket.tokens >= 1 ? 0 : Math.ceil((1 - bucket.tokens) / perMs / 1000),
    };
  }

  /** Forgets the buckets that have filled up; call it now and then. */
  sweep(): void {
    const emptyBefore = this.#now() - 60_000 * burst;
    for (const [id, bucket] of this.#buckets) if (bucket.filledAt < emptyBefore) this.#buckets.delete(id);
  }
}
