import { chmodSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { configDirectory } from "../../src/config-directory.ts";
import { projectId, startService } from "../support/service.ts";
import { scratchDirectory, terminal } from "../support/terminal.ts";

const entries = { data: [], nextCursor: null };
const meta = { count: 0, took: 1, from: "2026-11-21T08:00:00.000Z", to: "2026-11-22T08:00:00.000Z", warnings: [] };

const service = () =>
  startService({
    "GET /healthz": () => ({ body: {} }),
    "POST /v1/logs/query": () => ({ body: { ...entries, meta } }),
  });

describe("--profile", () => {
  test("goes before the environment: key, address and project are the profile's", async () => {
    const { url, secretKey, asked } = await service();
    const { run } = terminal();
    const env = { SAZABI_API_URL: url };
    expect((await run(["auth", "login", "--profile", "work", "--key", secretKey], { env })).code).toBe(0);
    expect((await run(["config", "set", "projectId", projectId, "--profile", "work"])).code).toBe(0);
    const elsewhere = {
      SAZABI_API_URL: "http://127.0.0.1:9",
      SAZABI_PROJECT_ID: "0b0e7a3e-58f2-4b43-9a57-1f6f6a7f2f10",
      SAZABI_SECRET_KEY: "sk_live_none",
    };
    const { code } = await run(["logs", "query", "--profile", "work"], { env: elsewhere });
    expect(code).toBe(0);
    expect(asked.at(-1)?.text).toContain(projectId);
    const other = await run(["whoami", "--profile", "work", "--api-url", "http://127.0.0.1:9"], { env: elsewhere });
    expect(other.code).toBe(4);
  });

  test("of which nothing is kept yet leaves the environment its say", async () => {
    const { url, secretKey } = await service();
    const argv = ["auth", "login", "--profile", "new", "--key", secretKey];
    expect((await terminal({ env: { SAZABI_API_URL: url } }).run(argv)).code).toBe(0);
  });

  test("SAZABI_PROFILE leaves the other variables their say", async () => {
    const { env } = await service();
    expect((await terminal({ env: { ...env, SAZABI_PROFILE: "work" } }).run(["whoami"])).code).toBe(0);
  });
});

describe("settings that cannot be read", () => {
  const damaged: readonly (readonly [string, (path: string) => void])[] = [
    ["broken", (path) => writeFileSync(path, '{"prof')],
    ["of another form", (path) => writeFileSync(path, "[]")],
    ["a folder", (path) => mkdirSync(path)],
  ];

  function withSettings(damage: (path: string) => void): string {
    const directory = scratchDirectory();
    damage(join(directory, "config.json"));
    return directory;
  }

  test.each(damaged)("(%s) stop nothing that has all from the environment", async (_, damage) => {
    const { env } = await service();
    const { run } = terminal({ env, configDirectory: withSettings(damage) });
    expect(await run(["whoami"])).toMatchObject({ code: 0, err: "" });
    const { code, err } = await run(["logs", "query"]);
    expect(code).toBe(0);
    expect(err).toContain("Cannot read the settings in");
    expect(err).toContain("Continuing without them.");
    expect(await run(["logs", "query", "--project", projectId])).toMatchObject({ code: 0 });
  });

  test.each(damaged)("(%s) stop what needs the key, the address or a profile from them", async (_, damage) => {
    const { env, secretKey, asked } = await service();
    const { run } = terminal({ configDirectory: withSettings(damage) });
    for (const [argv, more] of [
      [["whoami"], { SAZABI_API_URL: env.SAZABI_API_URL }],
      [["whoami"], { SAZABI_SECRET_KEY: secretKey }],
      [["whoami", "--profile", "work"], env],
      [["config", "list"], env],
      [["profiles", "list"], env],
    ] as const) {
      const { code, err } = await run(argv, { env: more });
      expect({ argv, code }).toEqual({ argv, code: 1 });
      expect(err).toContain("Cannot read the settings in");
    }
    expect(asked).toEqual([]);
  });

  test.each(damaged.slice(0, 2))("(%s) are kept beside new ones by a login, with their mode", async (_, damage) => {
    const { env, url, secretKey } = await service();
    const directory = withSettings(damage);
    const path = join(directory, "config.json");
    chmodSync(path, 0o640);
    const text = readFileSync(path, "utf8");
    const aside = join(directory, "config.broken.json");
    const { run } = terminal({ configDirectory: directory, env: { SAZABI_API_URL: url } });
    const login = (stdin: string) => run(["auth", "login", "--key", "-"], { stdin });

    expect((await login("sk_live_none")).code).toBe(4);
    expect(readdirSync(directory)).toEqual(["config.json"]);
    const { code, err } = await login(secretKey);
    expect(code).toBe(0);
    expect(err).toContain(`The settings were invalid. They were renamed to ${aside}, and new ones were created.`);
    expect(readFileSync(aside, "utf8")).toBe(text);
    expect(statSync(aside).mode & 0o777).toBe(0o640);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(await run(["whoami"], { env: { ...env, SAZABI_SECRET_KEY: "" } })).toMatchObject({ code: 0 });

    writeFileSync(path, "{");
    expect((await login(secretKey)).err).toContain(join(directory, "config.broken-2.json"));
    expect(readFileSync(aside, "utf8")).toBe(text);
    expect((await login(secretKey)).err).not.toContain("broken");
  });

  test("(a folder) are left alone by a login", async () => {
    const { url, secretKey } = await service();
    const directory = withSettings((path) => mkdirSync(path));
    const { run } = terminal({ configDirectory: directory, env: { SAZABI_API_URL: url } });
    expect((await run(["auth", "login", "--key", "-"], { stdin: secretKey })).code).toBe(1);
    expect(readdirSync(directory)).toEqual(["config.json"]);
  });

  test("doctor blames the settings for what comes from them alone", async () => {
    const { env } = await service();
    const [[, damage] = expect.unreachable()] = damaged;
    const { out } = await terminal({ env, configDirectory: withSettings(damage) }).run(["doctor"]);
    expect(out).toMatch(/^FAIL {2}settings/m);
    expect(out).toMatch(/^ok {4}key/m);
    expect(out).not.toMatch(/^FAIL {2}(address|key)/m);
  });

  test("an empty file, and a byte order mark before the rest, are no damage", async () => {
    for (const text of ["", "\n", '\ufeff{"profiles":{"work":{}}}']) {
      const directory = withSettings((path) => {
        writeFileSync(path, text);
        chmodSync(path, 0o600);
      });
      const { run } = terminal({ configDirectory: directory });
      expect((await run(["profiles", "list"])).code).toBe(0);
      expect(await run(["config", "set", "apiUrl", "http://127.0.0.1:9"])).toMatchObject({ code: 0 });
      expect((await run(["config", "get", "apiUrl"])).out).toBe("http://127.0.0.1:9\n");
      expect((await run(["profiles", "list", "--json"])).out.includes('"work"')).toBe(text.includes("work"));
    }
  });
});

describe("without a home directory", () => {
  const noHome = () => {
    throw new Error("uv_os_homedir returned ENOENT");
  };

  test("a folder that is named is used, and the home is not asked for", () => {
    expect(configDirectory({ SAZABI_CONFIG_DIR: "/a" }, "linux", noHome)).toBe("/a");
    expect(configDirectory({ XDG_CONFIG_HOME: "/x" }, "linux", noHome)).toBe("/x/sazabi");
    expect(configDirectory({ APPDATA: "/d" }, "win32", noHome)).toContain("/d");
  });

  test("and without one there is one sentence", () => {
    for (const platform of ["linux", "darwin", "win32"] as const) {
      expect(() => configDirectory({}, platform, noHome)).toThrow("This user has no home directory");
    }
  });
});
