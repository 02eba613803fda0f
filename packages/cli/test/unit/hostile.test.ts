import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { keyId, projectId, refusal, secretKeyOf, startService } from "../support/service.ts";
import { scratchDirectory, terminal } from "../support/terminal.ts";

/** What drives a terminal or deceives its reader, whoever wrote it. Line feeds are ours. */
const dangerous =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there.
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]|\p{Surrogate}|[\u{e0000}-\u{e007f}]/u;

/** Sequences that terminals have been attacked with, each alone. */
const known = [
  "\u001b[2J\u001b[H",
  "\u001b[1A\u001b[2K forged line",
  "\u001b]0;title\u0007",
  "\u001b]2;title\u001b\\",
  "\u001b]8;;http://evil.example\u001b\\click\u001b]8;;\u001b\\",
  "\u001b]52;c;cm0gLXJmIC8=\u0007",
  "\u001b]50;?\u0007",
  '\u001bP$q"p\u001b\\',
  "\u001b[21t",
  "\u001b[6n",
  "\u001b[?1049h",
  "\u001b[?25l",
  "\u001bc",
  "\u001b(0",
  "\u001b[5i",
  "\u001b_Gf=24\u001b\\",
  "\u001b[31;1mcolour\u001b[0m",
  "\u001b[38;2;255;0;0mtrue colour",
  "\u009b2J",
  "\u009d0;title\u009c",
  "\u0090q\u009c",
  "\u0085next line",
  "\rforged",
  "over\b\b\b\bwritten",
  "bell\u0007",
  "form\u000cfeed\u000b",
  "nul\u0000nul",
  "del\u007f",
  "a\r\nb\r\n2026-11-22 ERROR forged",
  "\u2028line\u2029paragraph",
  "\u202eevil\u202c",
  "\u2066isolate\u2069",
  "\u200b\u200e\u200f\u061c\ufeff",
  "\ufff9annotation\ufffa\ufffb",
  "\u{e0001}\u{e0041}tag",
  "\ud800",
  "\udc00",
  "a\udfff\ud800b",
  "=cmd|' /C calc'!A0",
  "+1+1",
  "-2+3",
  "@SUM(1)",
  "\t=1",
  '","=1',
  "\u{1f469}\u200d\u{1f469}",
  "x".repeat(50_000),
  "\u001b[".repeat(2000),
  "日本".repeat(5000),
  "é\u0301".repeat(5000),
  "",
];

const made = fc.sample(
  fc.string({
    unit: fc.oneof(
      fc.constantFrom(
        ..."\u001b[]0;?mJHK\u0007\u009b\u009d\u009c\u0090\u202e\u2066\r\n\t\0\b\ud800,\udc00\u2028\ufeff=+-@,\"'x",
      ),
      fc.string({ unit: "binary", minLength: 1, maxLength: 1 }),
    ),
    minLength: 12,
    maxLength: 60,
  }),
  { numRuns: 300 - known.length, seed: 5 },
);

const hostile = [...known, ...made];

const entries = hostile.map((text, i) => ({
  id: `${i}`,
  projectId,
  timestamp: "2026-11-22T07:59:58.123Z",
  level: "error",
  severity: "ERROR",
  service: text,
  environment: text,
  message: text,
  body: "",
  trace_id: null,
  span_id: null,
  attributes: { [text || "empty"]: text },
  resource: {},
}));

const meta = { count: 1, took: 1, from: "2026-11-21T08:00:00.000Z", to: "2026-11-22T08:00:00.000Z", warnings: [] };

const services = () =>
  startService({
    "POST /v1/logs/query": () => ({ body: { data: entries, nextCursor: null, meta } }),
    "GET /v1/secret-keys": () => ({
      body: {
        secretKeys: hostile.map((name) => secretKeyOf("wxyz", { name, lastUsedAddress: name })),
        nextCursor: null,
      },
    }),
    "GET /v1/organizations": () => ({
      body: { organizations: hostile.map((name) => ({ id: keyId, name, slug: name })) },
    }),
  });

const query = ["logs", "query", "--limit", "300"];
const lists = [query, ["secret-keys", "list", "--limit", "300"], ["organizations", "list"]];

describe("300 hostile texts", { timeout: 60_000 }, () => {
  test("are 300, and hold everything that is dangerous", () => {
    expect(hostile).toHaveLength(300);
    expect(hostile.filter((text) => dangerous.test(text)).length).toBeGreaterThan(250);
  });

  test("reach no terminal raw, in any form", async () => {
    const { env } = await services();
    for (const world of [terminal({ env }), terminal({ env, columns: 80 }), terminal({ env, columns: 30 })]) {
      for (const list of lists) {
        for (const form of [
          [],
          ["--fields", list === query ? "message,attributes.x" : "name"],
          ["--json"],
          ["--ndjson"],
          ["--csv"],
        ]) {
          const { code, out, err } = await world.run([...list, ...form, "--color", "never"]);
          expect(code).toBe(0);
          const printed = form.includes("--csv") ? out.replaceAll("\r\n", "\n") : out;
          const found = dangerous.exec(printed + err);
          if (found) expect.fail(`${[...list, ...form].join(" ")}: ${JSON.stringify(found)}`);
        }
      }
    }
  });

  test("arrive in JSON and NDJSON to the byte", async () => {
    const { env } = await services();
    const { run } = terminal({ env });
    for (const form of ["--json", "--ndjson"]) {
      const lines = (await run([...query, form])).out.trimEnd().split("\n");
      expect(lines.map((line) => JSON.parse(line))).toEqual(entries);
    }
    const { items } = JSON.parse((await run(["organizations", "list", "--json"])).out);
    expect(items.map(({ name }: { name: string }) => name)).toEqual(hostile);
  });

  test("make one line each, or lines that are set apart", async () => {
    const { env } = await services();
    const { out } = await terminal({ env }).run(query);
    const lines = out.trimEnd().split("\n");
    expect(lines.filter((line) => !line.startsWith("    | "))).toHaveLength(300);
    const table = (await terminal({ env }).run(["organizations", "list"])).out.trimEnd().split("\n");
    expect(table).toHaveLength(301);
  });

  test("as error texts of a service are shown, not carried out", async () => {
    let turn = 0;
    const { env } = await startService({
      "GET /v1/projects": () => {
        const text = hostile[turn % hostile.length] as string;
        return refusal(400, text || "X", text || "X", { issues: [{ path: text, message: text }], requestId: text });
      },
    });
    const { run } = terminal({ env });
    for (; turn < hostile.length; turn++) {
      for (const form of [[], ["--json"]]) {
        const { code, out, err } = await run(["projects", "list", ...form]);
        expect({ code, out }).toEqual({ code: 1, out: "" });
        const found = dangerous.exec(err) ?? (err.trimEnd().includes("\n") ? ["a second line"] : null);
        if (found) expect.fail(`${JSON.stringify(hostile[turn]?.slice(0, 100))}: ${JSON.stringify(found)}`);
      }
    }
  });

  test("as arguments are quoted harmlessly", async () => {
    for (const text of hostile.filter((one) => one !== "" && !one.includes("\0"))) {
      for (const argv of [
        ["projects", text],
        [text],
        ["logs", "query", "--since", text],
        ["config", "get", text],
        ["open", text],
        ["api", text, "/"],
      ]) {
        const { err } = await terminal().run(argv);
        const found = dangerous.exec(err);
        if (found) expect.fail(`${argv.join(" ").slice(0, 200)}: ${JSON.stringify(found)}`);
      }
    }
  });
});

describe("a service that answers with something else than a key", () => {
  const evil = "sk_live_x\nPATH=/evil\u001b]0;title\u0007";
  const answers = (value: unknown, masked = "sk_live_…wxyz") => ({
    "POST /v1/secret-keys": () => ({ status: 201, body: { secretKey: secretKeyOf("sk_live_wxyz", { value }) } }),
    [`GET /v1/secret-keys/${keyId}`]: () => ({ body: { secretKey: secretKeyOf("sk_live_wxyz", { masked }) } }),
    [`POST /v1/secret-keys/${keyId}/rotate`]: () => ({
      status: 201,
      body: { secretKey: secretKeyOf("sk_live_wxyz", { value, masked }) },
    }),
  });

  test.each([evil, "", 7, null, "$(touch /tmp/x)"])("is not printed, and not written anywhere: %j", async (value) => {
    const { env } = await startService(answers(value));
    const output = join(scratchDirectory(), "output");
    writeFileSync(output, "");
    for (const argv of [
      ["keys", "create", "ci"],
      ["keys", "rotate", keyId, "--github-output"],
      ["keys", "rotate", keyId, "--stdout"],
    ]) {
      const { code, out, err } = await terminal({ env: { ...env, GITHUB_OUTPUT: output } }).run(argv);
      expect({ argv, code, out }).toEqual({ argv, code: 1, out: "" });
      expect(err).toContain("a secret that is not a Sazabi key");
      expect(err).not.toMatch(dangerous);
      expect(err).not.toContain("evil");
    }
    expect(readFileSync(output, "utf8")).toBe("");
  });
});
