import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { evaluate, levels, lookIn, parseQuery, type QueriedEntry, type QueryNode } from "../../src/protocol/index.ts";
import { logLine, Random } from "../support/log-lines.ts";

/** Random texts that are parsed; the unit run keeps to a few. */
const randomTexts = Number(process.env["SAZABI_TEST_CASES"] ?? 5000);

function entry(members: Partial<QueriedEntry> = {}): QueriedEntry {
  const none = { level: 2, service: "", environment: null, traceId: null, spanId: null, message: "", attributes: {} };
  return { ...none, ...members };
}

function finds(query: string, members: Partial<QueriedEntry>): boolean {
  return evaluate(parseQuery(query).ast, entry(members));
}

/** The tree in one line, to see what binds to what. */
function shape(node: QueryNode): string {
  switch (node.kind) {
    case "and":
      return `(${node.nodes.map(shape).join(" ")})`;
    case "or":
      return `(${node.nodes.map(shape).join(" | ")})`;
    case "not":
      return `!${shape(node.node)}`;
    case "text":
      return node.pattern.map((part) => (typeof part === "string" ? part : part.any === "one" ? "?" : "*")).join("");
    case "level":
      return `{${node.ranks.map((rank) => levels[rank]).join(",")}}`;
    case "regex":
      return `/${node.regex.source}/`;
    case "everything":
      return "everything";
    case "field": {
      const { field, test } = node;
      const name = "column" in field ? field.column : `@${field.attribute}`;
      if (test.kind === "compares") return `${name}${test.operator}${test.value}`;
      return test.kind === "equals" ? `${name}=${test.value}` : `${name} ${test.kind}`;
    }
  }
}

describe("structure", () => {
  test.each([
    ["", "everything"],
    ["  \n ", "everything"],
    ["*", "everything"],
    ["timeout", "timeout"],
    ["Connection Refused", "(connection refused)"],
    ['"connection refused"', "connection refused"],
    ["a OR b AND c", "(a | (b c))"],
    ["a AND b OR c", "((a b) | c)"],
    ["a b OR c d", "((a b) | (c d))"],
    ["(a OR b) c", "((a | b) c)"],
    ["a -b", "(a !b)"],
    ["a AND NOT b", "(a !b)"],
    ["NOT NOT a", "a"],
    ["NOT -a", "a"],
    ["-(a b)", "!(a b)"],
    ["NOT(a OR b)", "!(a | b)"],
    ["((((a))))", "a"],
    ["a and b or not c", "(a and b or not c)"],
    ["tim*ut t?st", "(tim*ut t?st)"],
    ["*timeout*", "timeout"],
    ["??", "??"],
    ["/time(out|r)/", "/time(out|r)/"],
    ["level:error", "{error}"],
    ["Severity:ERR", "{error}"],
    ["level:>=warn", "{warn,error,fatal}"],
    ["level:<info", "{trace,debug}"],
    ["level:[debug TO warn]", "{debug,info,warn}"],
    ["level:{debug TO warn}", "{info}"],
    ["level:(error OR fatal)", "{error,fatal}"],
    ["-level:error", "{trace,debug,info,warn,fatal}"],
    ["level:war*", "{warn}"],
    ["level:error level:>=warn", "{error}"],
    ["service:api", "service matches"],
    ["env:prod", "environment matches"],
    ["trace_id:ABC-1", "trace_id=abc-1"],
    ["trace_id:XYZ", "trace_id=XYZ"],
    ["message:refused", "refused"],
    ['msg:"a * b"', "a * b"],
    ["@level:x", "@level=x"],
    ["attributes.level:x", "@level=x"],
    ["@http.status:500", "@http.status=500"],
    ['@"weird key":v', "@weird key=v"],
    ["@url:http://x:80/a", "@url=http://x:80/a"],
    ["status:>=500", "@status>=500"],
    ['status:>"a b"', "@status>a b"],
    ["status:[200 TO 299]", "(@status>=200 @status<=299)"],
    ["status:{200 TO 299]", "(@status>200 @status<=299)"],
    ["status:[200 TO *]", "@status>=200"],
    ["status:[* TO *]", "@status exists"],
    ['region:(eu OR "us east" OR a*)', "(@region=eu | @region=us east | @region matches)"],
    ["code:(>=500 OR 404)", "(@code>=500 | @code=404)"],
    ["user:*", "@user exists"],
    ["-user:*", "!@user exists"],
    ['user:"*"', "@user=*"],
    ['user:""', "@user="],
    ["path:/api.*/", "@path regex"],
    // Without a mark, it is an attribute or the word.
    ["libc6:amd64", "(@libc6=amd64 | libc6:amd64)"],
    ["-user:42", "!(@user=42 | user:42)"],
  ])("%s", (query, expected) => {
    const { ast, warnings } = parseQuery(query);
    expect(shape(ast)).toBe(expected);
    expect(warnings).toEqual([]);
  });

  test.each([
    ["12:34:56"],
    ["2026-11-22T10:00:00Z"],
    ["http://x.y/z"],
    ["C:\\path"],
    ["foo::bar"],
    ["ERROR:root:x"],
    ["Main.java:42"],
    ["[pid:1]"],
    ["--flag"],
    ["->"],
    ["-"],
    ["foo(bar)"],
    ['{"a":1}'],
    ['key="value"'],
    ["it's"],
    ["a|b"],
  ])("%s is one word", (query) => {
    const { ast, warnings } = parseQuery(query);
    expect([shape(ast), warnings]).toEqual([query.toLowerCase(), []]);
  });
});

describe("what is no syntax is text, and said", () => {
  test.each<[string, string, [string, number, number][]]>([
    ['"open', '"open', [["quote", 0, 1]]],
    ["a (b", "(a ( b)", [["parenthesis", 2, 3]]],
    ["a )", "(a ))", [["parenthesis", 2, 3]]],
    ["a ()", "(a ())", [["parentheses", 2, 4]]],
    ["OR a", "(or a)", [["OR", 0, 2]]],
    ["a AND", "(a and)", [["AND", 2, 5]]],
    ["NOT", "not", [["NOT", 0, 3]]],
    ["a OR AND b", "(a | (and b))", [["AND", 5, 8]]],
    ["level: error", "(level: error)", [["follow the colon", 0, 6]]],
    ["level:loud", "@level.original matches", [["no level", 6, 10]]],
    ["status:[1 2]", "(status:[1 2])", [["range", 7, 9]]],
    ["x:(OR a)", "(x:(or a))", [["list", 2, 5]]],
    ["/a(/", "/a(/", [["expression", 0, 4]]],
    ["/(?=a)b/", "/(?=a)b/", [["not supported", 0, 8]]],
    ["timestamp:>2026-01-01", "@timestamp>2026-01-01", []],
    ["timestamp:2026", "(@timestamp=2026 | timestamp:2026)", [["window", 0, 14]]],
  ])("%s", (query, expected, places) => {
    const { ast, warnings } = parseQuery(query);
    expect(shape(ast)).toBe(expected);
    expect(warnings).toEqual(
      places.map(([word, start, end]) => ({ message: expect.stringContaining(word), start, end })),
    );
  });

  test("nesting and length are bounded, and nothing is lost by it", () => {
    for (const text of [
      `${"(".repeat(200)}a${")".repeat(200)}`,
      `${"NOT ".repeat(10_000)}a`,
      "word ".repeat(2000),
      `${"-(".repeat(300)}a`,
      `x:${"(".repeat(3000)}`,
    ]) {
      const { ast, warnings } = parseQuery(text);
      expect(JSON.stringify(ast).length).toBeLessThan(200_000);
      expect(warnings.length).toBeLessThanOrEqual(20);
      evaluate(ast, entry({ message: text }));
    }
    expect(finds("word ".repeat(2000), { message: "word ".repeat(2000) })).toBe(true);
    expect(finds("word ".repeat(2000), { message: "word ".repeat(1000) })).toBe(false);
  });

  test("any text is a query, and warnings point into it", () => {
    const pieces = fc.constantFrom(
      ...[
        '"',
        "(",
        ")",
        "[",
        "]",
        "{",
        "}",
        ":",
        "-",
        "*",
        "?",
        "/",
        "\\",
        "@",
        ">",
        "<",
        "=",
        " ",
        "\n",
        "\0",
        "\ud800",
        "🚒",
      ],
      ...[
        "AND",
        "OR",
        "NOT",
        " TO ",
        "level",
        "a",
        "é",
        "1",
        "error",
        "x:",
        "level:",
        "@k:",
        "x:(",
        "x:[",
        "^",
        "$",
        "+",
        "|",
      ],
    );
    const texts = fc.oneof(
      fc.array(pieces, { maxLength: 25 }).map((parts) => parts.join("")),
      fc.string({ unit: "binary", maxLength: 60 }),
    );
    const sample = entry({ message: "Error: é 🚒 (a) [1]", service: "a", attributes: { x: "1", k: 1 } });
    fc.assert(
      fc.property(texts, (text) => {
        const { ast, warnings } = parseQuery(text);
        evaluate(ast, sample);
        for (const { start, end, message } of warnings) {
          expect(start >= 0 && start < end && end <= text.length && message.length > 0).toBe(true);
        }
      }),
      { numRuns: randomTexts },
    );
  });

  test("cut log lines are queries too", () => {
    const random = new Random(3);
    for (let count = 0; count < 5000; count++) {
      const line = logLine(random);
      const start = random.int(0, line.length);
      parseQuery(line.slice(start, random.int(start, line.length)));
    }
  });
});

describe("meaning", () => {
  test.each<[query: string, found: boolean]>([
    ["deploy", true],
    ["DEPLOY*fin", true],
    ['"deploy finished"', true],
    ["/^deploy/", true],
    ["/^finished/", false],
    ["42", true],
    ["true", true],
    ["kind", false], // a name
    ["null", false],
    ["deploy 42", true],
    ["-deploy", false],
    ["-absent", true],
    ["message:deploy", false],
    ["msg:dep*", false],
    ["message:/deploy/", false],
    ["deploy:finished", false],
  ])("of an entry without a message, words are looked for in the attributes: %s", (query, found) => {
    const attributes = { kind: "Deploy finished", size: 42, ok: true, nothing: null };
    expect(finds(query, { attributes })).toBe(found);
    // Any message hides the attributes from words, unless they are asked for.
    const { ast } = parseQuery(query);
    const withMessage = entry({ message: "m", attributes });
    expect(evaluate(ast, withMessage)).toBe(query.startsWith("-"));
    expect(evaluate(lookIn(ast, "both"), withMessage)).toBe(found);
    expect(evaluate(lookIn(ast, "attributes"), withMessage)).toBe(found);
    expect(evaluate(lookIn(ast, "message"), entry({ attributes }))).toBe(query.startsWith("-"));
  });

  test("in which texts words are looked for can be chosen", () => {
    const { ast } = parseQuery("one two");
    const split = entry({ message: "one", attributes: { a: "two" } });
    expect(evaluate(lookIn(ast, "both"), split)).toBe(true);
    expect(evaluate(lookIn(ast, "attributes"), split)).toBe(false);
    expect(evaluate(lookIn(ast, "message"), split)).toBe(false);
  });

  test("text is found anywhere in the message, without case, and nowhere else", () => {
    expect(finds("refused", { message: "Connection REFUSED by peer" })).toBe(true);
    expect(finds("fuse", { message: "refused" })).toBe(true);
    expect(finds('"refused by"', { message: "refused  by" })).toBe(false);
    expect(finds("api", { message: "m", service: "api", attributes: { a: "api" } })).toBe(false);
    expect(finds("ÜBERLAUF", { message: "Zählerüberlauf" })).toBe(true);
    expect(finds("σίσυφος", { message: "ΣΊΣΥΦΟΣ" })).toBe(true);
    expect(finds("strasse", { message: "Straße" })).toBe(false);
    expect(finds("kelvin", { message: "\u212aelvin" })).toBe(false);
  });

  test("wildcards", () => {
    expect(finds("conn*refused", { message: "connection to db refused" })).toBe(true);
    expect(finds("refused*conn", { message: "connection refused" })).toBe(false);
    expect(finds("t?st", { message: "a t🚒st" })).toBe(true);
    expect(finds("t?st", { message: "tst" })).toBe(false);
    expect(finds("t?st", { message: "t12st" })).toBe(false);
    expect(finds('"t?st"', { message: "test" })).toBe(false);
    expect(finds("user:bob*", { attributes: { user: "BOBBY" } })).toBe(true);
    expect(finds("user:ob*", { attributes: { user: "bob" } })).toBe(false);
    expect(finds("@status:5*", { attributes: { status: 503 } })).toBe(true);
    expect(finds("a*b*c", { message: "a-b-b-c" })).toBe(true);
    expect(finds("@v:*a*b", { attributes: { v: "abab" } })).toBe(true);
    expect(finds("@v:a?*b", { attributes: { v: "ab" } })).toBe(false);
  });

  test("attributes equal exactly, and numbers equal what reads as the number", () => {
    expect(finds("@user:Bob", { attributes: { user: "bob" } })).toBe(false);
    for (const query of ["@status:500", '@status:"500"', "@status:5e2", "@status:500.0"]) {
      expect(finds(query, { attributes: { status: 500 } })).toBe(true);
    }
    expect(finds("@status:500", { attributes: { status: "500" } })).toBe(true);
    expect(finds("@status:500", { attributes: { status: "500.0" } })).toBe(false);
    expect(finds("@status:500", { attributes: { status: 5000 } })).toBe(false);
    expect(finds("@ok:true", { attributes: { ok: true } })).toBe(true);
    expect(finds("@ok:TRUE", { attributes: { ok: true } })).toBe(false);
    expect(finds("@ok:null", { attributes: { ok: null } })).toBe(true);
    expect(finds("@http.status:1", { attributes: { "http.status": 1 } })).toBe(true);
    expect(finds("@toString:*", {})).toBe(false);
  });

  test("service and environment are compared without case, ids in hexadecimal too", () => {
    expect(finds("service:API env:Prod", { service: "api", environment: "PROD" })).toBe(true);
    expect(finds("service:ap", { service: "api" })).toBe(false);
    expect(finds("trace_id:ABCDEF", { traceId: "abcdef" })).toBe(true);
    expect(finds("trace_id:01HXYZ", { traceId: "01HXYZ" })).toBe(true);
  });

  test("comparisons are numeric when the bound is a number", () => {
    expect(finds("ms:>99", { attributes: { ms: 100 } })).toBe(true);
    expect(finds("ms:>99", { attributes: { ms: "100" } })).toBe(true);
    expect(finds("ms:>99", { attributes: { ms: "n/a" } })).toBe(false);
    expect(finds("ms:<99", { attributes: {} })).toBe(false);
    expect(finds("ms:[10 TO 20]", { attributes: { ms: 20 } })).toBe(true);
    expect(finds("ms:[10 TO 20}", { attributes: { ms: 20 } })).toBe(false);
    expect(finds("ms:>=-1.5", { attributes: { ms: -1.5 } })).toBe(true);
    expect(finds("day:>=2026-11-01", { attributes: { day: "2026-11-22" } })).toBe(true);
    expect(finds("day:>=2026-11-01", { attributes: { day: 5 } })).toBe(false);
    expect(finds("v:>\uffee", { attributes: { v: "🚒" } })).toBe(true);
  });

  test.each<[query: string, found: readonly string[]]>([
    ["v:>9007199254740993", ["9007199254740994", "1e16"]],
    ["v:>=9007199254740993", ["9007199254740993", "9007199254740994", "1e16"]],
    ["v:<9007199254740993", ["7", "9007199254740991", "9007199254740992"]],
    ["v:<=9007199254740992", ["7", "9007199254740991", "9007199254740992"]],
    ["v:[9007199254740992 TO 9007199254740993]", ["9007199254740992", "9007199254740993"]],
    ["v:>9007199254740991", ["9007199254740992", "9007199254740993", "9007199254740994", "1e16"]],
  ])("a range whose bound is an integer beyond 2^53 compares all digits: %s", (query, found) => {
    const values = ["7", ...[1, 2, 3, 4].map((digit) => `900719925474099${digit}`), "1e16", "text"];
    expect(values.filter((v) => finds(query, { attributes: { v } }))).toEqual(found);
    // The double 2^53 is below 2^53 + 1, which has no double.
    expect(finds("v:>=9007199254740993", { attributes: { v: 2 ** 53 } })).toBe(false);
    expect(finds("v:<9007199254740993", { attributes: { v: 2 ** 53 } })).toBe(true);
  });

  test.each<[query: string, found: readonly string[]]>([
    ["v:>100ms", ["150ms", "1.2s", "2m", "2m0s", "1 h"]],
    ["v:<=90ms", ["90ms", "-5ms", "3µs", "3\u03bcs", "0ns"]],
    ["v:[150ms TO 2m]", ["150ms", "1.2s", "2m", "2m0s"]],
    ["v:(>=2m OR <0s)", ["2m", "2m0s", "1 h", "-5ms"]],
    ['v:>="120 s"', ["2m", "2m0s", "1 h"]],
    ["-v:>=0ms", ["-5ms", "512B", "5KB", "10kb", "10 KiB", "1MB", "7", "m", "", "1kg", "1s2m"]],
    ["v:>5KB", ["10kb", "10 KiB", "1MB"]],
    ["v:>10KB", ["10 KiB", "1MB"]],
    ["v:<=0.001MiB", ["512B"]],
    ["v:>5", ["7"]],
  ])("a range whose bound is a duration or a size compares amounts: %s", (query, found) => {
    const values = ["90ms", "150ms", "1.2s", "2m", "2m0s", "1 h", "-5ms", "3µs", "3\u03bcs", "0ns"].concat([
      "512B",
      "5KB",
      "10kb",
      "10 KiB",
      "1MB",
      "7",
      "m",
      "",
      "1kg",
      "1s2m",
    ]);
    expect(values.filter((v) => finds(query, { attributes: { v } }))).toEqual(found);
    // A number has no unit, so that its amount is not known.
    expect(finds("v:>1ms", { attributes: { v: 500 } })).toBe(false);
  });

  test.each<[query: string, found: boolean]>([
    ["tags:prod", true],
    ["@tags:Prod", false],
    ["tags:pro", false],
    ["tags:PR*", true],
    ["tags:*d", true],
    ["tags:*prod*eu*", true], // the list as a text
    ["tags:/^EU$/", true],
    ["tags:/^pro$/", false],
    ["tags:7", true],
    ["tags:>6", true],
    ["tags:>7", false],
    ["tags:>=1s", true],
    ["tags:>q", true],
    ["tags:true", true],
    ["tags:null", true],
    ["tags:inner", true],
    ["tags:name", false],
    ["tags:value", false],
    ['tags:"say \\"hi\\", \\\\o"', true],
    ['tags:"hi"', false],
    ['tags:"prod\\",\\"eu"', false],
    ["-tags:prod", false],
    ["-tags:test", true],
    ["-tags:p*", false],
    ["tags:(test OR eu)", true],
    ["tags:*", true],
  ])("a list is found by any of its elements: %s", (query, found) => {
    const tags = ["prod", "eu", 7, true, null, 'say "hi", \\o', "1.5s", ["inner"], { name: "value" }];
    expect(finds(query, { attributes: { tags: JSON.stringify(tags) } })).toBe(found);
  });

  test("what only begins like a list is a text", () => {
    for (const v of ["[prod] started", '["prod"', '["prod" ]', "[[", "[", "[]"]) {
      expect(finds("@v:prod", { attributes: { v } })).toBe(false);
      expect(finds("@v:/^prod$/", { attributes: { v } })).toBe(false);
    }
  });

  test("absence is not equal to anything", () => {
    expect(finds("-env:prod", {})).toBe(true);
    expect(finds("-@a:1", {})).toBe(true);
    expect(finds("NOT @a:>5", {})).toBe(true);
    expect(finds("@a:*", { attributes: { a: null } })).toBe(false);
    expect(finds("env:*", {})).toBe(false);
    expect(finds("service:*", { service: "" })).toBe(false);
    expect(finds("message:*", {})).toBe(false);
    expect(finds("@a:*", { attributes: { a: "" } })).toBe(true);
  });

  test("levels", () => {
    expect(finds("level:ERROR", { level: 4 })).toBe(true);
    expect(finds("level:>=warn", { level: 5 })).toBe(true);
    expect(finds("level:3", { level: 4 })).toBe(true);
    expect(finds("level:audit", { attributes: { "level.original": "AUDIT" } })).toBe(true);
    expect(finds("level:*", {})).toBe(true);
  });

  test("a pasted line with what looks like syntax is an answer as it stands", () => {
    const line = "exec java -Xmx512m -jar app.jar";
    expect(finds(line, { message: `$ ${line} --port 80` })).toBe(true);
    // Two words are too few to tell; then a minus excludes.
    expect(finds("error -timeout", { message: "error -timeout" })).toBe(false);
  });
});

describe("habits of other languages are warned of, with the right form", () => {
  const warningsOf = (query: string) => parseQuery(query).warnings.map(({ message }) => message);

  test.each([
    ["status!=200", "Write -status:200."],
    ["status>=500", "Write status:>=500."],
    ["level<=warn error", "Write level:<=warn."],
    ['message=~"inst.*"', "Write message:/expression/."],
    ["service=dpkg", "Write service:dpkg."],
    ["host.name==a", "Write host.name:a."],
    ['user!="Ada L"', 'Write -user:"…".'],
    ["level!=info error", "Write -level:info."],
    ["!level:info", "Write -level:info."],
    ["a || b", "Write OR."],
    ["a && b", "AND"],
    ['{app="shop"} |= "err"', 'Write app:"shop".'],
    ['{app!="shop"}', 'Write -app:"shop".'],
    ['{app=~"s.*"}', "Write app:/expression/."],
    ['level:error |= "x"', "|= is no operator"],
    ["not level:error", "Write NOT in capitals."],
    ["level:error or user:7", "Write OR in capitals."],
  ])("%s", (query, words) => {
    expect(warningsOf(query).join(" ")).toContain(words);
  });

  test.each([
    "connection not found",
    "this and that or more",
    "not found",
    "a = b",
    "took:>100",
    "day:>=2026-11-01",
    '"a || b"',
    "error!",
    "-status:200",
    "Hello world!",
    '"status!=200"',
    "-a -b",
  ])("%s has none", (query) => {
    expect(warningsOf(query)).toEqual([]);
  });
});
