import { expect, test } from "vitest";
import { inTurn } from "../../src/http/in-turn.ts";

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
