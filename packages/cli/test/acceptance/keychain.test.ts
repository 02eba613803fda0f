import { spawn } from "node:child_process";
import { afterAll, describe, expect, test } from "vitest";
import {
  filesWith,
  hungBus,
  keyringOf,
  leftRunning,
  missing,
  putQuestionsWhereNobodyLooks,
  withoutKernelKeys,
} from "../support/keyring.ts";
import { bin, finished, isolated, sazabi } from "../support/process.ts";
import { startService } from "../support/service.ts";
import { type Run, scratchDirectory } from "../support/terminal.ts";

const login = ["auth", "login", "--key", "-", "--json"];
const whoami = ["whoami", "--json"];

/** The error, as JSON; the bus talks on stderr, too. */
const reportOf = (err: string) => JSON.parse(err.split("\n").find((line) => line.startsWith("{")) ?? "{}");

const waysOut = /SAZABI_SECRET_KEY.*--store file/;

/** Seconds of each scenario's command, with the session that it runs in. docs/cli.md says what they are. */
const seconds = new Map<string, number>();

async function timed(scenario: string, running: Promise<Run>): Promise<Run> {
  const startedAt = performance.now();
  const result = await running;
  seconds.set(scenario, (performance.now() - startedAt) / 1000);
  return result;
}

afterAll(() => {
  const lines = [...seconds].map(([scenario, took]) => `  ${scenario}: ${took.toFixed(1)} s`);
  if (lines.length > 0) console.info(`How long the keychain scenarios took:\n${lines.join("\n")}`);
});

const skipped = missing.length > 0 ? ` (skipped: no ${missing.join(", no ")} here)` : "";

describe.skipIf(skipped !== "")(`a real keyring${skipped}`, () => {
  test("keeps the key over sessions, gives it back, and lets go of it", async () => {
    const { url, secretKey } = await startService();
    const home = scratchDirectory();
    const { unlocked } = keyringOf(home);
    const env = { SAZABI_API_URL: url };
    expect(await timed("unlocked", unlocked(login, { env, stdin: secretKey }))).toMatchObject({
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
    expect(await leftRunning(home)).toBe("");
  });

  test("that is locked is told from one without the key, and stores nothing", async () => {
    const { url, secretKey } = await startService();
    const home = scratchDirectory();
    const { unlocked, locked } = keyringOf(home);
    const env = { SAZABI_API_URL: url };
    await unlocked(login, { env, stdin: secretKey });
    for (const argv of [whoami, [...login, "--profile", "other"], ["auth", "logout", "--json"]]) {
      const { code, err } = await timed("locked, no display", locked(argv, { env, stdin: secretKey }));
      expect([code, reportOf(err).code]).toEqual([4, "KEYCHAIN_LOCKED"]);
      expect(reportOf(err).hint).toMatch(waysOut);
    }
    expect((await unlocked(whoami)).code).toBe(0);
    expect((await unlocked(["profiles", "list"])).out).not.toContain("other");
    expect(filesWith(home, secretKey.slice(8, -4))).toBe("");
    expect(await leftRunning(home)).toBe("");
  });

  test("that asks for its password where nobody looks is given up on, and holds nothing up", async () => {
    const { url, secretKey } = await startService();
    const home = scratchDirectory();
    const { unlocked, locked } = keyringOf(home);
    const env = { SAZABI_API_URL: url };
    await unlocked(login, { env, stdin: secretKey });
    putQuestionsWhereNobodyLooks(home, 6);
    const { code, err } = await timed("locked, a question nobody sees", locked(whoami, { env }));
    expect([code, reportOf(err).code]).toEqual([4, "KEYCHAIN_TIMEOUT"]);
    expect(reportOf(err).message).toContain("did not answer within 3 s");
    expect(reportOf(err).hint).toMatch(/waiting for its password.*SAZABI_KEYCHAIN_TIMEOUT/);
    expect(reportOf(err).hint).toMatch(waysOut);
    expect(await leftRunning(home)).toBe("");
  });

  test("that was never made keeps nothing, and says so", async () => {
    const { url, secretKey } = await startService();
    const home = scratchDirectory();
    const { locked } = keyringOf(home);
    const env = { SAZABI_API_URL: url };
    const { code, err } = await timed("a bus, no keyring", locked(login, { env, stdin: secretKey }));
    expect([code, reportOf(err).code]).toEqual([4, "KEYCHAIN_UNAVAILABLE"]);
    expect(reportOf(err).hint).toMatch(waysOut);
    expect((await locked(["profiles", "list"])).out).not.toContain("Acme");
    expect(filesWith(home, secretKey.slice(8, -4))).toBe("");
    expect(await leftRunning(home)).toBe("");
  });

  test("is not asked when the environment gives a key", async () => {
    const { env } = await startService();
    const { locked } = keyringOf(scratchDirectory());
    expect((await locked(whoami, { env })).code).toBe(0);
  });

  test.runIf(withoutKernelKeys)("is the only one: in a container without kernel keys it works the same", async () => {
    const { url, secretKey } = await startService();
    const home = scratchDirectory();
    const { unlocked } = keyringOf(home);
    const [env, through] = [{ SAZABI_API_URL: url }, withoutKernelKeys ?? []];
    await timed("a container, unlocked", unlocked(login, { env, through, stdin: secretKey }));
    expect(await unlocked(whoami, { through })).toMatchObject({ code: 0, out: expect.stringContaining("Acme") });
    expect(await leftRunning(home)).toBe("");
  });
});

describe.runIf(process.platform === "linux")("without a keyring that answers", () => {
  test("no bus: a login stores nothing and says so at once", async () => {
    const { url, secretKey } = await startService();
    const home = scratchDirectory();
    const running = sazabi(home, login, { env: { SAZABI_API_URL: url }, stdin: secretKey });
    const { code, err } = await timed("no bus", running);
    expect([code, reportOf(err).code]).toEqual([4, "KEYCHAIN_UNAVAILABLE"]);
    expect(reportOf(err).hint).toMatch(waysOut);
    expect(filesWith(home, secretKey.slice(8, -4))).toBe("");
  });

  test.runIf(withoutKernelKeys).each(["", "unix:path=/nowhere/bus"])(
    "in a container, without kernel keys and with the bus %j: unavailable, and nothing is stored",
    async (DBUS_SESSION_BUS_ADDRESS) => {
      const { url, secretKey } = await startService();
      const home = scratchDirectory();
      const [program = "", ...args] = [...(withoutKernelKeys ?? []), process.execPath, bin, ...login];
      const env = isolated(home, { SAZABI_API_URL: url, DBUS_SESSION_BUS_ADDRESS });
      const child = spawn(program, args, { env });
      child.stdin.end(secretKey);
      const { code, err } = await timed("a container, no bus", finished(child));
      expect([code, reportOf(err).code]).toEqual([4, "KEYCHAIN_UNAVAILABLE"]);
      expect(reportOf(err).hint).toMatch(waysOut);
      expect(filesWith(home, secretKey.slice(8, -4))).toBe("");
    },
  );

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
    const { code, err } = await timed("a bus that never answers", sazabi(home, login, { env, stdin: secretKey }));
    expect([code, reportOf(err).code]).toEqual([4, "KEYCHAIN_TIMEOUT"]);
    expect(reportOf(err).message).toContain("did not answer within 3 s");
    expect(await leftRunning(home)).toBe("");
    const sooner = await sazabi(home, login, { env: { ...env, SAZABI_KEYCHAIN_TIMEOUT: "0.5" }, stdin: secretKey });
    expect(reportOf(sooner.err).message).toContain("0.5 s");
  });
});
