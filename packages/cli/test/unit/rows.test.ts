import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { csvLine, csvRow } from "../../src/output/csv.ts";
import { pick } from "../../src/output/fields.ts";
import { mostSimilar } from "../../src/similar.ts";
import { type Asked, keyId, projectId, secretKeyOf, startService } from "../support/service.ts";
import { terminal } from "../support/terminal.ts";

const keys = [
  secretKeyOf("aaaa", { name: 'CI, "main"' }),
  secretKeyOf("bbbb", {
    id: "5a8f6a0e-0f7e-4b8b-9a39-0a6f0e2f7c11",
    name: '=HYPERLINK("http://evil")',
    requestsPerMinute: -5,
    rotation: { previousMasked: "sk_live_…cccc", previousUses: 3 },
  }),
];

const withKeys = (nextCursor: string | null = null) =>
  startService({ "GET /v1/secret-keys": () => ({ body: { secretKeys: keys, nextCursor } }) });

const entry = (more: object = {}) => ({
  id: "1",
  projectId,
  timestamp: "2026-11-22T07:59:58.123Z",
  level: "error",
  severity: "ERROR",
  service: "checkout",
  environment: null,
  message: "payment failed",
  body: "payment failed",
  trace_id: null,
  span_id: null,
  attributes: { "http.status": 502, user: "x" },
  resource: {},
  ...more,
});

const withEntries = (data: readonly object[], pages?: (asked: Asked) => object) =>
  startService({
    "POST /v1/logs/query": (asked) => ({
      body: {
        data,
        nextCursor: null,
        meta: { count: 1, took: 1, from: "2026-11-21T08:00:00.000Z", to: "2026-11-22T08:00:00.000Z", warnings: [] },
        ...pages?.(asked),
      },
    }),
  });

const list = ["secret-keys", "list"];
const query = ["logs", "query"];

/** RFC 4180, read by the letter. */
function parseCsv(text: string): string[][] {
  const rows: string[][] = [[]];
  const cells = text.matchAll(/("(?:[^"]|"")*"|[^",\r\n]*)(,|\r\n|$)/g);
  for (const [whole, cell = "", end] of cells) {
    if (whole === "" && end === "") break;
    rows.at(-1)?.push(cell.startsWith('"') ? cell.slice(1, -1).replaceAll('""', '"') : cell);
    if (end === "\r\n") rows.push([]);
  }
  expect(rows.pop()).toEqual([]);
  return rows;
}

describe("rows", () => {
  test("as NDJSON are one a line, and as CSV have a line of names before them", async () => {
    const { env } = await withKeys();
    const { run } = terminal({ env });
    const lines = (await run([...list, "--ndjson"])).out.trimEnd().split("\n");
    expect(lines.map((line) => JSON.parse(line))).toEqual(keys.map((key) => ({ type: "secret", ...key })));
    const csv = parseCsv((await run([...list, "--csv"])).out);
    expect(csv).toHaveLength(3);
    expect(csv[0]?.slice(0, 4)).toEqual(["id", "type", "name", "masked"]);
    expect(csv[1]?.slice(0, 4)).toEqual([keyId, "secret", 'CI, "main"', "sk_live_…aaaa"]);
  });

  test("have only the fields that were asked for, in that order, in every form", async () => {
    const { env } = await withKeys();
    const { run } = terminal({ env });
    const chosen = [...list, "--fields", "masked, rotation.previousMasked,scopes"];
    expect((await run(chosen)).out).toBe(
      [
        "MASKED         ROTATION.PREVIOUSMASKED  SCOPES",
        'sk_live_…aaaa  -                        ["*"]',
        'sk_live_…bbbb  sk_live_…cccc            ["*"]',
        "",
      ].join("\n"),
    );
    expect((await run([...chosen, "--csv"])).out).toBe(
      [
        "masked,rotation.previousMasked,scopes",
        'sk_live_…aaaa,,"[""*""]"',
        'sk_live_…bbbb,sk_live_…cccc,"[""*""]"',
        "",
      ].join("\r\n"),
    );
    const picked = [
      { masked: "sk_live_…aaaa", "rotation.previousMasked": null, scopes: ["*"] },
      { masked: "sk_live_…bbbb", "rotation.previousMasked": "sk_live_…cccc", scopes: ["*"] },
    ];
    expect(JSON.parse((await run([...chosen, "--json"])).out)).toEqual({ items: picked, nextCursor: null });
    const lines = (await run([...chosen, "--ndjson"])).out.trimEnd().split("\n");
    expect(lines).toEqual(picked.map((row) => JSON.stringify(row)));
  });

  test("that are not all say so on stderr, in every form", async () => {
    const { env } = await withKeys("more");
    const { run } = terminal({ env });
    for (const form of [[], ["--json"], ["--ndjson"], ["--csv"]]) {
      expect((await run([...list, "--limit", "2", ...form])).err).toContain("2 shown, there are more");
    }
  });

  test.each([
    [["--fields", "nmae"], "Did you mean name?"],
    [["--fields", "rotation.previousMaskd"], "Did you mean rotation.previousMasked?"],
    [["--fields", "zzz"], "There are: id, type, name"],
    [["--fields", "id,,name"], "A name is missing"],
    [["--json", "--csv"], "--json and --csv exclude each other"],
    [["--ndjson", "--csv"], "--ndjson and --csv exclude each other"],
  ])("%j is refused before anything is sent", async (options, words) => {
    const { env, asked } = await withKeys();
    const { code, out, err } = await terminal({ env }).run([...list, ...options]);
    expect({ code, out }).toEqual({ code: 2, out: "" });
    expect(err).toContain(words);
    expect(asked).toEqual([]);
  });

  test("of nothing are an empty list, no line, or the line of names", async () => {
    const { env } = await startService({ "GET /v1/organizations": () => ({ body: { organizations: [] } }) });
    const { run } = terminal({ env });
    const outputOf = async (...form: string[]) => (await run(["organizations", "list", ...form])).out;
    expect(JSON.parse(await outputOf("--json"))).toEqual({ items: [], nextCursor: null });
    expect(await outputOf("--ndjson")).toBe("");
    expect(await outputOf("--csv")).toBe("id,name,slug\r\n");
    expect(await outputOf()).toBe("");
  });

  test("errors of a command that prints NDJSON are JSON, too", async () => {
    const { err } = await terminal().run([...list, "--ndjson"]);
    expect(JSON.parse(err)).toMatchObject({ code: "NOT_LOGGED_IN", exitCode: 4 });
  });

  test("of key usage take the same forms", async () => {
    const points = [{ start: "2026-11-22T07:00:00.000Z", generation: 1, accepted: 4, refused: 0 }];
    const usage = { keyId, from: "2026-11-21T08:00:00.000Z", to: "2026-11-22T08:00:00.000Z", interval: "1h", points };
    const { env } = await startService({
      [`GET /v1/secret-keys/${keyId}`]: () => ({ body: { secretKey: keys[0] } }),
      [`GET /v1/keys/${keyId}/usage`]: () => ({ body: usage }),
    });
    const { run } = terminal({ env });
    const ask = ["secret-keys", "usage", keyId];
    expect(JSON.parse((await run([...ask, "--json"])).out)).toEqual(usage);
    expect(JSON.parse((await run([...ask, "--ndjson"])).out)).toEqual(points[0]);
    expect((await run([...ask, "--csv", "--fields", "accepted,start"])).out).toBe(
      "accepted,start\r\n4,2026-11-22T07:00:00.000Z\r\n",
    );
  });
});

describe("log entries", () => {
  test("have fields by name, attributes with dots in theirs too", async () => {
    const { env } = await withEntries([entry(), entry({ message: "two\nlines", attributes: {} })]);
    const { run } = terminal({ env });
    const chosen = [...query, "--fields", "level,message,attributes.http.status"];
    expect((await run(chosen)).out).toBe("error  payment failed  502\nerror  two  -\n    | lines\n");
    expect((await run([...chosen, "--csv"])).out).toBe(
      'level,message,attributes.http.status\r\nerror,payment failed,502\r\nerror,"two\nlines",\r\n',
    );
    for (const form of ["--json", "--ndjson"]) {
      expect((await run([...chosen, form])).out.split("\n")[0]).toBe(
        '{"level":"error","message":"payment failed","attributes.http.status":502}',
      );
    }
  });

  test("a mistyped field is told from an attribute", async () => {
    const { code, err } = await terminal().run([...query, "--fields", "mesage"]);
    expect(code).toBe(2);
    expect(err).toContain("Did you mean message? An attribute of that name is attributes.mesage.");
  });

  test("--fail-on-empty and --fail-on-match turn the answer into an exit code", async () => {
    const { env } = await withEntries([entry()]);
    const { env: none } = await withEntries([]);
    const codeOf = async (option: string, world: typeof env) =>
      (await terminal({ env: world }).run([...query, option])).code;
    expect(await codeOf("--fail-on-empty", env)).toBe(0);
    expect(await codeOf("--fail-on-empty", none)).toBe(1);
    expect(await codeOf("--fail-on-match", env)).toBe(1);
    expect(await codeOf("--fail-on-match", none)).toBe(0);
    const failed = await terminal({ env }).run([...query, "--fail-on-match", "--json"]);
    expect(JSON.parse(failed.out)).toMatchObject({ id: "1" });
    expect(JSON.parse(failed.err)).toMatchObject({ code: "MATCHED", exitCode: 1 });
    const both = await terminal({ env }).run([...query, "--fail-on-match", "--fail-on-empty"]);
    expect(both.code).toBe(2);
  });
});

describe("CSV", () => {
  const text = fc.string({
    unit: fc.oneof(fc.constantFrom(..."=+-@\t\r\n\",' \u001b\u202e\uff1d1a"), fc.string({ maxLength: 1 })),
  });

  test("is read back as it was, apart from what would be carried out", () => {
    const harmless = text.filter((one) => /^[\p{L}\p{N} ,"\n]*$/u.test(one));
    fc.assert(
      fc.property(fc.array(fc.array(harmless, { minLength: 2, maxLength: 2 }), { minLength: 1 }), (rows) => {
        fc.pre(rows.every((row) => row.every((cell) => !cell.startsWith("\n"))));
        const written = rows.map(([a, b]) => csvRow({ a, b }, ["a", "b"])).join("");
        expect(parseCsv(written)).toEqual(rows);
      }),
    );
  });

  test("has no cell that a spreadsheet would carry out, and nothing that drives a terminal", () => {
    fc.assert(
      fc.property(text, (one) => {
        const line = csvRow({ a: one }, ["a"]);
        const [[cell = ""] = []] = parseCsv(line);
        expect(cell).not.toMatch(/^[=+@\t\r\n\uff1d\uff0b\uff0d\uff20]|^-(?!\d+(\.\d+)?$)/);
        // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there.
        expect(cell).not.toMatch(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202e]/);
      }),
      { numRuns: 500 },
    );
  });

  test.each([
    ["=1+1", "'=1+1"],
    ["+49 170", "'+49 170"],
    ["-rm -rf", "'-rm -rf"],
    ["@SUM(A1)", "'@SUM(A1)"],
    ["\t=1", "'\t=1"],
    ["＝1", "'＝1"],
    ["-5", "-5"],
    ["-5.25", "-5.25"],
    ["a=1", "a=1"],
    ["", ""],
  ])("%j is the cell %j", (value, cell) => {
    expect(csvRow({ value }, ["value"])).toBe(`${cell}\r\n`);
  });

  test("keeps numbers as they are, and writes null as nothing", () => {
    expect(csvRow({ a: -5, b: null, c: true, d: [1] }, ["a", "b", "c", "d", "e"])).toBe("-5,,true,[1],\r\n");
    expect(csvLine(["a", undefined])).toBe("a,\r\n");
  });
});

test("a field's name is the longest that is there", () => {
  const row = { a: { "b.c": 1, b: { c: 2, d: 3 } }, "a.b": { d: 4 }, "x.y": 5 };
  expect(pick(row, ["a.b.c", "a.b.d", "x.y", "a.z", "toString", "__proto__"])).toEqual({
    "a.b.c": null,
    "a.b.d": 4,
    "x.y": 5,
    "a.z": null,
    toString: null,
    ["__proto__"]: null,
  });
});

test("the most similar word is suggested, and nothing far-fetched", () => {
  const known = ["name", "createdAt", "lastUsedAt"];
  expect(mostSimilar("nmae", known)).toBe("name");
  expect(mostSimilar("created", known)).toBe("createdAt");
  expect(mostSimilar("lastusedat", known)).toBe("lastUsedAt");
  expect(mostSimilar("zzz", known)).toBeUndefined();
  expect(mostSimilar("x".repeat(100_000), known)).toBeUndefined();
});
