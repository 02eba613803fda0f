import fc from "fast-check";
import { expect, test } from "vitest";
import {
  caseVariants,
  compareText,
  decimalText,
  fold,
  readNumber,
  sanitizeText,
} from "../../src/protocol/query/text.ts";

const text = fc.string({ unit: "binary", maxLength: 20 });

test("folding is per character, and folding again changes nothing", () => {
  for (let point = 0; point < 0x20000; point++) {
    if (point >= 0xd800 && point < 0xe000) continue;
    const character = String.fromCodePoint(point);
    const folded = fold(character);
    if (fold(folded) !== folded || Array.from(folded).length !== 1) throw new Error(`U+${point.toString(16)}`);
    if (folded !== character && !caseVariants(folded).includes(character)) throw new Error(`U+${point.toString(16)}`);
  }
  fc.assert(
    fc.property(text, (any) => {
      expect(fold(any)).toBe(Array.from(any, (character) => fold(character)).join(""));
    }),
  );
});

test.each([
  ["ÄÖÜ", "äöü"],
  ["ΣΊΣΥΦΟΣ", "σίσυφοσ"],
  ["ẞ", "ß"],
  ["İI", "İi"],
  ["\u212a", "\u212a"],
  ["𐐀", "𐐨"],
])("%s folds to %s", (any, folded) => {
  expect(fold(any)).toBe(folded);
});

test("text is ordered as its UTF-8 bytes are", () => {
  fc.assert(
    fc.property(text, text, (a, b) => {
      const [left, right] = [sanitizeText(a), sanitizeText(b)];
      expect(Math.sign(compareText(left, right))).toBe(Buffer.from(left).compare(Buffer.from(right)));
    }),
  );
});

test("what is stored can be stored, and stays as long as it was", () => {
  fc.assert(
    fc.property(text, (any) => {
      const kept = sanitizeText(any);
      expect(kept).not.toMatch(/\0|\p{Surrogate}/u);
      expect(kept).toHaveLength(any.length);
      expect(sanitizeText(kept)).toBe(kept);
    }),
  );
});

test.each([
  [1e21, "1000000000000000000000"],
  [1.5e-7, "0.00000015"],
  [-1.25e22, "-12500000000000000000000"],
  [5e-324, `0.${"0".repeat(323)}5`],
  [-0, "0"],
  [500, "500"],
  [0.1, "0.1"],
])("%s is written %s", (value, written) => {
  expect(decimalText(value)).toBe(written);
});

test("numbers in text", () => {
  for (const good of ["0", "500", "-1.5", "+2", ".5", "5.", "1e3", "1E-99"])
    expect(readNumber(good)).toBe(Number(good));
  for (const bad of ["", " 5", "0x1f", "1,000", "Infinity", "NaN", "1e400", "-", ".", "e5", "9".repeat(31), "５"]) {
    expect(readNumber(bad)).toBeUndefined();
  }
});
