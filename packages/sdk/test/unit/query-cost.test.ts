import fc from "fast-check";
import { expect, test } from "vitest";
import { evaluate, parseQuery, type QueriedEntry, StepLimitError, StepMeter } from "../../src/protocol/index.ts";
import { findText } from "../../src/protocol/query/find-text.ts";
import { parseRegex } from "../../src/protocol/query/regex.ts";

const longestQuery = 4_096;
const longestText = 256 * 1024;

function entryOf(message: string): QueriedEntry {
  return {
    level: 2,
    service: "web",
    environment: null,
    traceId: null,
    spanId: null,
    message,
    attributes: { k: message },
  };
}

function stepsOf(query: string, text: string): number {
  const { ast } = parseQuery(query.slice(0, longestQuery));
  const meter = new StepMeter();
  evaluate(ast, entryOf(text), meter);
  return meter.steps;
}

function filled(pattern: string, length = longestText): string {
  return pattern.repeat(Math.ceil(length / pattern.length)).slice(0, length);
}

/** Ideographs two apart, so that each is a range of its own. */
const ideographs = Array.from({ length: 1_200 }, (_, index) => String.fromCodePoint(0x4e00 + 2 * index)).join("");

test.each<[string, string, string]>([
  ["a class of 1,200 ranges, 100 times", `/[${ideographs}]{100}b?$/`, filled(ideographs.slice(-1))],
  ["a class of 1,200 ranges on all of its characters", `/[${ideographs}]{100}b?$/`, filled(ideographs)],
  ["a long repetition", "/[ab]{99}c?$/", filled("ab")],
  ["repetitions in a repetition", "/(a+a+)+b/", filled("a")],
  ["alternatives that overlap", "/(a|aa|aaa)+b/", filled("a")],
  ["words", String.raw`/\bfoo\b.*\d+x/`, filled("foo 12 ")],
  ["runs of anything", `*${"x*y*".repeat(1_000)}z`, filled("xy")],
  ["runs of anything in a field", `@k:${"a*b".repeat(1_300)}c`, filled("ab")],
  ["single characters", "a?b?c", filled("ab")],
  ["a text that nearly occurs everywhere", `"${"a".repeat(2_000)}b${"a".repeat(2_000)}"`, filled("a")],
])("%s cost a few steps for each character of the text", (_, query, text) => {
  stepsOf(query, text.slice(0, 1_000));
  const half = stepsOf(query, text.slice(0, longestText / 2));
  const whole = stepsOf(query, text);
  expect(whole).toBeLessThan(8 * longestText);
  expect(whole).toBeLessThan(2.5 * half + 100_000);
});

test("a pattern of thousands of single characters costs a step for each 32 of them", () => {
  expect(stepsOf(`${"a?".repeat(1_900)}b`, filled("a"))).toBeLessThan(longestText * (3_801 / 32 + 3));
});

test("250 words, and 1,000 values of a list, cost less than eight looks at each character", () => {
  expect(stepsOf(Array.from({ length: 250 }, (_, index) => `w${index}`).join(" OR "), filled("the fox "))).toBeLessThan(
    8 * longestText,
  );
  expect(stepsOf(`k:(${filled("x* OR ", 1_900)}y)`, filled("a"))).toBeLessThan(8 * longestText);
});

test.each<[string, string, string]>([
  ["an expression with more states than are kept", "/a[ab]{90}[ab]{9}c/", randomText("ab")],
  ["250 expressions", filled("/a[ab]c/ OR ", 4_090), filled("ab")],
  ["a pattern of thousands of single characters", `${"a?".repeat(1_900)}b`, filled("a")],
])("%s stop at the limit of steps", (_, query, text) => {
  const { ast } = parseQuery(query.slice(0, longestQuery));
  const meter = new StepMeter(2_000_000);
  expect(() => evaluate(ast, entryOf(text), meter)).toThrow(StepLimitError);
  // What is counted at once is little.
  expect(meter.steps).toBeLessThan(2_100_000);
});

test("a common query takes a few steps", () => {
  expect(stepsOf("level:>=warn service:api timeout -health /time(out|r)/", "GET /v1/users took 3000 ms")).toBeLessThan(
    50,
  );
  expect(stepsOf("timeout", "GET /v1/users took 3000 ms")).toBeLessThan(20);
});

test("an expression that forgets its states finds what it found before", () => {
  const regex = "/a[ab]{60}c/";
  const text = randomText("ab", 20_000);
  const matching = `${text}a${"b".repeat(60)}c`;
  const { ast } = parseQuery(regex);
  expect(evaluate(ast, entryOf(text))).toBe(false);
  expect(evaluate(ast, entryOf(matching))).toBe(true);
  expect(evaluate(ast, entryOf(text))).toBe(false);
});

test("an expression of too many classes is refused before their cases are looked up", () => {
  expect(parseRegex("[é-ﻼ]".repeat(800))).toEqual({ refused: "is too large" });
});

test("a text is found where indexOf finds it", () => {
  const letters = fc.array(fc.constantFrom("a", "b"), { maxLength: 400 }).map((all) => all.join(""));
  const long = fc.tuple(letters, fc.constant("ab".repeat(70)), letters).map((all) => all.join(""));
  fc.assert(
    fc.property(long, letters, letters, fc.boolean(), fc.nat(20), (wanted, before, behind, occurs, from) => {
      const text = before + (occurs ? wanted : wanted.slice(1)) + behind;
      expect(findText(wanted, text, from, new StepMeter())).toBe(text.indexOf(wanted, from));
    }),
  );
});

test("a pattern covers what the same regular expression matches", () => {
  const parts = fc.array(fc.constantFrom("a", "b", "é", "🚒", "*", "?"), { minLength: 1, maxLength: 80 });
  const texts = fc.array(fc.constantFrom("a", "b", "É", "🚒"), { maxLength: 90 });
  fc.assert(
    fc.property(parts, texts, (pattern, characters) => {
      const word = pattern.join("");
      fc.pre(/[*?]/.test(word) && !/^[*?]+$/.test(word));
      const text = characters.join("");
      const expression = word.replace(/[*?]/g, (wildcard) => (wildcard === "*" ? ".*" : "."));
      const covers = evaluate(parseQuery(`@k:${word}`).ast, entryOf(text));
      expect([word, text, covers]).toEqual([word, text, new RegExp(`^(?:${expression})$`, "siu").test(text)]);
      const occurs = evaluate(parseQuery(`message:${word}`).ast, entryOf(text));
      expect([word, text, occurs]).toEqual([word, text, new RegExp(expression, "siu").test(text)]);
    }),
    { numRuns: 2_000 },
  );
});

/** The same text in each run. */
function randomText(letters: string, length = longestText): string {
  let state = 1;
  return Array.from({ length }, () => {
    state = (state * 1_103_515_245 + 12_345) % 2 ** 31;
    return letters[(state >> 16) % letters.length];
  }).join("");
}
