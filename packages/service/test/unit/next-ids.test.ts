import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { OptimisticSequence } from "../../src/logs/engines/postgres/optimistic-sequence.ts";

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["performance"] });
});
afterEach(() => {
  vi.useRealTimers();
});

const counts = (...of: [project: number, count: number][]) => new Map(of);

function learned(lastIds: [project: number, lastId: number][]): OptimisticSequence {
  const ids = new OptimisticSequence();
  const projects = lastIds.map(([project]) => project);
  ids.ask(projects);
  ids.asked(projects, new Map(lastIds));
  return ids;
}

test("commits take ids one after the other, once the last is known", () => {
  const ids = learned([[1, 100]]);
  expect(ids.take(counts([1, 5]))?.heads).toEqual(new Map([[1, 100]]));
  expect(ids.take(counts([1, 1]))?.heads).toEqual(new Map([[1, 105]]));
  expect(ids.take(counts([1, 1], [2, 1]))).toBeUndefined();
  // Nothing was taken of the one that is known.
  expect(ids.take(counts([1, 1]))?.heads).toEqual(new Map([[1, 106]]));
});

test("while a commit asks, none takes ids; nor after it, when another still asks or it did not learn them", () => {
  const ids = learned([[1, 100]]);
  ids.ask([1]);
  expect(ids.take(counts([1, 1]))).toBeUndefined();
  ids.ask([1]);
  ids.asked([1], counts([1, 110]));
  expect(ids.take(counts([1, 1]))).toBeUndefined();
  ids.asked([1], counts([1, 120]));
  expect(ids.take(counts([1, 1]))?.heads).toEqual(new Map([[1, 120]]));
  ids.ask([1]);
  ids.asked([1], new Map());
  expect(ids.take(counts([1, 1]))).toBeUndefined();
});

test("where others write too, ids are asked for a while; where our own commit failed before, no longer than needed", () => {
  const askAgain = (ids: OptimisticSequence) => {
    ids.ask([1]);
    ids.asked([1], counts([1, 200]));
    return ids.take(counts([1, 1]))?.heads;
  };
  const ids = learned([[1, 100]]);
  const first = ids.take(counts([1, 5]));
  const second = ids.take(counts([1, 5]));
  if (!first || !second) throw new Error("not taken");
  ids.giveUp(first, false);
  // It could not but find others: the first of ours took none.
  ids.giveUp(second, true);
  expect(ids.take(counts([1, 1]))).toBeUndefined();
  expect(askAgain(ids)).toEqual(new Map([[1, 200]]));

  const third = ids.take(counts([1, 5]));
  if (!third) throw new Error("not taken");
  ids.giveUp(third, true);
  expect(askAgain(ids)).toBeUndefined();
  vi.advanceTimersByTime(9_999);
  expect(askAgain(ids)).toBeUndefined();
  vi.advanceTimersByTime(1);
  expect(askAgain(ids)).toEqual(new Map([[1, 200]]));
});
