import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { startLoopback } from "../../../sdk/test/support/loopback.ts";
import { CredentialStoreError } from "../../src/credentials/store.ts";
import { startService } from "../support/service.ts";
import { brokenKeychain, scratchDirectory, terminal } from "../support/terminal.ts";

const healthy = { "GET /healthz": () => ({ body: { status: "ok" } }) };

/** Its checks by name. */
async function diagnose(world: Parameters<typeof terminal>[0]) {
  const { code, out } = await terminal(world).run(["doctor", "--json"]);
  const { checks } = JSON.parse(out) as { checks: { name: string; ok: boolean; message: string }[] };
  return { code, found: Object.fromEntries(checks.map(({ name, ...found }) => [name, found])) };
}

describe("doctor", () => {
  test("finds a healthy world healthy", async () => {
    const { env } = await startService(healthy);
    const { code, found } = await diagnose({ env });
    expect(code).toBe(0);
    expect(Object.values(found).every(({ ok }) => ok)).toBe(true);
  });

  test("without a key still says whether the service is there", async () => {
    const { url } = await startService(healthy);
    const { code, found } = await diagnose({ env: { SAZABI_API_URL: url } });
    expect(code).toBe(1);
    expect(found.address).toEqual({ ok: true, message: `${url} (SAZABI_API_URL) answers` });
    expect(found.key).toMatchObject({ ok: false, message: expect.stringContaining("Not logged in") });
    expect(found.service).toMatchObject({ ok: false, message: expect.stringContaining("no key configured") });
    const away = await diagnose({ env: { SAZABI_API_URL: "http://127.0.0.1:9" } });
    expect(away.found.address).toMatchObject({ ok: false, message: expect.stringContaining("connection refused") });
  });

  test("tells another program at the address from a Sazabi service", async () => {
    const { url } = await startLoopback({ "GET /healthz": () => ({ status: 404, body: {} }) });
    const { found } = await diagnose({ env: { SAZABI_API_URL: url } });
    expect(found.address).toMatchObject({
      ok: false,
      message: expect.stringContaining("Check the address, which comes from SAZABI_API_URL"),
    });
  });

  test.each([
    [3600, "ahead of"],
    [-3600, "behind"],
  ])("finds a clock that is %i s off", async (seconds, word) => {
    const { env } = await startService(healthy);
    const { code, found } = await diagnose({ env, now: new Date(Date.now() + seconds * 1000) });
    expect(code).toBe(1);
    expect(found.address).toMatchObject({
      ok: false,
      message: expect.stringMatching(`The clock here is 3\\d{3} s ${word}`),
    });
  });

  test("asks the keychain once", async () => {
    const { url, secretKey } = await startService(healthy);
    const { run, keychain } = terminal({ env: { SAZABI_API_URL: url } });
    await run(["auth", "login", "--key", "-"], { stdin: secretKey });
    let asked = 0;
    const get = (account: string) => {
      asked++;
      return keychain.get(account);
    };
    const counting = { ...keychain, get };
    expect((await run(["doctor"], { keychain: counting })).code).toBe(0);
    expect(asked).toBe(1);
    const { out } = await run(["doctor"], { keychain: brokenKeychain("timeout") });
    expect(out).toContain("FAIL  key       The OS keychain is timeout.");
  });

  test("ends every sentence of a failed check with a full stop, also one that others wrote", async () => {
    const { url, secretKey } = await startService(healthy);
    const { run } = terminal({ env: { SAZABI_API_URL: url } });
    await run(["auth", "login", "--key", "-"], { stdin: secretKey });
    const fail = () => Promise.reject(new CredentialStoreError("locked", "The prompt was dismissed"));
    const keychain = { name: "keychain", description: "", get: fail, set: fail, delete: fail } as const;
    const { out } = await run(["doctor"], { keychain, env: { SAZABI_API_URL: url } });
    const failed = out.split("\n").filter((line) => line.startsWith("FAIL"));
    expect(failed.length).toBeGreaterThan(1);
    for (const line of failed) expect(line).toMatch(/[.?!]$/);
    expect(out).toMatch(/dismissed\. [A-Z]/);
  });

  test("describes a fault once, whatever checks fail by it", async () => {
    const { secretKey } = await startService(healthy);
    const away = await diagnose({ env: { SAZABI_API_URL: "http://127.0.0.1:9", SAZABI_SECRET_KEY: secretKey } });
    expect(away.found.address).toMatchObject({ ok: false, message: expect.stringContaining("Could not reach") });
    expect(away.found.service).toEqual({ ok: false, message: "For the same reason as address." });
    const configDirectory = scratchDirectory();
    writeFileSync(join(configDirectory, "config.json"), "{");
    const { found } = await diagnose({ configDirectory });
    expect(found.settings).toMatchObject({ ok: false, message: expect.stringContaining("Cannot read the settings") });
    for (const name of ["key", "address"]) {
      expect(found[name]).toEqual({ ok: false, message: "For the same reason as settings." });
    }
  });

  test("says aloud that a key is kept in plain text, and that others can read the settings", async () => {
    const { url, secretKey } = await startService(healthy);
    const { run, configDirectory } = terminal({ env: { SAZABI_API_URL: url } });
    await run(["auth", "login", "--key", "-", "--store", "file"], { stdin: secretKey });
    expect((await run(["doctor"])).out).toContain(`kept in plain text in ${configDirectory}`);
    chmodSync(join(configDirectory, "config.json"), 0o644);
    expect((await run(["doctor"])).out).toContain("FAIL  settings  Others can read");
  });

  test("says when no settings can be kept, which is no fault where the environment has the key", async () => {
    const { env } = await startService(healthy);
    const file = join(scratchDirectory(), "file");
    writeFileSync(file, "");
    const { code, found } = await diagnose({ env, configDirectory: join(file, "sazabi") });
    expect(code).toBe(0);
    expect(found.settings).toEqual({
      ok: true,
      message: `none, and none can be kept in ${join(file, "sazabi")} (${file} is no folder)`,
    });
    const below = join(scratchDirectory(), "new", "deep");
    mkdirSync(join(below, ".."));
    expect((await diagnose({ env, configDirectory: below })).found.settings?.message).toBe(
      `none yet (${join(below, "config.json")})`,
    );
  });
});
