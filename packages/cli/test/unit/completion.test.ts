import { describe, expect, test } from "vitest";
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
