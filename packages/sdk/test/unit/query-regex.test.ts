import fc from "fast-check";
import { expect, test } from "vitest";
import { matchesRegex } from "../../src/protocol/query/match-regex.ts";
import { parseRegex, printRegex, type Regex } from "../../src/protocol/query/regex.ts";

function parsed(source: string): Regex {
  const regex = parseRegex(source);
  if ("refused" in regex) throw new Error(`${source} ${regex.refused}`);
  return regex;
}

test.each([
  ["time(out|r)", "TIMEOUT", true],
  ["^a.c$", "a\nc", true],
  ["^b", "ab", false],
  ["\\d{3}", "id 42", false],
  ["\\d{3}", "id 421", true],
  ["(\\d{1,3}\\.){3}\\d{1,3}", "from 10.0.0.1:80", true],
  ["[^a-z]", "ABC", false],
  ["\\bcat\\b", "a cat.", true],
  ["\\bcat\\b", "concat", false],
  ["[é-ü]", "É", true],
  ["straße", "STRAẞE", true],
  ["a{2}", "aa", true],
  ["a{", "a{", true],
  ["x*?y", "xxy", true],
  [".", "🚒", true],
  ["^.$", "🚒", true],
  ["[🚒-🚓]", "🚓", true],
  ["a||b", "zzz", true],
])("/%s/ on %s", (source, text, expected) => {
  expect(matchesRegex(parsed(source), text)).toBe(expected);
});

test.each([
  "(",
  ")",
  "a)",
  "[a",
  "[b-a]",
  "*a",
  "a**",
  "a{3,2}",
  "a{101}",
  "(a{50}){50}",
  "(a*)*",
  "(a|)+",
  "(^a)*",
  "(?=a)",
  "(?<n>a)",
  "\\1",
  "\\p{L}",
  "\\u0041",
  "a\\",
  "[[:alpha:]]",
  "(".repeat(30) + ")".repeat(30),
])("/%s/ is refused", (source) => {
  expect(parseRegex(source)).toEqual({ refused: expect.stringMatching(/^[a-z]/) });
});

/** Asked at the beginning of each character: V8, left to search, finds `\B` between the two halves of one, too. */
function findsAnywhere(sticky: RegExp, text: string): boolean {
  let start = 0;
  for (const character of [...text, ""]) {
    sticky.lastIndex = start;
    if (sticky.test(text)) return true;
    start += character.length;
  }
  return false;
}

test("it finds what the regular expressions of JavaScript find", () => {
  const sources = fc.letrec<{ all: string; atom: string }>((tie) => ({
    all: fc
      .array(fc.tuple(tie("atom"), fc.constantFrom("", "", "", "*", "+", "?", "{2}", "{1,3}", "{0,}", "+?")), {
        maxLength: 4,
      })
      .map((parts) => parts.map(([atom, times]) => `${atom}${times}`).join("")),
    atom: fc.oneof(
      { depthSize: "small" },
      fc.constantFrom(
        "a",
        "B",
        "é",
        "ß",
        "Σ",
        ".",
        "\\d",
        "\\W",
        "\\b",
        "\\B",
        "^",
        "$",
        "[a-c]",
        "[^a]",
        "[\\w-]",
        "🚒",
        "[À-Ý]",
      ),
      tie("all").map((inside) => `(${inside})`),
      fc.tuple(tie("all"), tie("all")).map(([left, right]) => `(?:${left}|${right})`),
    ),
  })).all;
  const texts = fc.array(fc.constantFrom(..."aAbBc0_ -éÉßẞσςΣ🚒\n"), { maxLength: 8 }).map((parts) => parts.join(""));
  let compared = 0;
  fc.assert(
    fc.property(sources, fc.array(texts, { minLength: 3, maxLength: 3 }), (source, samples) => {
      const regex = parseRegex(source);
      if ("refused" in regex) return;
      const theirs = new RegExp(printRegex(regex, { word: "\\b", inside: "\\B" }), "suy");
      for (const text of samples) {
        expect([source, text, matchesRegex(regex, text)]).toEqual([source, text, findsAnywhere(theirs, text)]);
        compared += 1;
      }
    }),
    { numRuns: 3000 },
  );
  expect(compared).toBeGreaterThan(2000);
});
