import { expect, test } from "vitest";
import { fit, widthOf } from "../../src/output/width.ts";

// As tmux draws them.
test.each([
  ["plain", 5],
  ["日本", 4],
  ["한글", 4],
  ["\u1112\u1161\u11ab", 2],
  ["🇩🇪", 2],
  ["👩‍👩‍👧‍👦", 2],
  ["👍🏽", 2],
  ["❤️", 2],
  ["1️⃣", 2],
  ["😀", 2],
  ["हिन्दी", 5],
  ["தமிழ்", 4],
  ["မြန်မာ", 5],
  ["🫠", 2],
  ["⌚", 2],
  ["☎", 1],
  ["ｱ", 1],
  ["Ａ", 2],
  ["〽", 2],
  ["㎏", 2],
  ["🏴󠁧󠁢󠁥󠁮󠁧󠁿", 2],
  ["𠮷", 2],
  ["﷽", 1],
  ["é", 1],
  ["e\u0301", 1],
  ["שלום", 4],
  ["…", 1],
])("%s takes %s cells", (text, cells) => {
  expect(widthOf(text)).toBe(cells);
  expect(widthOf(`a${text}b`)).toBe(cells + 2);
});

test("what is shown as one character is cut as one", () => {
  expect(fit("👩‍👩‍👧‍👦👩‍👩‍👧‍👦👩‍👩‍👧‍👦", 5)).toBe("👩‍👩‍👧‍👦👩‍👩‍👧‍👦…");
  expect(fit("🇩🇪🇫🇷🇮🇹", 4)).toBe("🇩🇪…");
  expect(fit("हिन्दी", 4)).toBe("हि…");
});
