import { describe, expect, test } from "vitest";
import { completionScripts } from "../../src/commands/completion-scripts.ts";
import { checkNesting, literalArgument } from "../support/powershell.ts";
import { keyId, projectId, refusal, secretKeyOf, someKey, startService } from "../support/service.ts";
import { brokenKeychain, terminal } from "../support/terminal.ts";

const keys = [
  secretKeyOf("wxyz", { name: "CI/CD pipeline" }),
  secretKeyOf("evil", { id: "11111111-58f2-4b43-9a57-1f6f6a7f2f10", name: "\u001b]0;owned\u0007" }),
  secretKeyOf("dash", { id: "22222222-58f2-4b43-9a57-1f6f6a7f2f10", name: "--force" }),
];

const service = () =>
  startService({
    "GET /v1/secret-keys": () => ({ body: { secretKeys: keys, nextCursor: null } }),
    "GET /v1/public-keys": () => refusal(400, "VALIDATION_ERROR", "Which project?", { missingContext: ["projectId"] }),
    "GET /v1/projects": () => ({
      body: { projects: [{ id: projectId, name: "shop", region: null }], nextCursor: null },
    }),
  });

/** The words that are offered. */
async function offered(
  words: readonly string[],
  world: Parameters<typeof terminal>[0] = {},
): Promise<readonly string[]> {
  const { code, out, err } = await terminal(world).run(["__complete", ...words]);
  expect({ code, err }).toEqual({ code: 0, err: "" });
  return out
    .split("\n")
    .filter(Boolean)
    .map((line) => line.split("\t")[0] as string);
}

describe("completion offers", () => {
  test.each([
    [["au"], ["auth", "audit"]],
    [
      ["keys", "rev"],
      ["revoke", "revoke-all"],
    ],
    [["keys", "secret-keys", "c"], ["create"]],
    [["--json", "keys", "ins"], ["inspect"]],
    [["--profile", "keys", "logs", "q"], ["query"]],
    [["logs", "send", "--level", "f"], ["fatal"]],
    [["logs", "send", "--level", "=", "f"], ["fatal"]],
    // As zsh and fish hand it over.
    [["logs", "send", "--level=f"], ["--level=fatal"]],
    [["logs", "query", "--oldest"], ["--oldest-first"]],
    [["logs", "query", "--quie"], ["--quiet"]],
    [["logs", "query", "--", "--oldest"], []],
    [["logs", "send", ""], []],
    [
      ["completion", ""],
      ["bash", "zsh", "fish", "powershell"],
    ],
    [["nothing", ""], []],
    [
      ["help", "e"],
      ["environment", "exit-codes"],
    ],
    [
      ["--json", "help", "o"],
      ["organizations", "open", "output"],
    ],
    [
      ["help", "keys", "rev"],
      ["revoke", "revoke-all"],
    ],
    [["keys", "help", "rot"], ["rotate"]],
    [["help", "keys", "rotate", ""], []],
    [["help", "environment", ""], []],
  ])("for %j: %j", async (words, expected) => {
    expect([...(await offered(words))].sort()).toEqual([...expected].sort());
  });

  test("names and ids of keys, but no name that would drive a terminal or be an option", async () => {
    const { env } = await service();
    expect(await offered(["keys", "revoke", ""], { env })).toEqual(["CI/CD pipeline", ...keys.map(({ id }) => id)]);
    expect(await offered(["keys", "secret-keys", "rotate", "'CI"], { env })).toEqual(["CI/CD pipeline"]);
    expect(await offered(["keys", "rotate", "CI/CD\\ p"], { env })).toEqual(["CI/CD pipeline"]);
    expect(await offered(["keys", "usage", keyId.slice(0, 8)], { env })).toEqual([keyId]);
  });

  test("projects and profiles, and uses the profile that the line names", async () => {
    const { env, url, secretKey } = await service();
    expect(await offered(["logs", "query", "--project", "s"], { env })).toEqual(["shop"]);
    expect(await offered(["logs", "query", "--project=s"], { env })).toEqual(["--project=shop"]);
    expect(await offered(["projects", "use", projectId.slice(0, 4)], { env })).toEqual([projectId]);
    const { run } = terminal({ env: { SAZABI_API_URL: url } });
    await run(["auth", "login", "--profile", "work", "--key", "-"], { stdin: secretKey });
    for (const words of [
      ["profiles", "use", "w"],
      ["--profile", "w"],
    ]) {
      expect((await run(["__complete", ...words])).out).toBe("work\tAcme\n");
    }
    expect((await run(["__complete", "projects", "use", "s"])).out).toBe("");
    expect((await run(["__complete", "--profile", "work", "projects", "use", "s"])).out).toBe("shop\tproject\n");
  });
});

describe("completion says nothing and waits for nobody", () => {
  test("without a login", async () => {
    expect(await offered(["keys", "revoke", ""])).toEqual([]);
  });

  test("when the service refuses, or is not there", async () => {
    const { url } = await service();
    for (const SAZABI_API_URL of [url, "http://127.0.0.1:9", "nonsense"]) {
      const env = { SAZABI_API_URL, SAZABI_SECRET_KEY: someKey("secret") };
      expect(await offered(["keys", "revoke", ""], { env })).toEqual([]);
    }
    expect(await offered(["keys", "revoke", ""], { env: { SAZABI_SECRET_KEY: "nonsense" } })).toEqual([]);
  });

  test("when the service never answers, or says to come back later", async () => {
    const { env } = await startService({ "GET /v1/projects": () => new Promise(() => {}) });
    expect(await offered(["projects", "use", ""], { env })).toEqual([]);
    const busy = await startService({
      "GET /v1/projects": () => refusal(429, "RATE_LIMIT_EXCEEDED", "Slow down.", { retryAfterSeconds: 9 }),
    });
    expect(await offered(["projects", "use", ""], { env: busy.env })).toEqual([]);
  });

  test("when the keychain is locked, at a terminal where somebody could be asked", async () => {
    const { url, secretKey } = await service();
    const { run } = terminal({ env: { SAZABI_API_URL: url }, columns: 80 });
    await run(["auth", "login"], { typed: [secretKey] });
    const { out, err } = await run(["__complete", "projects", "use", ""], { keychain: brokenKeychain("locked") });
    expect({ out, err }).toEqual({ out: "", err: "" });
  });
});

test("a shell that is not known is a usage error with those that are", async () => {
  const { code, err } = await terminal().run(["completion", "tcsh"]);
  expect(code).toBe(2);
  expect(err).toContain("bash, zsh, fish, powershell");
});

describe("in PowerShell", () => {
  const script = completionScripts.powershell;

  /** What the script makes of a word: its own two patterns, which mean the same in .NET and here. */
  function typed(word: string): string {
    const [, unsafe = ""] = /-match '(.*?)'/.exec(script) ?? expect.unreachable();
    const [, quotes = "", twice = ""] = /-replace "(.*?)", '(.*?)'/.exec(script) ?? expect.unreachable();
    if (!new RegExp(unsafe).test(word)) return word;
    return `'${word.replace(new RegExp(quotes, "g"), twice.replaceAll("$0", "$$&"))}'`;
  }

  test("strings, comments and brackets of the script are closed, and the check finds one that is not", () => {
    expect(() => checkNesting(script)).not.toThrow();
    for (const piece of ["{", "}", "(", ")", "[", "]", "'", '"']) {
      const at = script.lastIndexOf(piece);
      expect(() => checkNesting(script.slice(0, at) + script.slice(at + 1))).toThrow();
    }
  });

  test.each([
    "ci",
    "--profile",
    "0b0e7a3e-58f2-4b43-9a57-1f6f6a7f2f10",
    "CI/CD pipeline",
    "it's",
    "it\u2019s; Remove-Item x; \u2018",
    "\u201a\u201b'\u2018\u2019",
    "$(touch owned)",
    "$env:PATH",
    "a`nb",
    "a,b",
    "@args",
    "#comment",
    "a;b|c&d>e<f",
    '"quoted"',
    "{block}",
    "%{ $_ }",
    "字 é",
  ])("%j is filled in as that one word, whatever it holds", (word) => {
    expect(literalArgument(typed(word))).toBe(word);
  });

  test("a name that needs quotes is asked for as PowerShell gives it back: whole, with its opening quote, or without", async () => {
    const { env } = await service();
    for (const current of ["CI/CD pipe", "'CI/CD pipe", '"CI/CD pipe', "'CI/CD pipeline'", "CI"]) {
      expect(await offered(["keys", "revoke", current], { env })).toEqual(["CI/CD pipeline"]);
    }
  });

  test("after a space the empty word comes as two quotes, and everything is offered", async () => {
    const { env } = await service();
    expect(await offered(["keys", "rev", "''"])).toEqual([]);
    expect(await offered(["completion", "''"])).toEqual(["bash", "zsh", "fish", "powershell"]);
    expect(await offered(["projects", "use", "''"], { env })).toEqual(["shop", projectId]);
    expect(await offered(["logs", "query", "--project", "''"], { env })).toEqual(["shop", projectId]);
  });

  test("what stands behind the cursor, and a value behind a colon or an equals sign, does not lead astray", async () => {
    // The script leaves away what begins at the cursor or after it.
    expect(script).toContain("$_.Extent.StartOffset -lt $cursorPosition");
    expect(await offered(["keys", "ins"])).toEqual(["inspect"]);
    expect(await offered(["--json", "keys", "ins"])).toEqual(["inspect"]);
    expect(await offered(["-q", "keys", "ins"])).toEqual(["inspect"]);
  });
});
