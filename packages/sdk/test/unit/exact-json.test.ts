import fc from "fast-check";
import { expect, test } from "vitest";
import { parseExactJson } from "../../src/protocol/index.ts";

test.each<[text: string, value: unknown]>([
  ["9007199254740993", "9007199254740993"],
  ["-9007199254740993", "-9007199254740993"],
  ["9007199254740991", 9007199254740991],
  ["-9007199254740991", -9007199254740991],
  ["9007199254740992", "9007199254740992"],
  ['{"id":9007199254740993,"b":1}', { id: "9007199254740993", b: 1 }],
  ['{ "id" : 9007199254740993 }', { id: "9007199254740993" }],
  ["[1,\n9007199254740993\t,-12345678901234567890]", [1, "9007199254740993", "-12345678901234567890"]],
  ['{"a":{"b":[9007199254740993]}}', { a: { b: ["9007199254740993"] } }],
  ['{"text":"a \\" 9007199254740993,"}', { text: 'a " 9007199254740993,' }],
  ['{"9007199254740993":9007199254740993}', { "9007199254740993": "9007199254740993" }],
  ["0.12345678901234567890", 0.12345678901234568],
  ["9007199254740993.0", 9007199254740992],
  ["9007199254740993e2", 900719925474099300],
  ["1e20", 1e20],
])("%s", (text, value) => {
  expect(parseExactJson(text)).toEqual(value);
});

test.each([
  "{9007199254740993:1}",
  '{"a":1,9007199254740993:2}',
  '{"a":1,9007199254740993}',
  "0009007199254740993",
  "--9007199254740993",
  "+9007199254740993",
  "1 9007199254740993",
  "9007199254740993 9007199254740993",
  '{"a":"9007199254740993',
  '"\\"9007199254740993',
  "9007199254740993x",
  "[9007199254740993",
])("%s is no JSON", (text) => {
  expect(() => JSON.parse(text)).toThrow(SyntaxError);
  expect(() => parseExactJson(text)).toThrow(SyntaxError);
});

test("is JSON.parse for any JSON without such integers", () => {
  const value = fc.oneof(
    fc.jsonValue(),
    fc.array(fc.oneof(fc.maxSafeInteger(), fc.double({ noNaN: true, noDefaultInfinity: true }), fc.string())),
    fc.dictionary(fc.string(), fc.stringMatching(/^[-0-9",:[\]\\ ]{0,40}$/)),
  );
  const isExact = (text: string) => !/(?<![\d.e])\d{16,}(?![\d.e])/.test(text.replace(/"(?:[^"\\]|\\.)*"/g, '""'));
  fc.assert(
    fc.property(value, fc.constantFrom(undefined, 2), (any, indent) => {
      const text = JSON.stringify(any, undefined, indent);
      fc.pre(isExact(text) || Math.abs(Number(text)) <= Number.MAX_SAFE_INTEGER);
      expect(parseExactJson(text)).toEqual(JSON.parse(text));
    }),
    { numRuns: 2_000 },
  );
});

test("every run of sixteen digits is seen, wherever it begins", () => {
  for (let before = 0; before < 40; before++) {
    for (let spaces = 0; spaces < 20; spaces++) {
      const text = `["${"x".repeat(before)}",123,${" ".repeat(spaces)}9007199254740993,1]`;
      expect(parseExactJson(text)).toEqual(["x".repeat(before), 123, "9007199254740993", 1]);
    }
  }
});

test("all integers are kept, or their digits are", () => {
  fc.assert(
    fc.property(fc.bigInt({ min: -(10n ** 25n), max: 10n ** 25n }), (integer) => {
      expect(String(parseExactJson(String(integer)))).toBe(String(integer));
    }),
  );
});
