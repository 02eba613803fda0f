import { expect, test } from "vitest";
import { GroupCommit } from "../../src/logs/commit-log/group-commit.ts";
import type { LogBatch } from "../../src/logs/log-store.ts";

test("what was prepared is committed, or abandoned when its credential may no longer store", async () => {
  const [committed, abandoned]: [number[], number[]] = [[], []];
  const queue = new GroupCommit<number>({
    lanes: 2,
    rowsPerCommit: 10,
    queueBytes: 1_000,
    prepare: ({ bytes }) => bytes,
    commit: async (works) => {
      committed.push(...works);
      return works.map((work) => ({ accepted: work }));
    },
    isRefused: () => false,
    abandon: (work) => abandoned.push(work),
  });
  const batch = (bytes: number): LogBatch => ({ projectNumber: 1, entries: [], bytes, result: { accepted: bytes } });
  const revoked = () => {
    throw new Error("revoked");
  };
  const answers = await Promise.allSettled([
    queue.append(batch(1)),
    queue.append(batch(2), { assertStillAllowed: revoked }),
    queue.append(batch(3), { assertStillAllowed: async () => revoked() }),
    queue.append(batch(4)),
  ]);
  await queue.drain();
  expect(answers.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "rejected", "fulfilled"]);
  expect([committed.sort(), abandoned.sort()]).toEqual([
    [1, 4],
    [2, 3],
  ]);
});
