import { hash } from "node:crypto";
import { makeKey } from "@sazabi/sdk/protocol";
import fc from "fast-check";
import { expect, test } from "vitest";
import { digestOf, digestWordsOf, wordsOf } from "../../src/auth/key-digest.ts";
import { shortSha256 } from "../../src/auth/short-sha256.ts";

const hexOf = (words: Int32Array | undefined) =>
  words && [...words].map((word) => (word >>> 0).toString(16).padStart(8, "0")).join("");

const ascii = (lengths: { minLength: number; maxLength: number }) =>
  fc.string({ ...lengths, unit: fc.integer({ min: 0, max: 0x7f }).map((code) => String.fromCharCode(code)) });

test("a text of each length that fits has the SHA-256 that everybody else computes", () => {
  for (let length = 0; length <= 55; length++) {
    fc.assert(
      fc.property(ascii({ minLength: length, maxLength: length }), (text) => {
        expect(hexOf(shortSha256(text))).toBe(hash("sha256", text));
      }),
      { numRuns: 50 },
    );
  }
});

test.each([
  ["secret", "live"],
  ["public", "live"],
  ["secret", "sazabi"],
  ["public", "sazabi"],
] as const)("a %s key in the style %s is short enough", (kind, style) => {
  const key = makeKey(kind, style, (below) => Math.floor(Math.random() * below));
  expect(hexOf(shortSha256(key))).toBe(hash("sha256", key));
});

test("a text that is left to others leaves nothing to the next", () => {
  expect(shortSha256(`${"x".repeat(40)}\u0080`)).toBeUndefined();
  expect(hexOf(shortSha256("y"))).toBe(hash("sha256", "y"));
});

test.each([["x".repeat(56)], ["\u0080"], ["schlüssel"], ["\u{1f511}"]])("%s is left to others", (text) => {
  expect(shortSha256(text)).toBeUndefined();
});

test("any text has one digest, as numbers and as a text", () => {
  fc.assert(
    fc.property(
      fc.oneof(ascii({ minLength: 0, maxLength: 80 }), fc.string({ unit: "grapheme", maxLength: 80 })),
      (text) => {
        expect(hexOf(digestWordsOf(text))).toBe(hash("sha256", text));
        expect([...wordsOf(digestOf(text))]).toEqual([...digestWordsOf(text)]);
      },
    ),
    { numRuns: 2_000 },
  );
});
