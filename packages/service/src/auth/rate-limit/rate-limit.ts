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

/** One id's token bucket: `limit` requests a minute, and up to 20 % more at once after a pause. */
export interface Bucket {
  /** True when its limiter has given it up, being full: ask the limiter for another. */
  readonly isForgotten: boolean;
  /** Counts one request, unless it is refused. A promise only where somebody else has to be asked. `nowMs`: Unix milliseconds. */
  take(limit: number, nowMs: number): RateLimitState | Promise<RateLimitState>;
  /** How it stands; counts nothing. */
  peek(limit: number, nowMs: number): RateLimitState | Promise<RateLimitState>;
}

export interface RateLimiter {
  /** The bucket of `id`: the same for all who ask, until it is forgotten. */
  bucket(id: string): Bucket;
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

export function stateOf(limit: number, fullInMs: number, allowed: boolean, nowMs: number): RateLimitState {
  const waitMs = fullInMs + costMs(limit) - fillMs;
  return {
    allowed,
    limit,
    remaining: Math.max(0, Math.floor((fillMs + roundingMs - fullInMs) / costMs(limit))),
    resetAt: Math.ceil((nowMs + fullInMs) / 1000),
    retryAfterSeconds: waitMs <= roundingMs ? 0 : Math.ceil(waitMs / 1000),
  };
}

const sweepEveryMs = 60_000;
/** A limiter that is full looks that often for buckets to forget. */
const sweepWhenFullEveryMs = 1_000;

/** For one process. A bucket that is full again says nothing and is forgotten. */
export class LocalRateLimiter implements RateLimiter {
  readonly #buckets = new Map<string, LocalBucket>();
  readonly #now: () => number;
  readonly #sweeping: NodeJS.Timeout;
  #sweptAtMs = 0;

  /** `now` is the clock that buckets are told of. */
  constructor(now: () => number) {
    this.#now = now;
    this.#sweeping = setInterval(() => this.#sweep(now()), sweepEveryMs);
    this.#sweeping.unref();
  }

  bucket(id: string): LocalBucket {
    const known = this.#buckets.get(id);
    if (known) return known;
    const bucket = new LocalBucket();
    this.#buckets.set(id, bucket);
    return bucket;
  }

  /** Whether `id` can have a bucket, where at most so many are kept. Those that have one keep it. */
  hasRoomFor(id: string, maxBuckets: number): boolean {
    if (this.#buckets.size < maxBuckets || this.#buckets.has(id)) return true;
    const nowMs = this.#now();
    if (nowMs - this.#sweptAtMs < sweepWhenFullEveryMs) return false;
    this.#sweep(nowMs);
    return this.#buckets.size < maxBuckets;
  }

  async close(): Promise<void> {
    clearInterval(this.#sweeping);
  }

  #sweep(nowMs: number): void {
    this.#sweptAtMs = nowMs;
    for (const [id, bucket] of this.#buckets) {
      if (bucket.fullAtMs > nowMs) continue;
      bucket.isForgotten = true;
      this.#buckets.delete(id);
    }
  }
}

class LocalBucket implements Bucket {
  isForgotten = false;
  fullAtMs = 0;

  take(limit: number, nowMs: number): RateLimitState {
    const fullInMs = Math.max(0, this.fullAtMs - nowMs);
    if (!hasRoom(fullInMs, limit)) return stateOf(limit, fullInMs, false, nowMs);
    const after = fullInMs + costMs(limit);
    this.fullAtMs = nowMs + after;
    return stateOf(limit, after, true, nowMs);
  }

  peek(limit: number, nowMs: number): RateLimitState {
    const fullInMs = Math.max(0, this.fullAtMs - nowMs);
    return stateOf(limit, fullInMs, hasRoom(fullInMs, limit), nowMs);
  }
}
