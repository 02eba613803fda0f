import { expect, test } from "vitest";
import { BodyBudget } from "../../src/http/body-budget.ts";

const stranger = "192.0.2.1";
const other = "192.0.2.2";
const newBudget = () => new BodyBudget({ keyedBytes: 1_200, keylessBytes: 300 });

test("one key gets half of the budget, and there is room for others", () => {
  const budget = newBudget();
  const first = budget.reserve("first", stranger);
  first.grow(600);
  expect(() => budget.reserve("first", other).grow(1)).toThrow(
    expect.objectContaining({ code: "RATE_LIMIT_EXCEEDED", options: { retryAfterSeconds: 1 } }),
  );
  const second = budget.reserve("second", stranger);
  second.grow(300);
  budget.reserve("third", stranger).grow(150);
  expect(() => second.grow(1)).toThrow(expect.objectContaining({ code: "RATE_LIMIT_EXCEEDED" }));
  expect(() => budget.reserve("fourth", stranger).grow(200)).toThrow(
    expect.objectContaining({ code: "UNAVAILABLE", options: { retryAfterSeconds: 1 } }),
  );
  first.release();
  second.grow(150);
});

test("what was refused takes nothing, and what is released is released once", () => {
  const budget = newBudget();
  const reservation = budget.reserve("first", stranger);
  reservation.grow(500);
  expect(() => reservation.grow(200)).toThrow();
  expect(budget.gauges().keyed).toEqual({ bytes: 500, limitBytes: 1_200, holders: 1, refused: 1 });
  reservation.release();
  reservation.release();
  expect(budget.gauges().keyed).toEqual({ bytes: 0, limitBytes: 1_200, holders: 0, refused: 1 });
});

test("bodies without a key take nothing from those with one, and an address nothing from another", () => {
  const budget = newBudget();
  budget.reserve(undefined, stranger).grow(150);
  expect(() => budget.reserve(undefined, stranger).grow(1)).toThrow(
    expect.objectContaining({ code: "RATE_LIMIT_EXCEEDED" }),
  );
  budget.reserve(undefined, other).grow(75);
  budget.reserve("key", stranger).grow(600);
  // Of IPv6 a subscriber has a /64.
  budget.reserve(undefined, "2001:db8::1").grow(37);
  expect(() => budget.reserve(undefined, "2001:db8::2").grow(1)).toThrow();
});
