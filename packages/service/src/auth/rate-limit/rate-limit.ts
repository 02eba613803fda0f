/** The rate limit of a key and its remaining requests. */
export interface RateLimitState {
  readonly allowed: boolean;
  /** Requests per minute. */
  readonly limit: number;
  /** Requests that are allowed now. */
  readonly remaining: number;
  /** Unix seconds when the full burst is available again. */
  readonly resetAt: number;
  /** Seconds until one more request is allowed; 0 when one is allowed now. */
  readonly retryAfterSeconds: number;
}

/** Token bucket of one id: `limit` requests per minute, with bursts of up to 20 % more after a pause. */
export interface Bucket {
  /** True when the limiter dropped this bucket because it was full. Get a new one from the limiter. */
  readonly isForgotten: boolean;
  /**
   * Counts one request unless it is rejected. Returns a promise only when the state is remote. `nowMs`:
   * Unix milliseconds.
   */
  take(limit: number, nowMs: number): RateLimitState | Promise<RateLimitState>;
  /** Returns the current state without counting a request. */
  peek(limit: number, nowMs: number): RateLimitState | Promise<RateLimitState>;
}

export interface RateLimiter {
  /** Returns the bucket of `id`. All callers get the same bucket until it is dropped. */
  bucket(id: string): Bucket;
  close(): Promise<void>;
}

/** Factor by which short bursts may exceed the limit (spec/2). */
const burst = 1.2;

/*
 * The state of a bucket is the time until it is full again: `fullInMs`, 0 for a full bucket. A request
 * adds 60,000 / limit. It is allowed while the sum does not exceed the fill time of an empty bucket.
 */

/** Milliseconds in which an empty bucket fills, at any limit. */
export const fillMs = 60_000 * burst;
/** Maximum rounding error of the sums in milliseconds; less than one request at any limit. */
const roundingMs = 0.002;

/** Returns the milliseconds that one request adds to the fill time. */
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
/** Minimum interval between sweeps when the limiter holds its maximum number of buckets. */
const sweepWhenFullEveryMs = 1_000;

/** Rate limiter of one process. It drops full buckets, since they hold no information. */
export class LocalRateLimiter implements RateLimiter {
  readonly #buckets = new Map<string, LocalBucket>();
  readonly #now: () => number;
  readonly #sweeping: NodeJS.Timeout;
  #sweptAtMs = 0;

  /** `now` is the clock that callers pass to the buckets, in milliseconds. */
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

  /** Returns whether `id` can have a bucket when at most `maxBuckets` are stored. Existing buckets are kept. */
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
