import fc from "fast-check";
import { expect, test } from "vitest";
import { FairQueueQuota } from "../../src/logs/commit-log/fair-queue-quota.ts";

test("one project may fill the room when it is alone, and is refused beyond", () => {
  const room = new FairQueueQuota(100);
  for (let taken = 0; taken < 10; taken++) expect(room.take(1, 10)).toBe(true);
  expect(room.take(1, 10)).toBe(false);
  room.give(1, 10);
  expect(room.take(1, 10)).toBe(true);
});

test("a project that floods does not keep a small one out", () => {
  const room = new FairQueueQuota(100);
  while (room.take(1, 10));
  for (let taken = 0; taken < 5; taken++) expect(room.take(2, 10)).toBe(true);
  expect(room.take(2, 10)).toBe(false);
  expect(room.take(1, 10)).toBe(false);
  expect(room.take(3, 10)).toBe(true);
});

test("a request larger than the room is let in when nothing waits", () => {
  const room = new FairQueueQuota(100);
  expect(room.take(1, 500)).toBe(true);
  expect(room.take(1, 1)).toBe(false);
  room.give(1, 500);
  expect(room.take(1, 1)).toBe(true);
});

test("whatever comes and goes, no more than twice the room is held, and all of it is given back", () => {
  const step = fc.record({
    project: fc.integer({ min: 1, max: 20 }),
    bytes: fc.integer({ min: 1, max: 60 }),
    give: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 300 }), (steps) => {
      const room = new FairQueueQuota(100);
      const held: { project: number; bytes: number }[] = [];
      for (const { project, bytes, give } of steps) {
        const oldest = give ? held.shift() : undefined;
        if (oldest) room.give(oldest.project, oldest.bytes);
        else if (room.take(project, bytes)) held.push({ project, bytes });
        expect(held.reduce((sum, one) => sum + one.bytes, 0)).toBeLessThanOrEqual(200);
      }
      for (const { project, bytes } of held) room.give(project, bytes);
      expect(room.take(1, 1000)).toBe(true);
    }),
  );
});
