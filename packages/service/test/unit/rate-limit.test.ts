import { expect, test } from "vitest";
import { fillMs, LocalRateLimiter } from "../../src/auth/rate-limit/rate-limit.ts";

test("a limiter that is full turns new ids away until a bucket is full again, and those it knows never", async () => {
  let nowMs = 1_000_000;
  const limiter = new LocalRateLimiter(() => nowMs);
  for (const id of ["a", "b"]) limiter.bucket(id).take(10, nowMs);
  expect([limiter.hasRoomFor("c", 3), limiter.hasRoomFor("c", 2), limiter.hasRoomFor("a", 2)]).toEqual([
    true,
    false,
    true,
  ]);
  // A request at 10 a minute is forgotten after 6 s; the others of "b" are not.
  for (let count = 0; count < 5; count++) limiter.bucket("b").take(10, nowMs);
  nowMs += 6_001;
  expect(limiter.hasRoomFor("c", 2)).toBe(true);
  limiter.bucket("c").take(10, nowMs);
  expect(limiter.hasRoomFor("d", 2)).toBe(false);
  nowMs += fillMs;
  expect(limiter.hasRoomFor("d", 2)).toBe(true);
  await limiter.close();
});
