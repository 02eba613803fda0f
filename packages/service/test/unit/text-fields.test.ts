import { describe, expect, test } from "vitest";
import { hasHiddenCharacter, hasHiddenInLines, isVisible } from "../../src/http/text-fields.ts";

describe("a name", () => {
  test.each([
    "CI/CD pipeline",
    'prod:api = "x" & y\'s',
    "Müller 2. Stück €5",
    "客户端 キー 한국어 ключ κλειδί",
    "مفتاح الإنتاج",
    "می‌خواهم", // ZWNJ between Persian letters
    "क्‍ष", // ZWJ in a Devanagari conjunct
    "🚀 👍🏽 👨‍👩‍👧 ❤️ 1️⃣ 🇩🇪 🏳️‍🌈 ☎︎",
    "é (combining)",
    "ideographic　space",
  ])("may be %s", (text) => {
    expect(hasHiddenCharacter(text)).toBe(false);
    expect(isVisible(text)).toBe(true);
  });

  test.each([
    ["a control character", "a\u0007b"],
    ["a newline", "a\nb"],
    ["C1", "a\u009bb"],
    ["a line separator", "a\u2028b"],
    ["right-to-left override", "a\u202eb"],
    ["an isolate", "a\u2066b\u2069"],
    ["a left-to-right mark", "a\u200eb"],
    ["an Arabic letter mark", "a\u061cb"],
    ["a zero-width space", "ad\u200bmin"],
    ["a zero-width joiner in Latin", "ad\u200dmin"],
    ["a zero-width non-joiner in Cyrillic", "а\u200cб"],
    ["a joiner at the beginning", "\u200dadmin"],
    ["a word joiner", "ad\u2060min"],
    ["a soft hyphen", "ad\u00admin"],
    ["a byte order mark", "admin\ufeff"],
    ["a Hangul filler", "\u3164"],
    ["a halfwidth Hangul filler", "a\uffa0"],
    ["a combining grapheme joiner", "a\u034fb"],
    ["a variation selector behind a letter", "a\ufe0f"],
    ["another variation selector", "a\ufe01"],
    ["a supplementary variation selector", "a\u{e0101}"],
    ["tags", "a\u{e0061}\u{e0062}"],
    ["a private character", "a\ue000"],
    ["a noncharacter", "a\uffff"],
    ["half a surrogate pair", "a\ud800b"],
  ])("must not hold %s", (_, text) => {
    expect(hasHiddenCharacter(text)).toBe(true);
    expect(hasHiddenInLines(`fine\n${text}`)).toBe(text !== "a\nb");
  });

  test.each(["", " ", "\u2800", "\u0301", "\u00a0\u3000"])("%j shows nothing", (text) => {
    expect(isVisible(text)).toBe(false);
  });
});
