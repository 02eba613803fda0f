import { expect, test } from "vitest";
import type { ApiError } from "../../src/errors.ts";
import { ByteMeter } from "../../src/logs/ingest/byte-rate-limit.ts";

/** Seconds to wait; 0 when the bytes were taken. */
function take(meter: ByteMeter, projectNumber: number, bytes: number): number {
  try {
    meter.take(projectNumber, bytes);
    return 0;
  } catch (error) {
    return (error as ApiError).options.retryAfterSeconds ?? Number.NaN;
  }
}

test("a project may send ten seconds' worth at once, then as fast as the limit says", () => {
  let now = 0;
  const meter = new ByteMeter(1_000, () => now);
  for (let sent = 0; sent <= 10_000; sent += 1_000) expect(take(meter, 1, 1_000)).toBe(0);
  expect(take(meter, 1, 1_000)).toBe(1);
  now += 1_000;
  expect(take(meter, 1, 1_000)).toBe(0);
  expect(take(meter, 1, 1)).toBe(1);
});

test("one project's sending costs another nothing", () => {
  const meter = new ByteMeter(1_000, () => 0);
  take(meter, 1, 1_000_000);
  expect(take(meter, 1, 1)).toBe(990);
  expect(take(meter, 2, 1)).toBe(0);
});

test("what is larger than the limit is let in once the project has made up for what it sent before", () => {
  let now = 0;
  const meter = new ByteMeter(1_000, () => now);
  expect(take(meter, 1, 60_000)).toBe(0);
  const wait = take(meter, 1, 60_000);
  expect(wait).toBe(50);
  now += wait * 1_000;
  expect(take(meter, 1, 60_000)).toBe(0);
});
