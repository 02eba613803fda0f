import { mkdirSync, readdirSync, readFileSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { configDirectory } from "../../src/config-directory.ts";
import { fileStore } from "../../src/credentials/file.ts";
import { readSettings, updateProfile } from "../../src/settings.ts";
import { scratchDirectory, terminal } from "../support/terminal.ts";

describe("settings", () => {
  test("of twenty who write at once none is lost", async () => {
    const directory = scratchDirectory();
    const names = Array.from({ length: 20 }, (_, i) => `p${i}`);
    await Promise.all(names.map((name) => updateProfile(directory, name, () => ({ projectId: name }))));
    expect(Object.keys(readSettings(directory).profiles ?? {}).sort()).toEqual([...names].sort());
  });

  test("are 0600 in 0700, even where the folder was open before", async () => {
    const directory = join(scratchDirectory(), "open");
    mkdirSync(directory, { mode: 0o755 });
    await updateProfile(directory, "default", (profile) => profile);
    expect(statSync(directory).mode & 0o777).toBe(0o700);
    expect(statSync(join(directory, "config.json")).mode & 0o777).toBe(0o600);
    expect(readdirSync(directory)).toEqual(["config.json"]);
  });

  test("a lock left by a process that died does not last", async () => {
    const directory = scratchDirectory();
    const lock = join(directory, "lock");
    writeFileSync(lock, "");
    const longAgo = new Date(Date.now() - 60_000);
    utimesSync(lock, longAgo, longAgo);
    await updateProfile(directory, "default", () => ({ projectId: "x" }));
    expect(readSettings(directory).profiles?.default?.projectId).toBe("x");
  });

  test("that are damaged are named, with what to do, and not overwritten", async () => {
    const { run, configDirectory: directory } = terminal();
    writeFileSync(join(directory, "config.json"), '{"profiles": {"def');
    const { code, err } = await run(["config", "set", "apiUrl", "http://a"]);
    expect(code).toBe(1);
    expect(err).toContain(join(directory, "config.json"));
    expect(readFileSync(join(directory, "config.json"), "utf8")).toBe('{"profiles": {"def');
  });

  test.each([
    ["null", "It is no object"],
    ["[]", "It is no object"],
    ['"x"', "It is no object"],
    ['{"activeProfile": 5}', "activeProfile is no text"],
    ['{"profiles": 5}', "profiles is no object"],
    ['{"profiles": {"default": null}}', "profiles.default is no object"],
    ['{"profiles": {"default": {"apiUrl": 7}}}', "profiles.default.apiUrl is no text"],
    ['{"profiles": {"default": {"projectId": 7}}}', "profiles.default.projectId is no text"],
    ['{"profiles": {"default": {"login": {}}}}', "profiles.default.login.apiUrl is no text"],
    [
      '{"profiles": {"default": {"login": {"apiUrl": "http://a", "store": "vault", "masked": "m"}}}}',
      "profiles.default.login.store is neither keychain nor file",
    ],
    [
      '{"profiles": {"default": {"login": {"apiUrl": "http://a", "store": "file", "masked": "m"}}}}',
      "profiles.default.login.organization is no object",
    ],
  ])("that are %s are refused by every command that reads them, and stay as they are", async (text, problem) => {
    const { run, configDirectory: directory } = terminal();
    const path = join(directory, "config.json");
    writeFileSync(path, text, { mode: 0o600 });
    for (const argv of [
      ["whoami"],
      ["profiles", "list"],
      ["config", "set", "apiUrl", "http://b"],
      ["auth", "switch", "x"],
    ]) {
      const { code, err } = await run(argv);
      expect(code).toBe(1);
      expect(err).toBe(
        `error: Cannot read the settings in ${path} (${problem}). Correct the file, or log in again: \`sazabi auth login\` renames it and creates a new one.\n`,
      );
    }
    expect((await run(["doctor"])).out).toContain(problem);
    expect(readFileSync(path, "utf8")).toBe(text);
  });

  test("a profile called like a member of every object is just a profile", async () => {
    const directory = scratchDirectory();
    await updateProfile(directory, "constructor", (profile) => ({ ...profile, projectId: "x" }));
    expect(readSettings(directory).profiles).toEqual({ constructor: { projectId: "x" } });
    const { run } = terminal({ configDirectory: directory });
    expect((await run(["whoami", "--profile", "toString"])).err).toContain(
      "There is no profile toString. There are: constructor.",
    );
  });
});

describe("a profile", () => {
  const imported = "acme_7f3c9a1be2d84f60a5c1";
  const own = `sk_live_${"x1".repeat(20)}`;

  test.each(
    [imported, own, "pk_live_short1", `${imported}/x`].flatMap((key) => [
      ["profiles", "create", key],
      ["profiles", "use", key],
      ["profiles", "delete", key],
      ["auth", "switch", key],
      ["whoami", "--profile", key],
      ["auth", "login", "--profile", key, "--key", "-"],
    ]),
  )("is not called like a key, which is not repeated: %s %s %s", async (...argv) => {
    const { run, configDirectory: directory } = terminal();
    const { code, out, err } = await run(argv, { stdin: own });
    expect(code).toBeGreaterThan(1);
    expect(out + err).not.toMatch(/9a1be2d84f60a5c1|x1x1x1/);
    expect(readdirSync(directory)).toEqual([]);
  });

  test.each(["production-eu-west-1", "client-20261201093000", "acme_production_2", "a"])(
    "may be called %s",
    async (name) => {
      const { run } = terminal();
      expect(await run(["profiles", "create", name])).toMatchObject({ code: 0 });
      expect((await run(["profiles", "list"])).out).toContain(name);
    },
  );
});

describe("config", () => {
  test("sets, gets, lists and unsets what may be set by hand", async () => {
    const { run, configDirectory: directory } = terminal();
    expect((await run(["config", "set", "apiUrl", "http://127.0.0.1:4600/v1/"])).code).toBe(0);
    expect(await run(["config", "get", "apiUrl"])).toMatchObject({ code: 0, out: "http://127.0.0.1:4600\n" });
    expect(JSON.parse((await run(["config", "list", "--json"])).out)).toEqual({
      items: [
        { name: "apiUrl", value: "http://127.0.0.1:4600" },
        { name: "projectId", value: null },
      ],
      nextCursor: null,
    });
    expect((await run(["config", "unset", "apiUrl"])).code).toBe(0);
    expect((await run(["config", "get", "apiUrl"])).code).toBe(3);
    expect((await run(["config", "path"])).out).toBe(`${join(directory, "config.json")}\n`);
  });

  test.each([
    [["config", "set", "secretKey", "x"], "There is no setting secretKey"],
    [["config", "set", "apiUrl", "not a url"], "http or https address"],
  ])("%j is refused", async (argv, words) => {
    const { code, err } = await terminal().run(argv);
    expect(code).toBe(2);
    expect(err).toContain(words);
  });
});

describe("the folder for settings", () => {
  test.each([
    [{ SAZABI_CONFIG_DIR: "/a" }, "linux", "/a"],
    [{ XDG_CONFIG_HOME: "/x" }, "linux", "/x/sazabi"],
    [{}, "linux", "/home/me/.config/sazabi"],
    [{}, "darwin", "/home/me/Library/Preferences/sazabi"],
  ] as const)("%j on %s is %s", (env, platform, directory) => {
    expect(configDirectory(env, platform, () => "/home/me")).toBe(directory);
  });
});

describe("the file store", () => {
  test("keeps accounts apart and deletes only what it is told to", async () => {
    const store = fileStore(scratchDirectory());
    await Promise.all([store.set("a", "1"), store.set("b", "2"), store.set("__proto__", "3")]);
    expect([await store.get("a"), await store.get("b"), await store.get("c")]).toEqual(["1", "2", undefined]);
    expect([await store.delete("a"), await store.delete("a")]).toEqual([true, false]);
    expect([await store.get("a"), await store.get("b")]).toEqual([undefined, "2"]);
  });

  test.each(["null", "[]", '"sk_live_secret"', '{"a": 5}'])(
    "is refused when it is %s, and stays as it is",
    async (text) => {
      const directory = scratchDirectory();
      const path = join(directory, "credentials.json");
      writeFileSync(path, text);
      await expect(fileStore(directory).get("a")).rejects.toThrow(
        `Cannot read ${path} (it does not hold keys, as JSON).`,
      );
      await expect(fileStore(directory).set("a", "1")).rejects.toThrow(path);
      expect(readFileSync(path, "utf8")).toBe(text);
    },
  );

  test("does not quote a damaged file, which may hold keys", async () => {
    const directory = scratchDirectory();
    writeFileSync(join(directory, "credentials.json"), '{"a": "sk_live_secret');
    await expect(fileStore(directory).get("a")).rejects.toThrow(/credentials.json/);
    await expect(fileStore(directory).get("a")).rejects.not.toThrow(/sk_live_secret/);
  });
});
