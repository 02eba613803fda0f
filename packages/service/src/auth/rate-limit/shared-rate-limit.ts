import { setTimeout as sleep } from "node:timers/promises";
import { log } from "../../logger.ts";
import {
  type Bucket,
  costMs,
  fillMs,
  LocalRateLimiter,
  type RateLimiter,
  type RateLimitState,
  stateOf,
} from "./rate-limit.ts";

/** Maximum wait of a request for Redis. Requests stop waiting once Redis is known to be unavailable. */
const answerWithinMs = 200;
/** Maximum wait for the connection at startup, so that the first requests are also counted in Redis. */
const connectWithinMs = 1_000;
const reconnectAfterMs = 500;
/** Interval of pings. A connection is closed when a ping stays unanswered for `deadAfterMs`. */
const pingEveryMs = 1_000;
const deadAfterMs = 3_000;

/**
 * The bucket of rate-limit.ts, stored in Redis for all processes: one number, the microsecond at which
 * it is full again, by the clock of Redis. If that clock is set back, the bucket is empty at worst.
 * KEYS: bucket. ARGV: cost of a request and fill time in microseconds, requests to count (1 or 0).
 * Returns whether there is room, and the microseconds until the bucket is full.
 */
const takeScript = `
  local time = redis.call('TIME')
  local now = time[1] * 1000000 + time[2]
  local cost, fill = tonumber(ARGV[1]), tonumber(ARGV[2])
  local full_in = math.max(0, math.min(fill, (tonumber(redis.call('GET', KEYS[1]) or now) - now)))
  local allowed = full_in + cost <= fill + 2
  if allowed and ARGV[3] == '1' then
    full_in = full_in + cost
    redis.call('SET', KEYS[1], string.format('%.2f', now + full_in), 'PX', math.ceil(full_in / 1000))
  end
  return { allowed and 1 or 0, tostring(full_in) }`;

/** The part of the Redis client that is used here. */
interface Redis {
  take(id: string, costMicros: number, count: number): Promise<[number, string]>;
  close(): void;
}

interface RedisEvents {
  readonly onReady: () => void;
  readonly onError: (error: Error) => void;
}

/**
 * Opens a rate limiter whose limits apply across all processes on one Redis (or Valkey), version 6 or
 * newer. Availability takes precedence over limits: while Redis is unavailable, each process limits
 * locally and logs this once. It uses Redis again as soon as Redis answers.
 */
export async function openSharedRateLimiter(url: string, now: () => number): Promise<RateLimiter> {
  const limiter = new SharedRateLimiter(now);
  await limiter.open(url);
  return limiter;
}

class SharedRateLimiter implements RateLimiter {
  readonly #local: LocalRateLimiter;
  #redis: Redis | undefined;
  #away = true;
  #said = false;

  constructor(now: () => number) {
    this.#local = new LocalRateLimiter(now);
  }

  async open(url: string): Promise<void> {
    let ready = () => {};
    const isReady = new Promise<void>((resolve) => {
      ready = resolve;
    });
    this.#redis = await openRedis(url, {
      onReady: () => {
        this.#back();
        ready();
      },
      onError: (error) => this.#lost(error),
    });
    const patience = new AbortController();
    await Promise.race([isReady, sleep(connectWithinMs, undefined, { signal: patience.signal }).catch(() => {})]);
    patience.abort();
    if (this.#away) this.#lost(new Error("Redis does not answer."));
  }

  bucket(id: string): Bucket {
    const count = (requests: 0 | 1, limit: number, nowMs: number) =>
      this.#away ? this.#countHere(id, requests, limit, nowMs) : this.#ask(id, requests, limit, nowMs);
    return {
      isForgotten: false,
      take: (limit, nowMs) => count(1, limit, nowMs),
      peek: (limit, nowMs) => count(0, limit, nowMs),
    };
  }

  async close(): Promise<void> {
    this.#redis?.close();
    await this.#local.close();
  }

  #countHere(id: string, requests: 0 | 1, limit: number, nowMs: number): RateLimitState {
    const bucket = this.#local.bucket(id);
    return requests === 1 ? bucket.take(limit, nowMs) : bucket.peek(limit, nowMs);
  }

  async #ask(id: string, requests: 0 | 1, limit: number, nowMs: number): Promise<RateLimitState> {
    try {
      const answer = (this.#redis as Redis).take(id, costMs(limit) * 1000, requests);
      const [allowed, fullInMicros] = await within(answerWithinMs, answer);
      return stateOf(limit, Number(fullInMicros) / 1000, allowed === 1, nowMs);
    } catch (error) {
      this.#lost(error as Error);
      return this.#countHere(id, requests, limit, nowMs);
    }
  }

  #lost(error: Error): void {
    this.#away = true;
    if (this.#said) return;
    this.#said = true;
    log.warn("Redis is away: each process limits for itself until it answers", { error });
  }

  #back(): void {
    if (this.#said) log.info("Redis is back: rate limits are shared again");
    this.#said = false;
    this.#away = false;
  }
}

/** Connects in the background and retries without a limit. */
async function openRedis(url: string, { onReady, onError }: RedisEvents): Promise<Redis> {
  // Loaded on demand, since most installations have no Redis.
  const { createClient, defineScript } = await import("@redis/client");
  const take = defineScript({
    SCRIPT: takeScript,
    NUMBER_OF_KEYS: 1,
    parseCommand(parser, id: string, costMicros: number, count: number) {
      parser.pushKey(`sazabi:rate:${id}`);
      parser.push(String(costMicros), String(fillMs * 1000), String(count));
    },
    transformReply: undefined as unknown as () => [number, string],
  });
  const client = createClient({
    url,
    scripts: { take },
    disableOfflineQueue: true,
    maintNotifications: "disabled",
    pingInterval: pingEveryMs,
    socket: { reconnectStrategy: reconnectAfterMs, connectTimeout: deadAfterMs, socketTimeout: deadAfterMs },
  });
  client.on("ready", onReady);
  client.on("ping-interval", onReady);
  client.on("error", onError);
  client.connect().catch(onError);
  return {
    // The result of the last line of the script.
    take: (id, costMicros, count) => client.take(id, costMicros, count) as Promise<[number, string]>,
    close: () => client.destroy(),
  };
}

async function within<T>(ms: number, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    // Timers run before sockets. If this process was busy, the answer has already arrived and is read
    // first.
    const giveUp = () => setImmediate(() => reject(new Error(`Redis did not answer within ${ms} ms.`)));
    timer = setTimeout(giveUp, ms);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
