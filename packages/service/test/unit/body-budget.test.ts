import { expect, test } from "vitest";
import { BodyBudget } from "../../src/http/body-budget.ts";

const stranger = "192.0.2.1";
const other = "192.0.2.2";
const newBudget = () => new BodyBudget({ keyedBytes: 1_200, keylessBytes: 300 });

const ofKey = (keyId: string, projectId = `project of ${keyId}`, organizationId = `organization of ${keyId}`) =>
  [organizationId, projectId, keyId] as const;
const tooMuch = (of: string) =>
  expect.objectContaining({
    code: "RATE_LIMIT_EXCEEDED",
    message: expect.stringContaining(`This ${of} has too many`),
    options: { retryAfterSeconds: 1 },
  });

test("one organization gets half of the budget, one project a third, one key a quarter", () => {
  const budget = newBudget();
  budget.reserve(ofKey("a"), stranger).grow(300);
  expect(() => budget.reserve(ofKey("a"), other).grow(1)).toThrow(tooMuch("key"));
  budget.reserve(ofKey("b", "project of a", "organization of a"), stranger).grow(60);
  budget.reserve(ofKey("c", "p", "organization of a"), stranger).grow(40);
  expect(budget.gauges().keyed.bytes).toBe(400);
});

test.each([
  ["keys", (n: number) => ofKey(`${n}`, "p", "o")],
  ["projects", (n: number) => ofKey(`${n}`, `${n}`, "o")],
])("many %s of an organization leave others half of the budget", (_, holders) => {
  const budget = newBudget();
  for (let n = 0; n < 200; n++) {
    const reservation = budget.reserve(holders(n), stranger);
    const fill = () => {
      for (;;) reservation.grow(1);
    };
    expect(fill).toThrow(expect.objectContaining({ code: "RATE_LIMIT_EXCEEDED" }));
  }
  expect(budget.gauges().keyed.bytes).toBeLessThanOrEqual(600);
  budget.reserve(ofKey("another"), stranger).grow(150);
});

test("when nothing is left, everybody is refused", () => {
  const budget = newBudget();
  for (let n = 0; n < 6; n++) budget.reserve(ofKey(`${n}`), stranger).grow(300 / 2 ** n);
  expect(() => budget.reserve(ofKey("last"), stranger).grow(700)).toThrow(
    expect.objectContaining({ code: "UNAVAILABLE", options: { retryAfterSeconds: 1 } }),
  );
});

test("what is released is there for others", () => {
  const budget = newBudget();
  const first = budget.reserve(ofKey("first"), stranger);
  first.grow(300);
  const second = budget.reserve(ofKey("second"), stranger);
  second.grow(200);
  expect(() => second.grow(100)).toThrow(tooMuch("key"));
  first.release();
  second.grow(100);
});

test("what was refused takes nothing, and what is released is released once", () => {
  const budget = newBudget();
  const reservation = budget.reserve(ofKey("first"), stranger);
  reservation.grow(250);
  expect(() => reservation.grow(200)).toThrow();
  expect(budget.gauges().keyed).toEqual({ bytes: 250, limitBytes: 1_200, refused: 1 });
  reservation.release();
  reservation.release();
  expect(budget.gauges().keyed).toEqual({ bytes: 0, limitBytes: 1_200, refused: 1 });
});

test("bodies without a key take nothing from those with one, and an address nothing from another", () => {
  const budget = newBudget();
  budget.reserve(undefined, stranger).grow(150);
  expect(() => budget.reserve(undefined, stranger).grow(1)).toThrow(
    expect.objectContaining({ code: "RATE_LIMIT_EXCEEDED" }),
  );
  budget.reserve(undefined, other).grow(75);
  budget.reserve(ofKey("key"), stranger).grow(300);
  // Of IPv6 a subscriber has a /64.
  budget.reserve(undefined, "2001:db8::1").grow(37);
  expect(() => budget.reserve(undefined, "2001:db8::2").grow(1)).toThrow();
});
