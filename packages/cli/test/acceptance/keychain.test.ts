import { describe, expect, test } from "vitest";
import { filesWith, hungBus, keyringOf, leftRunning, missing } from "../support/keyring.ts";
import { sazabi } from "../support/process.ts";
import { startService } from "../support/service.ts";
import { scratchDirectory } from "../support/terminal.ts";

const login = ["auth", "login", "--key", "-", "--json"];
const whoami = ["whoami", "--json"];

/** The error, as JSON; the bus talks on stderr, too. */
const reportOf = (err: string) => JSON.parse(err.split("\n").find((line) => line.startsWith("{")) ?? "{}");

const skipped = missing.length > 0 ? ` (skipped: no ${missing.join(", no ")} here)` : "";

describe.skipIf(skipped !== "")(`a real keyring${skipped}`, () => {
  test("keeps the key over sessions, gives it back, and lets go of it", async () => {
    const { url, secretKey } = await startService();
    const home = scratchDirectory();
    const { unlocked } = keyringOf(home);
    const env = { SAZABI_API_URL: url };
    expect(await unlocked(login, { env, stdin: secretKey })).toMatchObject({
      code: 0,
      out: expect.stringContaining("keychain"),
    });
    expect(await unlocked(whoami)).toMatchObject({ code: 0, out: expect.stringContaining("Acme") });
    expect(await unlocked(["auth", "status"])).toMatchObject({
      code: 0,
      out: expect.stringContaining("Secret Service"),
    });
    expect(filesWith(home, secretKey.slice(8, -4))).toBe("");
    expect((await unlocked(["auth", "logout"])).code).toBe(0);
    const after = await unlocked(whoami);
    expect([after.code, reportOf(after.err).code]).toEqual([4, "NOT_LOGGED_IN"]);
    expect(leftRunning(home)).toBe("");
  });

  test("that is locked is told from one without the key, and stores nothing", async () => {
    const { url, secretKey } = await startService();
    const home = scratchDirectory();
    const { unlocked, locked } = keyringOf(home);
    const env = { SAZABI_API_URL: url };
    await unlocked(login, { env, stdin: secretKey });
    for (const argv of [whoami, [...login, "--profile", "other"], ["auth", "logout", "--json"]]) {
      const startedAt = Date.now();
      const { code, err } = await locked(argv, { env, stdin: secretKey });
      expect([code, reportOf(err).code]).toEqual([4, "KEYCHAIN_LOCKED"]);
      expect(reportOf(err).hint).toContain("--store file");
      expect(Date.now() - startedAt).toBeLessThan(5000);
    }
    expect((await unlocked(whoami)).code).toBe(0);
    expect((await unlocked(["profiles", "list"])).out).not.toContain("other");
    expect(filesWith(home, secretKey.slice(8, -4))).toBe("");
  });

  test("is not asked when the environment gives a key", async () => {
    const { env } = await startService();
    const { locked } = keyringOf(scratchDirectory());
    expect((await locked(whoami, { env })).code).toBe(0);
  });
});

describe.runIf(process.platform === "linux")("without a keyring that answers", () => {
  test("no bus: a login stores nothing and says so at once", async () => {
    const { url, secretKey } = await startService();
    const home = scratchDirectory();
    const { code, err } = await sazabi(home, login, { env: { SAZABI_API_URL: url }, stdin: secretKey });
    expect([code, reportOf(err).code]).toEqual([4, "KEYCHAIN_UNAVAILABLE"]);
    expect(reportOf(err).hint).toMatch(/SAZABI_SECRET_KEY.*--store file/);
    expect(filesWith(home, secretKey.slice(8, -4))).toBe("");
  });

  test("a bus that is gone: unavailable", async () => {
    const { url, secretKey } = await startService();
    const env = { SAZABI_API_URL: url, DBUS_SESSION_BUS_ADDRESS: "unix:path=/nowhere/bus" };
    const { code, err } = await sazabi(scratchDirectory(), login, { env, stdin: secretKey });
    expect([code, reportOf(err).code]).toEqual([4, "KEYCHAIN_UNAVAILABLE"]);
  });

  test("a bus that never answers: the command ends when the time is up", async () => {
    const { url, secretKey } = await startService();
    const home = scratchDirectory();
    const env = { SAZABI_API_URL: url, DBUS_SESSION_BUS_ADDRESS: await hungBus(home) };
    const startedAt = Date.now();
    const { code, err } = await sazabi(home, login, { env, stdin: secretKey });
    expect([code, reportOf(err).code]).toEqual([4, "KEYCHAIN_TIMEOUT"]);
    expect(Date.now() - startedAt).toBeLessThan(6000);
    expect(leftRunning(home)).toBe("");
    const sooner = await sazabi(home, login, { env: { ...env, SAZABI_KEYCHAIN_TIMEOUT: "0.5" }, stdin: secretKey });
    expect(reportOf(sooner.err).message).toContain("0.5 s");
  });
});
