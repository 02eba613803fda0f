import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { entriesOf } from "../../src/intake/entry.ts";
import { RecordJoiner } from "../../src/intake/records.ts";

const now = new Date("2026-11-30T12:00:00Z");

const lineOf = (text: string, number: number) => ({ text, number });

function recordsOf(lines: readonly string[], multiline = true) {
  const joiner = new RecordJoiner({ multiline, now });
  const records = lines.flatMap((text, place) => [...joiner.add(lineOf(text, place + 1))]);
  return [...records, ...joiner.end()];
}
const levelOf = (text: string) => {
  const [entry] = entriesOf({ text }, { service: undefined, level: undefined, lineTimes: false, multiline: true, now });
  return JSON.parse(entry?.text ?? "").level;
};
const textsOf = (lines: readonly string[], multiline = true) => recordsOf(lines, multiline).map(({ text }) => text);

describe("a stack trace is one record", () => {
  test.each<[string, readonly string[]]>([
    [
      "Java",
      [
        "2026-11-30 09:00:00 ERROR c.e.Main - boom",
        "java.lang.IllegalStateException: no",
        "\tat com.example.Main.run(Main.java:7)",
        "Caused by: java.io.IOException: disk",
        "\tat com.example.Disk.read(Disk.java:9)",
        "\t... 3 more",
      ],
    ],
    [
      "Python",
      [
        "2026-11-30 09:00:00,123 - root - ERROR - boom",
        "Traceback (most recent call last):",
        '  File "a.py", line 1, in <module>',
        "    run()",
        "ValueError: no",
      ],
    ],
    [
      "PHP",
      ["[2026-11-30 09:00:00] production.ERROR: boom", "[stacktrace]", "#0 /app/a.php(7): run()", "#1 {main}", '"} '],
    ],
    ["Node", ["Error: boom", "    at run (/app/a.js:1:2)", "    at main (/app/a.js:3:4) {", "  code: 7", "}"]],
    [
      "Go",
      [
        "panic: boom",
        "goroutine 1 [running]:",
        "main.run(0x1)",
        "\t/app/main.go:7 +0x1",
        "main.main()",
        "\t/app/main.go:9 +0x2",
        "exit status 2",
      ],
    ],
    [
      ".NET",
      [
        "fail: Program[0]",
        "      boom",
        "      System.Exception: no",
        "         at Program.Main()",
        "   --- End of inner exception stack trace ---",
      ],
    ],
  ])("of %s", (_, lines) => {
    expect(textsOf([...lines, "2026-11-30 09:00:01 INFO next", "last"])).toEqual([
      lines.join("\n"),
      "2026-11-30 09:00:01 INFO next",
      "last",
    ]);
    expect(textsOf(lines, false)).toEqual(lines);
  });

  const traceback = ["Traceback (most recent call last):", '  File "a.py", line 1, in <module>', "    run()"];

  test("of Python that follows another line is a record of its own, with the level error", () => {
    for (const line of ["2026-11-30 09:00:00 INFO started", "done", "WARNING: old", '{"level":"error"}']) {
      const trace = [...traceback, "ValueError: no"];
      expect(textsOf([line, ...trace, "next"])).toEqual([line, trace.join("\n"), "next"]);
    }
    expect(levelOf([...traceback, "ValueError: INFO"].join("\n"))).toBe("error");
    expect(levelOf("text\nTraceback (most recent call last):")).toBeUndefined();
  });

  test("of Python stands apart from the one before it, unless it says that it belongs to it", () => {
    const [first, second] = [
      [...traceback, "ValueError: no"],
      [...traceback, "KeyError: 'a'"],
    ];
    expect(textsOf([...first, ...second, "next"])).toEqual([first.join("\n"), second.join("\n"), "next"]);
    for (const link of [
      "During handling of the above exception, another exception occurred:",
      "The above exception was the direct cause of the following exception:",
    ]) {
      const chain = [...first, link, ...second];
      expect(textsOf(["text", ...chain, "next"])).toEqual(["text", chain.join("\n"), "next"]);
    }
  });

  test.each([
    "socket.gaierror: [Errno -2] Name or service not known",
    "zlib.error: Error -3",
    "KeyboardInterrupt",
    "__main__.run.<locals>.Mine: no",
    "pkg.errors.Failed",
  ])("of Python ends with the exception %s", (exception) => {
    const trace = [...traceback, exception];
    expect(textsOf(["text", ...trace, "next"])).toEqual(["text", trace.join("\n"), "next"]);
  });

  test("of a Python exception group is one record, with the level error", () => {
    const group = [
      "  + Exception Group Traceback (most recent call last):",
      '  |   File "a.py", line 1, in <module>',
      "  | ExceptionGroup: two (1 sub-exception)",
      "  +-+---------------- 1 ----------------",
      "    | ValueError: no",
      "    +------------------------------------",
    ];
    expect(textsOf(["text", ...group, "next"])).toEqual(["text", group.join("\n"), "next"]);
    expect(levelOf(group.join("\n"))).toBe("error");
  });

  test("and lines that only look indented are not", () => {
    const lines = [" 2026-11-30 09:00:00 a", " 2026-11-30 09:00:01 b", "c", " 2026-11-30 09:00:02 d", '{"a":1}', "  e"];
    expect(textsOf(lines)).toEqual(lines);
    expect(textsOf(["  a", "  b", "  c"])).toEqual(["  a", "  b", "  c"]);
  });

  test("and ends with the input's pause", () => {
    const joiner = new RecordJoiner({ multiline: true, now });
    expect([...joiner.add(lineOf("a", 1)), ...joiner.add(lineOf("  b", 2))]).toEqual([]);
    expect(joiner.pause()).toEqual([{ ...lineOf("a", 1), text: "a\n  b" }]);
    expect(joiner.add(lineOf("c", 3))).toEqual([]);
  });

  test("and is bounded", () => {
    const lines = ["a", ...Array.from({ length: 2500 }, () => "  b")];
    expect(textsOf(lines).map((text) => text.split("\n").length)).toEqual(
      [1000, 1, 1000, 500].slice(0, 1).concat(Array(1501).fill(1)),
    );
  });
});

describe("JSON over several lines", () => {
  test("is one record", () => {
    const printed = JSON.stringify({ message: "a {", n: [1, { b: "}" }] }, null, 2).split("\n");
    expect(textsOf([...printed, "next"]).map((text, place) => (place === 0 ? JSON.parse(text) : text))).toEqual([
      { message: "a {", n: [1, { b: "}" }] },
      "next",
    ]);
  });

  test.each([
    ["printed", JSON.stringify([{ a: 1 }, { b: { c: 2 } }], null, 2)],
    ["on one line", '[{"a":1},{"b":{"c":2}}]'],
    ["an object a line", '[\n{"a":1},\n{"b":{"c":2}}\n]'],
  ])("as an array is its objects: %s", (_, text) => {
    expect(textsOf(text.split("\n")).map((one) => JSON.parse(one))).toEqual([{ a: 1 }, { b: { c: 2 } }]);
  });

  test.each([
    ["on one line", '[{"a":1},{"b":2}]', ['{"a":1}', '{"b":2}']],
    ["with spaces", '[ {"a":1}, {"b":2} ]', ['{"a":1}', '{"b":2}']],
    ["printed", JSON.stringify([{ a: 1 }, { b: 2 }], null, 2), ['{ "a": 1 }', '{ "b": 2 }']],
    ["with its brackets on the lines of its objects", '[{\n"a": 1\n}, {\n"b": 2\n}]', ['{ "a": 1 }', '{ "b": 2 }']],
    ["an object a line", '[\n{"a":1},\n{"b":2}\n]', ['{"a":1}', '{"b":2}']],
    ["brackets of objects on one line", '[\n{\n"a": 1\n}, {\n"b": 2\n}\n]', ['{ "a": 1 }', '{ "b": 2 }']],
    ["indented so", '[\n  {\n    "a": 1\n  },{\n    "b": 2\n  }]', ['{ "a": 1 }', '{ "b": 2 }']],
    ["its brackets on the lines of its objects", '[{"a":1},\n{"b":2}]', ['{"a":1}', '{"b":2}']],
    ["the last bracket behind an object", '[\n{"a":1},\n{"b":2}]', ['{"a":1}', '{"b":2}']],
    ["the last bracket behind a printed object", '[\n{"a":1},\n{\n"b":2\n}]', ['{"a":1}', '{ "b":2 }']],
    ["leading commas", '[\n{"a":1}\n, {"b":2}\n]', ['{"a":1}', '{"b":2}']],
    ["leading commas and brackets", '[{"a":1}\n,{"b":2}\n]', ['{"a":1}', '{"b":2}']],
    ["leading commas of printed objects", '[ {\n"a":1\n}\n, {\n"b":2\n}\n]', ['{ "a":1 }', '{ "b":2 }']],
    ["commas alone", '[\n{"a":1}\n,\n{"b":2}\n]', ['{"a":1}', '{"b":2}']],
    ["an object begun behind the bracket", '[{"a":\n1},\n{"b":2}]', ['{"a": 1}', '{"b":2}']],
    ["two objects a line", '[{"a":1}, {"a":2},\n{"b":1}, {"b":\n2}\n]', ['{"a":1}', '{"a":2}', '{"b":1}', '{"b": 2}']],
    ["the last object alone on a line", '[{"a":1}\n]', ['{"a":1}']],
  ])("as an array is its objects wherever it stands: %s", (_, array, objects) => {
    expect(textsOf(["text", ...array.split("\n"), ...array.split("\n"), "more", "  of it"])).toEqual([
      "text",
      ...objects,
      ...objects,
      "more\n  of it",
    ]);
  });

  test("as an array inside the wrapping of containers is its objects", () => {
    expect(recordsOf(['2026-11-30T09:00:00.1Z stdout F [{"a":1},{"b":2}]'])).toMatchObject([
      { text: '{"a":1}', members: { stream: "stdout" } },
      { text: '{"b":2}', members: { stream: "stdout" } },
    ]);
  });

  test("as an array of other things stays text", () => {
    expect(textsOf(["[", "2026-11-30T09:00:00.1Z stdout F {}"])).toEqual(["[", "{}"]);
    for (const line of ["[1,2]", '[{"a":1},2]', "[]", '["a"]', "[{]", '[{"a":1}] x', "[[{}]]"]) {
      expect(textsOf(["text", line, "text"])).toEqual(["text", line, "text"]);
    }
    const printed = JSON.stringify([1, "a"], null, 2);
    expect(textsOf([...printed.split("\n"), "text", ...printed.split("\n")])).toEqual([printed, "text", printed]);
  });

  test("that is indented below text belongs to it", () => {
    expect(textsOf(["body:", '  [{"a":1}]', "next"])).toEqual(['body:\n  [{"a":1}]', "next"]);
  });

  test("as an array that is cut off ends where another thing follows", () => {
    expect(textsOf(["[", '{"a":1},', "text", "  more", "[", '{"b":2}', "]", "text"])).toEqual([
      '{"a":1}',
      "text\n  more",
      '{"b":2}',
      "text",
    ]);
    expect(textsOf(["[", '{"a":1},', "[", '{"b":2}', "]"])).toEqual(['{"a":1}', '{"b":2}']);
  });

  test("as an array keeps the digits of long integers", () => {
    expect(textsOf(['[{"id":9007199254740993}]'])).toEqual(['{"id":"9007199254740993"}']);
  });

  test.each<[string, readonly string[], readonly string[]]>([
    ["the line is text", ['[{"a":1}', "text"], ['[{"a":1}', "text"]],
    ["the first object is none", ["[{", "host: a", "}]", "text"], ["[{", "host: a\n}]", "text"]],
    ["a string is open", ['[{"a":1},', '{"b": "x', "text"], ['{"a":1}', '{"b": "x', "text"]],
    [
      "an object in it is none",
      ["[", '{"a":1},', "{ host: a },", '{"b":2}', "]"],
      ['{"a":1}', "{ host: a },", '{"b":2}'],
    ],
    ["text is behind an object", ['[{"a":1},', '{"b":2} text', "end"], ['{"a":1}', '{"b":2}', "text", "end"]],
    ["text is behind its end", ['[{"a":1},', '{"b":2}] text', "end"], ['{"a":1}', '{"b":2}', "text", "end"]],
    ["another array begins", ['[{"a":1},', '{"b":2},', "[", '{"c":3}', "]"], ['{"a":1}', '{"b":2}', '{"c":3}']],
    ["it never ends", ['[{"a":1},', '{"b":', '"c",'], ['{"a":1}', '{"b":', '"c",']],
  ])("as an array that is broken keeps what it is: %s", (_, lines, texts) => {
    expect(textsOf(lines)).toEqual(texts);
  });

  test("is not waited for when a line shows that it is none", () => {
    const joiner = new RecordJoiner({ multiline: true, now });
    const add = (text: string, number: number) => joiner.add(lineOf(text, number)).map((record) => record.text);
    expect(add("{", 1)).toEqual([]);
    expect(add("2026-11-30 09:00:00 started", 2)).toEqual(["{"]);
    expect(add("next", 3)).toEqual(["2026-11-30 09:00:00 started"]);
  });

  test("takes time in proportion to its length, whatever is open in it", () => {
    const count = 50_000;
    const hostile = [
      `[{"a":"${'\\"'.repeat(count)}`,
      `[{"a":${"[".repeat(count)}`,
      `[${'{"a":1},'.repeat(count)}`,
      `[{"a":${"1".repeat(count)}x`,
      `[${" ,".repeat(count)}x`,
    ];
    for (const line of hostile) expect(textsOf(["[", line, line]).join("").length).toBeGreaterThan(count);
    const joiner = new RecordJoiner({ multiline: true, now });
    for (let number = 1; number <= count; number++) joiner.add(lineOf(number === 1 ? "[" : '{"a":1},', number));
    expect(JSON.stringify(joiner.state).length).toBeLessThan(200);
  });

  test("that is none keeps its lines", () => {
    for (const lines of [["{", "a", "}"], ["[", "a", "]"], ["["], ["{"], ["{", '"a": 1,'], ["[1,2]"], ["[{]"]]) {
      const joined = textsOf(lines).join("\n");
      expect(joined).toBe(lines.join("\n"));
    }
    for (const lines of [
      ["[", "{ host: a }", "]"],
      ["[", "{"],
      ["[", "  {", "a", "  }", "]"],
    ]) {
      expect(textsOf(["text", ...lines]).join("\n")).toBe(["text", ...lines].join("\n"));
    }
  });
});

describe("the wrapping of containers", () => {
  test("of Docker is removed, and split lines are joined", () => {
    const docker = (log: string, stream = "stdout") => JSON.stringify({ log, stream, time: "2026-11-30T09:00:00.5Z" });
    expect(recordsOf([docker("ERROR bo"), docker("other\n", "stderr"), docker("om\r\n")], false)).toMatchObject([
      { text: "other", number: 2, members: { stream: "stderr", timestamp: "2026-11-30T09:00:00.5Z" } },
      { text: "ERROR boom", number: 1, members: { stream: "stdout", timestamp: "2026-11-30T09:00:00.5Z" } },
    ]);
    expect(recordsOf([docker("cut off")], false)).toMatchObject([{ text: "cut off" }]);
  });

  test("of CRI is removed, and a stack trace inside is one record", () => {
    const lines = ["F Error: boom", "P     at run ", "F (/app/a.js)", "F next"].map(
      (l) => `2026-11-30T09:00:00.123456789Z stderr ${l}`,
    );
    expect(textsOf(lines)).toEqual(["Error: boom\n    at run (/app/a.js)", "next"]);
    expect(recordsOf(lines, false)[0]?.members).toEqual({
      stream: "stderr",
      timestamp: "2026-11-30T09:00:00.123456789Z",
    });
  });

  test.each([
    '{"log":"x","stream":"stdout"}',
    '{"log":"x","stream":"a","time":"b","more":1}',
    "2026-11-30T09:00:00Z stdout x",
  ])("is not seen in %s", (line) => {
    expect(recordsOf([line], false)).toEqual([lineOf(line, 1)]);
  });
});

const anyLine = fc.constantFrom(
  "a",
  "  b",
  "{",
  "}",
  "[",
  "]",
  "{}",
  ",",
  '{"a":1},',
  '{"b":2}]',
  ', {"c":3}',
  "}, {",
  "},{",
  '"d": "}"',
  '[{"a":1},{"b":2}]',
  '[{"a":1}',
  '[{"a":1},',
  '[{"a":',
  '{"a":1} x {"b',
  "[{",
  "}]",
  "Caused by: x",
  "#1 x",
  "ERROR x",
  "Traceback (most recent call last):",
  "E: x",
  "goroutine 1 [x",
  "f()",
  "2026-11-30T09:00:00.1Z stdout P a",
  "2026-11-30T09:00:00.1Z stderr F b",
  "2026-11-30T09:00:00.1Z stdout F c",
);

test("nothing is lost, whatever the lines are", () => {
  fc.assert(
    fc.property(fc.array(anyLine), (lines) => {
      const plain = (text: string) => [...text.replace(/[\s[\],]|2026\S+Z std\w+ [PF]/g, "")].sort().join("");
      expect(plain(textsOf(lines).join(""))).toBe(plain(lines.join("")));
    }),
    { numRuns: 500 },
  );
});

test("a joiner goes on with what another one held, wherever the input paused", () => {
  const step = fc.record({ text: anyLine, pauses: fc.boolean(), isReplaced: fc.boolean() });
  fc.assert(
    fc.property(fc.array(step), (steps) => {
      let [one, replaced] = [new RecordJoiner({ multiline: true, now }), new RecordJoiner({ multiline: true, now })];
      for (const [place, { text, pauses, isReplaced }] of steps.entries()) {
        const line = lineOf(text, place + 1);
        expect(replaced.add(line)).toEqual(one.add(line));
        if (pauses) expect(replaced.pause()).toEqual(one.pause());
        const state = JSON.parse(JSON.stringify(replaced.state));
        if (isReplaced) replaced = new RecordJoiner({ multiline: true, now, state });
      }
      expect(replaced.end()).toEqual(one.end());
    }),
    { numRuns: 500 },
  );
});
