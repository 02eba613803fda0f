import { expect, test } from "vitest";
import { FairGate, inTurn, TimeSlices } from "../../src/concurrency/event-loop-fairness.ts";

test("of those who are ready together, one goes on in each round of the event loop", async () => {
  let round = 0;
  let isOver = false;
  const count = () => {
    round += 1;
    if (!isOver) setImmediate(count);
  };
  setImmediate(count);
  const rounds = await Promise.all([1, 2, 3, 4].map(() => inTurn().then(() => round)));
  isOver = true;
  expect(new Set(rounds).size).toBe(4);
  expect(rounds).toEqual([...rounds].sort((a, b) => a - b));
});

test("a gate lets one in at a time, and holders take turns however many callers one of them has", async () => {
  const gate = new FairGate();
  const order: string[] = [];
  let inside = 0;
  const pass = async (holder: string) => {
    const leave = await gate.enter(holder);
    inside += 1;
    expect(inside).toBe(1);
    order.push(holder);
    await inTurn();
    inside -= 1;
    leave();
  };
  await Promise.all(["a", "a", "a", "a", "b", "c", "b"].map(pass));
  expect(order.join("")).toBe("aabcaba");
  await pass("d");
});

test("long work is divided into slices", async () => {
  const slices = new TimeSlices();
  await slices.next();
  let waits = 0;
  const until = performance.now() + 50;
  while (performance.now() < until) {
    const wait = slices.spend(10_000);
    if (wait) waits += 1;
    await wait;
  }
  expect(waits).toBeGreaterThan(0);
  expect(slices.spend(1)).toBeUndefined();
});
