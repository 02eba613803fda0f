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

/**
 * Token buckets, one per id: `limit` requests a minute, and up to 20 % more at once after a pause. A promise only where
 * somebody else has to be asked.
 */
export interface RateLimiter {
  /** Counts one request of `id`, unless it is refused. */
  take(id: string, limit: number): RateLimitState | Promise<RateLimitState>;
  /** How it stands with `id`; counts nothing. */
  peek(id: string, limit: number): RateLimitState | Promise<RateLimitState>;
  close(): Promise<void>;
}

/** Short bursts may go this far above the limit (spec/2). */
const burst = 1.2;

/*
 * All there is to know of a bucket is how long it takes until it is full again: `fullInMs`, 0 for a full one. A request
 * adds 60,000 / limit to that, and is allowed while the sum is not more than what an empty bucket needs.
 */

/** How long an empty bucket takes to fill, whatever its limit. */
export const fillMs = 60_000 * burst;
/** What sums of fractions may be off by; less than one request at any limit. */
const roundingMs = 0.002;

/** How far one request empties a bucket. */
export function costMs(limit: number): number {
  return 60_000 / limit;
}

function hasRoom(fullInMs: number, limit: number): boolean {
  return fullInMs + costMs(limit) <= fillMs + roundingMs;
}

export function stateOf(limit: number, fullInMs: number, allowed: boolean): RateLimitState {
  const waitMs = fullInMs + costMs(limit) - fillMs;
  return {
    allowed,
    limit,
    remaining: Math.max(0, Math.floor((fillMs + roundingMs - fullInMs) / costMs(limit))),
    resetAt: Math.ceil((Date.now() + fullInMs) / 1000),
    retryAfterSeconds: waitMs <= roundingMs ? 0 : Math.ceil(waitMs / 1000),
  };
}

const sweepEveryMs = 60_000;

/** For one process. A bucket that is full again says nothing and is forgotten. */
export class LocalRateLimiter implements RateLimiter {
  /** When each bucket is full again. */
  readonly #fullAt = new Map<string, number>();
  readonly #now: () => number;
  readonly #sweeping: NodeJS.Timeout;

  /** `now` in milliseconds, monotonic. */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
    this.#sweeping = setInterval(() => this.#sweep(), sweepEveryMs);
    this.#sweeping.unref();
  }

  take(id: string, limit: number): RateLimitState {
    const now = this.#now();
    const fullInMs = this.#fullInMs(id, now);
    if (!hasRoom(fullInMs, limit)) return stateOf(limit, fullInMs, false);
    const after = fullInMs + costMs(limit);
    this.#fullAt.set(id, now + after);
    return stateOf(limit, after, true);
  }

  peek(id: string, limit: number): RateLimitState {
    const fullInMs = this.#fullInMs(id, this.#now());
    return stateOf(limit, fullInMs, hasRoom(fullInMs, limit));
  }

  async close(): Promise<void> {
    clearInterval(this.#sweeping);
  }

  #fullInMs(id: string, now: number): number {
    return Math.max(0, (this.#fullAt.get(id) ?? now) - now);
  }

  #sweep(): void {
    const now = this.#now();
    for (const [id, fullAt] of this.#fullAt) if (fullAt <= now) this.#fullAt.delete(id);
  }
}
