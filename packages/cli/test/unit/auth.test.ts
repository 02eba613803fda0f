import { existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { refusal, someKey, startService } from "../support/service.ts";
import { brokenKeychain, memoryKeychain, scratchDirectory, terminal } from "../support/terminal.ts";

const settingsOf = (directory: string) => {
  const path = join(directory, "config.json");
  return existsSync(path) ? readFileSync(path, "utf8") : "";
};

describe("auth login", () => {
  test("checks the key, keeps it in the keychain, and nowhere else", async () => {
    const { url, secretKey } = await startService();
    const keychain = memoryKeychain();
    const { run, configDirectory } = terminal({ env: { SAZABI_API_URL: url }, keychain });
    const { code, out } = await run(["auth", "login", "--key", "-"], { stdin: `${secretKey}\n` });
    expect(code).toBe(0);
    expect(out).toContain("Acme");
    expect([...keychain.keys]).toEqual([[`default@${url}`, secretKey]]);
    expect(settingsOf(configDirectory)).not.toContain(secretKey);
    expect(existsSync(join(configDirectory, "credentials.json"))).toBe(false);
    expect((await run(["whoami"])).out).toContain(`sk_live_…${secretKey.slice(-4)} (profile default)`);
  });

  test("takes a key as an argument, and says that the shell remembers it", async () => {
    const { url, secretKey } = await startService();
    const { run } = terminal({ env: { SAZABI_API_URL: url } });
    const { code, out, err } = await run(["auth", "login", "--key", secretKey]);
    expect(code).toBe(0);
    expect(err).toContain("history");
    expect(out + err).not.toContain(secretKey);
  });

  test("takes a key from a file, without its line end", async () => {
    const { url, secretKey } = await startService();
    const keychain = memoryKeychain();
    const file = join(scratchDirectory(), "key");
    writeFileSync(file, `${secretKey}\r\n`);
    const { run } = terminal({ env: { SAZABI_API_URL: url }, keychain });
    expect((await run(["auth", "login", "--key-file", file])).code).toBe(0);
    expect([...keychain.keys.values()]).toEqual([secretKey]);
  });

  test("asks at a terminal, and only there", async () => {
    const { url, secretKey } = await startService();
    const { run } = terminal({ env: { SAZABI_API_URL: url } });
    const asked = await run(["auth", "login"], { columns: 80, typed: [secretKey] });
    expect(asked.code).toBe(0);
    expect(asked.err).toContain("Secret key: ");
    for (const more of [{ stdin: secretKey }, {}]) {
      const { code, err } = await run(["auth", "login"], more);
      expect(code).toBe(2);
      expect(err).toContain("--key -");
    }
    expect((await run(["auth", "login", "--no-input"], { columns: 80 })).code).toBe(2);
  });

  test("`auth save` is another name for it", async () => {
    const { url, secretKey } = await startService();
    const { run } = terminal({ env: { SAZABI_API_URL: url } });
    expect((await run(["auth", "save", secretKey])).code).toBe(0);
    expect((await run(["auth", "whoami"])).code).toBe(0);
  });

  test.each([
    ["revoked", refusal(401, "UNAUTHORIZED", "No.", { reason: "revoked_api_key" })],
    ["unknown", refusal(401, "UNAUTHORIZED", "No.", { reason: "invalid_api_key" })],
    ["not checkable, because the service is broken", refusal(500, "INTERNAL_ERROR", "Broken.")],
  ])("stores nothing when the key is %s", async (_, answer) => {
    const { url, secretKey } = await startService({ "GET /v1/me": () => answer });
    const keychain = memoryKeychain();
    const { run, configDirectory } = terminal({ env: { SAZABI_API_URL: url }, keychain });
    const { code } = await run(["auth", "login", "--key", "-"], { stdin: secretKey });
    expect(code).not.toBe(0);
    expect(keychain.keys.size).toBe(0);
    expect(settingsOf(configDirectory)).toBe("");
  });

  test("stores nothing when the service cannot be reached", async () => {
    const keychain = memoryKeychain();
    const { run } = terminal({ env: { SAZABI_API_URL: "http://127.0.0.1:9" }, keychain });
    expect((await run(["auth", "login", "--key", "-"], { stdin: someKey("secret") })).code).toBe(5);
    expect(keychain.keys.size).toBe(0);
  });

  test.each([
    ["a public key", someKey("public"), "is a public key"],
    ["a mistyped key", `${someKey("secret").slice(0, -6)}000000`, "checksum"],
    ["a key in two halves", "sk_live_abc def", "its length is wrong"],
    ["no key at all", "hello", "begins with none"],
  ])("refuses %s without asking the service", async (_, key, words) => {
    const { url, asked } = await startService();
    const { code, err } = await terminal({ env: { SAZABI_API_URL: url } }).run(["auth", "login", "--key", key]);
    expect(code).toBe(4);
    expect(err).toContain(words);
    expect(asked).toEqual([]);
  });

  test("refuses an empty key, a missing file and two keys at once as usage errors", async () => {
    const { run } = terminal();
    expect((await run(["auth", "login", "--key", "-"], { stdin: "\n" })).code).toBe(2);
    expect((await run(["auth", "login", "--key-file", "/nowhere/key"])).code).toBe(2);
    expect((await run(["auth", "login", "--key", "a", "--key-file", "b"])).code).toBe(2);
    expect((await run(["auth", "login", "--key", "-"], { stdin: "x".repeat(10_000) })).code).toBe(2);
  });

  test("a key in the environment does not stand in the way, and is pointed out", async () => {
    const { url, secretKey } = await startService();
    const env = { SAZABI_API_URL: url, SAZABI_SECRET_KEY: someKey("secret") };
    const { code, err } = await terminal({ env }).run(["auth", "login", "--key", "-"], { stdin: secretKey });
    expect(code).toBe(0);
    expect(err).toContain("SAZABI_SECRET_KEY is set and takes precedence");
  });
});

describe("where the keychain cannot be used", () => {
  test.each(["locked", "unavailable", "timeout"] as const)(
    "%s: a login stores nothing and names three ways out",
    async (fault) => {
      const { url, secretKey } = await startService();
      const { run, configDirectory } = terminal({ env: { SAZABI_API_URL: url }, keychain: brokenKeychain(fault) });
      const { code, err } = await run(["auth", "login", "--key", "-", "--json"], { stdin: secretKey });
      expect(code).toBe(4);
      const report = JSON.parse(err);
      expect(report.code).toBe(`KEYCHAIN_${fault.toUpperCase()}`);
      expect(report.hint).toContain("SAZABI_SECRET_KEY");
      expect(report.hint).toContain("--store file");
      expect(report.hint).toMatch(/try again/);
      expect(settingsOf(configDirectory)).toBe("");
      expect(existsSync(join(configDirectory, "credentials.json"))).toBe(false);
    },
  );

  test("--store file keeps the key in a file only its owner can read, and says so", async () => {
    const { url, secretKey } = await startService();
    const { run, configDirectory } = terminal({
      env: { SAZABI_API_URL: url },
      keychain: brokenKeychain("unavailable"),
    });
    const { code, out } = await run(["auth", "login", "--key", "-", "--store", "file"], { stdin: secretKey });
    expect(code).toBe(0);
    expect(out).toContain("plain text");
    const file = join(configDirectory, "credentials.json");
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(statSync(configDirectory).mode & 0o777).toBe(0o700);
    expect(statSync(join(configDirectory, "config.json")).mode & 0o777).toBe(0o600);
    const status = await run(["auth", "status", "--json"]);
    expect(JSON.parse(status.out)).toMatchObject({ store: "file", plaintext: true, authenticated: true });
  });

  test("a key in the environment is used without asking the keychain", async () => {
    const { env } = await startService();
    const { code } = await terminal({ env, keychain: brokenKeychain("timeout") }).run(["whoami"]);
    expect(code).toBe(0);
  });

  test("who never logged in is told so, and the keychain is not asked", async () => {
    const { code, err } = await terminal({ keychain: brokenKeychain("timeout") }).run(["whoami"]);
    expect(code).toBe(4);
    expect(err).toContain("Not logged in");
  });

  test("a stored key that cannot be read is not the same as one that is gone", async () => {
    const { url, secretKey } = await startService();
    const { run } = terminal({ env: { SAZABI_API_URL: url } });
    await run(["auth", "login", "--key", "-"], { stdin: secretKey });
    const locked = await run(["whoami", "--json"], { keychain: brokenKeychain("locked") });
    const gone = await run(["whoami", "--json"], { keychain: memoryKeychain() });
    expect([locked.code, JSON.parse(locked.err).code]).toEqual([4, "KEYCHAIN_LOCKED"]);
    expect([gone.code, JSON.parse(gone.err).code]).toEqual([4, "NOT_LOGGED_IN"]);
  });
});

describe("a stored key goes only to the address it was checked at", () => {
  test("another address is not sent the key", async () => {
    const mine = await startService();
    const other = await startService();
    const { run } = terminal({ env: { SAZABI_API_URL: mine.url } });
    await run(["auth", "login", "--key", "-"], { stdin: mine.secretKey });
    const { code, err } = await run(["whoami", "--api-url", other.url]);
    expect(code).toBe(4);
    expect(err).toContain(mine.url);
    expect(err).toContain("--api-url");
    expect(other.asked).toEqual([]);
  });

  test("the address of the login is used from then on", async () => {
    const { url, secretKey } = await startService();
    const { run } = terminal();
    await run(["auth", "login", "--key", "-", "--api-url", `${url}/v1/`], { stdin: secretKey });
    expect((await run(["whoami"])).code).toBe(0);
  });
});

describe("a second login", () => {
  test("into another store leaves no key in the first", async () => {
    const { url, secretKey } = await startService();
    const keychain = memoryKeychain();
    const { run, configDirectory } = terminal({ env: { SAZABI_API_URL: url }, keychain });
    await run(["auth", "login", "--key", "-", "--store", "file"], { stdin: secretKey });
    await run(["auth", "login", "--key", "-", "--store", "keychain"], { stdin: secretKey });
    expect(readFileSync(join(configDirectory, "credentials.json"), "utf8")).not.toContain(secretKey);
    expect(keychain.keys.size).toBe(1);
  });

  test("as another profile keeps both", async () => {
    const { url, secretKey } = await startService();
    const { run } = terminal({ env: { SAZABI_API_URL: url } });
    await run(["auth", "login", "--key", "-"], { stdin: secretKey });
    await run(["auth", "login", "--key", "-", "--profile", "work"], { stdin: secretKey });
    const { items } = JSON.parse((await run(["profiles", "list", "--json"])).out);
    expect(items).toMatchObject([
      { name: "default", active: true, organization: "Acme" },
      { name: "work", active: false, organization: "Acme" },
    ]);
    await run(["profiles", "use", "work"]);
    expect((await run(["whoami"])).out).toContain("profile work");
    expect((await run(["profiles", "delete", "work"])).code).toBe(1);
    expect((await run(["profiles", "use", "nowhere"])).code).toBe(3);
  });
});

describe("auth logout", () => {
  test("deletes the key, and says that it is still valid", async () => {
    const { url, secretKey } = await startService();
    const keychain = memoryKeychain();
    const { run } = terminal({ env: { SAZABI_API_URL: url }, keychain });
    await run(["auth", "login", "--key", "-"], { stdin: secretKey });
    const { code, err } = await run(["auth", "logout"]);
    expect(code).toBe(0);
    expect(err).toContain("still valid");
    expect(keychain.keys.size).toBe(0);
    expect((await run(["whoami"])).code).toBe(4);
  });

  test("forgets nothing when the keychain does not let go of the key", async () => {
    const { url, secretKey } = await startService();
    const { run } = terminal({ env: { SAZABI_API_URL: url } });
    await run(["auth", "login", "--key", "-"], { stdin: secretKey });
    expect((await run(["auth", "logout"], { keychain: brokenKeychain("locked") })).code).toBe(4);
    expect((await run(["whoami"])).code).toBe(0);
  });

  test("of nobody is not an error", async () => {
    expect(await terminal().run(["auth", "logout"])).toMatchObject({ code: 0 });
  });
});

describe("auth status", () => {
  test("names key, source, address, organization and what the key may do", async () => {
    const { env, secretKey, url } = await startService();
    const { code, out } = await terminal({ env }).run(["auth", "status"]);
    expect(code).toBe(0);
    for (const words of [
      `sk_live_…${secretKey.slice(-4)}, from SAZABI_SECRET_KEY`,
      url,
      "Acme",
      "everything",
      "never",
    ]) {
      expect(out).toContain(words);
    }
    expect(out).not.toContain(secretKey);
  });

  test("names the project, and who chose it", async () => {
    const { env } = await startService();
    const { run } = terminal({ env });
    expect((await run(["auth", "status"])).out).toContain("Project:      none chosen");
    expect((await run(["auth", "status"], { env: { SAZABI_PROJECT_ID: "shop" } })).out).toContain(
      "Project:      shop (SAZABI_PROJECT_ID)",
    );
    const json = await run(["auth", "status", "--json"], { env: { SAZABI_PROJECT_ID: "shop" } });
    expect(JSON.parse(json.out)).toMatchObject({ projectId: "shop", projectSource: "SAZABI_PROJECT_ID" });
  });

  test("still says what it knows when the service refuses the key", async () => {
    const { url } = await startService();
    const env = { SAZABI_API_URL: url, SAZABI_SECRET_KEY: someKey("secret") };
    const { code, out } = await terminal({ env }).run(["auth", "status", "--json"]);
    expect(code).toBe(4);
    expect(JSON.parse(out)).toMatchObject({ authenticated: false, keySource: "SAZABI_SECRET_KEY", apiUrl: url });
  });
});
