import { expect, test } from "vitest";
import { UnsentAnswers } from "../../src/http/unsent-answers.ts";

function open(limit: number) {
  const answers = new UnsentAnswers(limit);
  const cutOff: string[] = [];
  const hold = (key: string, name: string, bytes: number, organization = "o") =>
    answers.hold([organization, "p", key], bytes, () => cutOff.push(name));
  return { answers, cutOff, hold };
}

test("answers within the limit are left alone, and give back what was taken", () => {
  const { answers, cutOff, hold } = open(100);
  const first = hold("a", "first", 60);
  first.sent(30);
  hold("a", "second", 70).release();
  expect(answers.gauges()).toEqual({ bytes: 30, cutOff: 0 });
  first.release();
  first.release();
  first.sent(10);
  expect(answers.gauges()).toEqual({ bytes: 0, cutOff: 0 });
  expect(cutOff).toEqual([]);
});

test("beyond it, the one of which nothing was taken for longest is cut off", () => {
  const { answers, cutOff, hold } = open(100);
  const first = hold("a", "first", 40);
  hold("a", "second", 40);
  first.sent(10);
  hold("a", "third", 40);
  expect(cutOff).toEqual(["second"]);
  expect(answers.gauges()).toEqual({ bytes: 70, cutOff: 1 });
});

test("it is one of the key that holds most", () => {
  const { cutOff, hold } = open(100);
  hold("b", "of another key", 40);
  hold("a", "first", 30);
  hold("a", "second", 20);
  hold("a", "third", 20);
  expect(cutOff).toEqual(["first"]);
});

test("many keys of one organization do not have another's answer cut off", () => {
  const { cutOff, hold } = open(100);
  for (const key of ["a", "b", "c", "d", "e"]) hold(key, `of ${key}`, 18);
  hold("z", "another organization's", 40, "other");
  expect(cutOff).toEqual(["of a", "of b"]);
});

test("an answer that is larger than the limit is cut off itself", () => {
  const { answers, cutOff, hold } = open(100);
  hold("a", "first", 101);
  expect(cutOff).toEqual(["first"]);
  expect(answers.gauges().bytes).toBe(0);
});
