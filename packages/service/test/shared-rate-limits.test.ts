import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { LocalRateLimiter, type RateLimiter } from "../src/auth/rate-limit/rate-limit.ts";
import { openSharedRateLimiter } from "../src/auth/rate-limit/shared-rate-limit.ts";
import { type FreshDatabase, freshDatabase } from "./support/database.ts";
import { bearer, send, startTestService, type TestService } from "./support/index.ts";
import { newKeyring } from "./support/keyring.ts";
import { redisMissing, startRedis, type TestRedis } from "./support/redis.ts";

const take = (limiter: RateLimiter, id: string, limit: number) => limiter.bucket(id).take(limit, Date.now());

describe.skipIf(redisMissing !== "")(`limits shared through Redis${redisMissing}`, () => {
  let redis: TestRedis;
  beforeAll(async () => {
    redis = await startRedis();
  });
  afterAll(() => redis.stop());

  describe("three replicas on one database", () => {
    let database: FreshDatabase;
    let replicas: TestService[];
    let headers: Record<string, string>;
    beforeAll(async () => {
      database = await freshDatabase();
      const shared = {
        databaseUrl: database.url,
        redisUrl: redis.url,
        keyPepper: newKeyring(),
        masterKey: newKeyring(),
      };
      const first = await startTestService(shared);
      replicas = [first, await startTestService(shared), await startTestService(shared)];
      headers = bearer(first.secretKey);
    });
    afterAll(async () => {
      for (const replica of replicas) await replica.close();
      await database.drop();
    });

    async function keyLimitedTo(requestsPerMinute: number): Promise<string> {
      const made = await send(replicas[0] as TestService, "POST /v1/secret-keys", {
        headers,
        body: { name: "limited", requestsPerMinute },
      });
      return made.body.secretKey.value;
    }

    /*
     * A limit of L a minute has a burst of C = 1.2 L. Whoever asks without pause for T seconds is admitted C + L·T/60 times:
     * not fewer, and at most 2 % more, whatever the number of replicas.
     */
    test("ten times the limit, from all sides at once: admitted is the limit, within 2 %", async () => {
      const limit = 60;
      const key = await keyLimitedTo(limit);
      const admissible = (ms: number) => 1.2 * limit + (limit * ms) / 60_000;
      const started = performance.now();
      const until = started + 5_000;
      let offered = 0;
      let admitted = 0;
      let lastSentAt = started;
      const client = async (replica: TestService) => {
        while (performance.now() < until) {
          lastSentAt = performance.now();
          offered += 1;
          const { status } = await send(replica, "GET /v1/me", { headers: bearer(key) });
          if (status === 200) admitted += 1;
          else expect(status).toBe(429);
        }
      };
      await Promise.all([...replicas, ...replicas, ...replicas].map(client));
      const endedAt = performance.now();
      expect(offered).toBeGreaterThan(10 * (limit / 60_000) * (endedAt - started));
      expect(offered).toBeGreaterThan(1.5 * admitted);
      expect(admitted).toBeGreaterThanOrEqual(Math.floor(admissible(lastSentAt - started)) - 1);
      expect(admitted).toBeLessThanOrEqual(1.02 * admissible(endedAt - started));
    });

    test("what one replica admits is seen on the others, in the headers too", async () => {
      const key = await keyLimitedTo(10);
      const remaining = [];
      for (let sent = 0; sent < 12; sent++) {
        const answer = await send(replicas[sent % 3] as TestService, "GET /v1/me", { headers: bearer(key) });
        expect(answer.status).toBe(200);
        expect(answer.headers.get("x-ratelimit-limit")).toBe("10");
        remaining.push(Number(answer.headers.get("x-ratelimit-remaining")));
      }
      expect(remaining).toEqual([11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0]);
      const refused = await send(replicas[0] as TestService, "GET /v1/me", { headers: bearer(key) });
      expect(refused).toMatchObject({ status: 429, body: { code: "RATE_LIMIT_EXCEEDED" } });
      expect(refused.headers.get("x-ratelimit-remaining")).toBe("0");
      const resetInSeconds = Number(refused.headers.get("x-ratelimit-reset")) - Date.now() / 1000;
      expect(resetInSeconds).toBeGreaterThan(60);
      expect(resetInSeconds).toBeLessThanOrEqual(73);
      expect(Number(refused.headers.get("retry-after"))).toBeLessThanOrEqual(6);
    });
  });

  test.each([1, 7, 10, 1000, 999_983])("both limiters say the same of a limit of %i", async (limit) => {
    let now = 0;
    const local = new LocalRateLimiter(() => now);
    const shared = await openSharedRateLimiter(redis.url, Date.now);
    const id = `same-${limit}-${process.pid}`;
    const calls: ("take" | "peek")[] = ["peek", "take", "take", "peek", "take"];
    for (const call of calls) {
      const theirs = await shared.bucket(id)[call](limit, Date.now());
      now = Date.now();
      const ours = local.bucket(id)[call](limit, now);
      expect({ ...theirs, remaining: 0, resetAt: 0 }).toEqual({ ...ours, remaining: 0, resetAt: 0 });
      // They read their clocks a moment apart.
      expect(Math.abs(theirs.remaining - ours.remaining)).toBeLessThanOrEqual(Math.ceil((limit / 60_000) * 200));
      expect(Math.abs(theirs.resetAt - ours.resetAt)).toBeLessThanOrEqual(1);
    }
    await shared.close();
    await local.close();
  });

  describe("while Redis is away", () => {
    const admitted = async (limiter: RateLimiter, id: string, tries: number) => {
      let count = 0;
      for (let sent = 0; sent < tries; sent++) if ((await take(limiter, id, 10)).allowed) count += 1;
      return count;
    };

    test("each process limits for itself, and together again when it is back", async () => {
      let own = await startRedis();
      const port = Number(new URL(own.url).port);
      const pair = [
        await openSharedRateLimiter(own.url, Date.now),
        await openSharedRateLimiter(own.url, Date.now),
      ] as const;
      expect(await admitted(pair[0], "a", 20)).toBe(12);
      expect(await admitted(pair[1], "a", 20)).toBe(0);
      await own.stop();
      expect(await admitted(pair[0], "b", 20)).toBe(12);
      expect(await admitted(pair[1], "b", 20)).toBe(12);
      own = await startRedis(port);
      let id = 0;
      await expect
        .poll(async () => (await admitted(pair[0], `c${++id}`, 20)) + (await admitted(pair[1], `c${id}`, 20)), {
          timeout: 10_000,
        })
        .toBe(12);
      await Promise.all(pair.map((limiter) => limiter.close()));
      await own.stop();
    });

    test("a Redis that hangs costs a request a fifth of a second, once", async () => {
      const own = await startRedis();
      const limiter = await openSharedRateLimiter(own.url, Date.now);
      await take(limiter, "a", 10);
      process.kill(own.pid, "SIGSTOP");
      const took = async () => {
        const started = performance.now();
        await Promise.all(Array.from({ length: 50 }, () => take(limiter, "a", 1000)));
        return performance.now() - started;
      };
      expect(await took()).toBeLessThan(600);
      expect(await took()).toBeLessThan(20);
      process.kill(own.pid, "SIGCONT");
      await expect.poll(() => take(limiter, "a", 10) instanceof Promise, { timeout: 10_000 }).toBe(true);
      expect(await take(limiter, "fresh", 10)).toMatchObject({ allowed: true, remaining: 11 });
      await limiter.close();
      await own.stop();
    });

    test("one that was never there does not keep the service from starting", async () => {
      const started = performance.now();
      const limiter = await openSharedRateLimiter("redis://127.0.0.1:1", Date.now);
      expect(performance.now() - started).toBeLessThan(3_000);
      expect(await admitted(limiter, "a", 20)).toBe(12);
      await limiter.close();
    });
  });

  test("nothing is left in Redis of a bucket that is full again", async () => {
    const limiter = await openSharedRateLimiter(redis.url, Date.now);
    await take(limiter, "brief", 60_000);
    await sleep(50);
    expect(await limiter.bucket("brief").peek(60_000, Date.now())).toMatchObject({ remaining: 72_000 });
    await limiter.close();
  });
});
