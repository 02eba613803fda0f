import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { openPalette, resolveColour } from "../../src/output/colour.ts";
import { renderTable } from "../../src/output/table.ts";
import { safeJson, visible, visibleLines } from "../../src/output/visible.ts";
import { fit, widthOf } from "../../src/output/width.ts";
import { startService } from "../support/service.ts";
import { terminal } from "../support/terminal.ts";

/** What may drive a terminal or deceive its reader. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there.
const dangerous = /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]|\p{Surrogate}/u;

const hostile = fc.string({
  unit: fc.oneof(
    fc.constantFrom(
      "\u001b",
      "[",
      "]",
      "0",
      ";",
      "m",
      "J",
      "\u0007",
      "\u009b",
      "\u009d",
      "\u202e",
      "\u2066",
      "\r",
      "\n",
      "\t",
      "\0",
      "\ud800",
      "\udc00",
      "x",
    ),
    fc.string({ unit: "binary", minLength: 1, maxLength: 1 }),
  ),
});

describe("text from elsewhere", () => {
  test("never holds what drives a terminal, once it is made visible", () => {
    fc.assert(
      fc.property(hostile, (text) => {
        expect(visible(text)).not.toMatch(dangerous);
        for (const line of visibleLines(text)) expect(line.replaceAll("\t", "")).not.toMatch(dangerous);
      }),
      { numRuns: 500 },
    );
  });

  test("is safe to print as JSON, and the same value when it is read", () => {
    const value = fc.anything({ values: [hostile], key: hostile, maxDepth: 3, withNullPrototype: false });
    fc.assert(
      fc.property(value, fc.constantFrom(undefined, 2), (data, indent) => {
        const plain = JSON.stringify(data);
        fc.pre(plain !== undefined);
        const json = safeJson(data, indent);
        expect(json.replaceAll("\n", "")).not.toMatch(dangerous);
        expect(JSON.stringify(JSON.parse(json))).toBe(JSON.stringify(JSON.parse(plain)));
      }),
      { numRuns: 500 },
    );
  });

  test("that is ordinary stays as it is", () => {
    for (const text of ["plain", "naïve café", "日本語", "👩‍👩‍👧 family", "a\\nb", "نامه‌ای"])
      expect(visible(text)).toBe(text);
  });

  test("loses colours, and shows every other sequence", () => {
    expect(visible("\u001b[1;31mred\u001b[0m")).toBe("red");
    expect(visible("\u001b[2Jgone\u001b]8;;http://evil\u001b\\link")).toBe(
      "\\x1b[2Jgone\\x1b]8;;http://evil\\x1b\\link",
    );
    expect(visible("a\r\nb\tc")).toBe("a\\r\\nb\\tc");
  });
});

describe("a table", () => {
  const palette = {
    bold: String,
    dim: String,
    error: String,
    warning: String,
    level: (_: unknown, text: string) => text,
  };
  const columns = [
    { title: "id", value: (row: Row) => row.id, narrow: "keep" },
    { title: "name", value: (row: Row) => row.name, narrow: "cut" },
    { title: "note", value: (row: Row) => row.note, narrow: "drop" },
  ] as const;
  interface Row {
    readonly id: string;
    readonly name: string;
    readonly note: string | null;
  }

  test("is never wider than the terminal, and never cuts an id", () => {
    const row = fc.record({
      id: fc.constant("0b0e7a3e-58f2"),
      name: fc.string({ unit: "grapheme" }),
      note: fc.string(),
    });
    fc.assert(
      fc.property(fc.array(row, { minLength: 1, maxLength: 5 }), fc.integer({ min: 23, max: 120 }), (rows, width) => {
        const { lines } = renderTable(columns, rows, { width, palette });
        for (const line of lines) expect(widthOf(line)).toBeLessThanOrEqual(width);
        for (const line of lines.slice(1)) expect(line).toContain("0b0e7a3e-58f2");
      }),
    );
  });

  test("keeps everything when it goes to a file", () => {
    const rows = [{ id: "1", name: "n".repeat(300), note: null }];
    const { lines, dropped } = renderTable(columns, rows, { width: undefined, palette });
    expect(lines[1]).toContain("n".repeat(300));
    expect(lines[1]).toMatch(/-$/);
    expect(dropped).toEqual([]);
  });

  test("lines up wide characters", () => {
    const rows = [
      { id: "1", name: "日本", note: "x" },
      { id: "2", name: "abcd", note: "x" },
    ];
    expect(renderTable(columns, rows, { width: undefined, palette }).lines).toEqual([
      "ID  NAME  NOTE",
      "1   日本  x",
      "2   abcd  x",
    ]);
  });

  test("cuts by what is shown, not by characters", () => {
    expect(fit("日本語", 5)).toBe("日本…");
    expect(fit("abc", 3)).toBe("abc");
    expect(fit("abcd", 3)).toBe("ab…");
  });
});

describe("colour", () => {
  test.each([
    ["a terminal gets it", undefined, {}, true, true],
    ["a pipe does not", undefined, {}, false, false],
    ["--color goes before everything", "always", { NO_COLOR: "1", TERM: "dumb" }, false, true],
    ["--color never, too", "never", { FORCE_COLOR: "1" }, true, false],
    ["FORCE_COLOR goes before NO_COLOR", undefined, { FORCE_COLOR: "1", NO_COLOR: "1" }, false, true],
    ["FORCE_COLOR=0 means no", undefined, { FORCE_COLOR: "0" }, true, false],
    ["an empty FORCE_COLOR says nothing", undefined, { FORCE_COLOR: "" }, false, false],
    ["NO_COLOR goes before CLICOLOR_FORCE", undefined, { NO_COLOR: "1", CLICOLOR_FORCE: "1" }, true, false],
    ["an empty NO_COLOR says nothing", undefined, { NO_COLOR: "" }, true, true],
    ["CLICOLOR_FORCE colours a pipe", undefined, { CLICOLOR_FORCE: "1" }, false, true],
    ["CLICOLOR_FORCE goes before TERM=dumb", undefined, { CLICOLOR_FORCE: "1", TERM: "dumb" }, false, true],
    ["CLICOLOR=0 means no", undefined, { CLICOLOR: "0" }, true, false],
    ["a dumb terminal gets none", undefined, { TERM: "dumb" }, true, false],
    ["auto asks the environment", "auto", { NO_COLOR: "1" }, true, false],
  ] as const)("%s", (_, flag, env, isTTY, expected) => {
    expect(resolveColour(flag, env, isTTY)).toBe(expected);
  });

  test("is decided by the first that speaks, in every combination", () => {
    // Each with what it can be, and what it then says; undefined where it says nothing.
    const speakers = [
      ["flag", { undefined: undefined, auto: undefined, always: true, never: false }],
      ["FORCE_COLOR", { undefined: undefined, "": undefined, 0: false, false: false, 1: true, 3: true, true: true }],
      ["NO_COLOR", { undefined: undefined, "": undefined, 0: false, 1: false }],
      ["CLICOLOR_FORCE", { undefined: undefined, "": undefined, 0: undefined, 1: true }],
      ["CLICOLOR", { undefined: undefined, "": undefined, 0: false, 1: undefined }],
      ["TERM", { undefined: undefined, xterm: undefined, dumb: false }],
      ["terminal", { yes: true, no: false }],
    ] as const;
    let seen = 0;
    const check = (chosen: readonly string[], said: readonly (boolean | undefined)[]) => {
      const next = speakers[chosen.length];
      if (next) {
        for (const [value, says] of Object.entries(next[1])) check([...chosen, value], [...said, says]);
        return;
      }
      const [flag, ...values] = chosen.map((value) => (value === "undefined" ? undefined : value));
      const env = Object.fromEntries(speakers.slice(1, -1).map(([name], i) => [name, values[i]]));
      const expected = said.find((one) => one !== undefined);
      const found = resolveColour(flag as "auto" | undefined, env, chosen.at(-1) === "yes");
      if (found !== expected) expect.fail(`${chosen.join(" ")}: ${found}`);
      seen++;
    };
    check([], []);
    expect(seen).toBe(4 * 7 * 4 * 4 * 4 * 3 * 2);
  });

  test("follows the options and the environment from end to end, for each stream", async () => {
    const { env } = await startService({
      "GET /v1/organizations": () => ({ body: { organizations: [{ id: "o", name: "Acme", slug: "acme" }] } }),
    });
    const csi = "\u001b[";
    const list = ["organizations", "list"];
    const { run } = terminal({ env });
    expect((await run(list)).out).not.toContain(csi);
    expect((await run(list, { columns: 80 })).out).toContain(csi);
    for (const never of [["--no-color"], ["--color", "never"], ["--json"], ["--ndjson"], ["--csv"]]) {
      expect((await run([...list, ...never], { columns: 80, env: { FORCE_COLOR: "1" } })).out).not.toContain(csi);
    }
    expect((await run(list, { env: { FORCE_COLOR: "1", NO_COLOR: "1" } })).out).toContain(csi);
    expect((await run(["projects", "use"], { env: { CLICOLOR_FORCE: "1" } })).err).toContain(csi);
    expect((await run(["projects", "use", "--json"], { env: { CLICOLOR_FORCE: "1" } })).err).not.toContain(csi);
  });

  test("is there when it is on, whatever chalk thinks", async () => {
    expect((await openPalette(true)).level("error", "x")).toBe("\u001b[31mx\u001b[39m");
    expect((await openPalette(false)).level("error", "x")).toBe("x");
  });
});
