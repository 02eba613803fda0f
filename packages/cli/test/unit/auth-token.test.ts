import { describe, expect, test } from "vitest";
import { startService } from "../support/service.ts";
import { terminal } from "../support/terminal.ts";

describe("auth token", () => {
  test("prints the key, and nothing else, to a program", async () => {
    const { env, secretKey } = await startService();
    const { run } = terminal({ env });
    expect(await run(["auth", "token"])).toEqual({ code: 0, out: `${secretKey}\n`, err: "" });
    const { out } = await run(["auth", "token", "--json"]);
    expect(JSON.parse(out)).toEqual({ key: secretKey, source: "SAZABI_SECRET_KEY" });
  });

  test("asks before it shows the key on a screen, and shows it only then", async () => {
    const { env, secretKey } = await startService();
    const { run } = terminal({ env, columns: 80 });
    const asked = await run(["auth", "token"], { typed: ["y"] });
    expect(asked).toMatchObject({ code: 0, out: `${secretKey}\n` });
    expect(asked.err).toContain("can use the key");
    expect(asked.err).not.toContain(secretKey);
    expect(await run(["auth", "token"], { typed: ["n"] })).toMatchObject({ code: 1, out: "" });
    expect(await run(["auth", "token", "--no-input"])).toMatchObject({ code: 2, out: "" });
    expect(await run(["auth", "token", "--yes"])).toEqual({ code: 0, out: `${secretKey}\n`, err: "" });
  });

  test("prints nothing that is no key", async () => {
    const { run } = terminal({ env: { SAZABI_SECRET_KEY: "sk_live_nope" } });
    expect(await run(["auth", "token"])).toMatchObject({ code: 4, out: "" });
  });

  test("hides the key in the log of GitHub Actions before it can show there", async () => {
    const { env, secretKey } = await startService();
    const { err } = await terminal({ env: { ...env, GITHUB_ACTIONS: "true" } }).run(["auth", "token"]);
    expect(err).toBe(`::add-mask::${secretKey}\n`);
  });
});

describe("auth switch", () => {
  async function withProfiles() {
    const { url, secretKey } = await startService();
    const world = terminal({ env: { SAZABI_API_URL: url } });
    for (const profile of ["work", "home"]) {
      await world.run(["auth", "login", "--profile", profile, "--key", "-"], { stdin: secretKey });
    }
    await world.run(["profiles", "create", "empty"]);
    return { ...world, secretKey, active: async () => JSON.parse((await world.run(["auth", "status", "--json"])).out) };
  }

  test("takes a profile by its name", async () => {
    const { run, active } = await withProfiles();
    const { code, out } = await run(["auth", "switch", "work"]);
    expect(code).toBe(0);
    expect(out).toContain("work (Acme, sk_live_…");
    expect(await active()).toMatchObject({ profile: "work" });
    expect(JSON.parse((await run(["auth", "switch", "home", "--json"])).out)).toMatchObject({
      activeProfile: "home",
      organization: "Acme",
    });
  });

  test("takes the only profile of an organization, and does not guess among several", async () => {
    const { run, active } = await withProfiles();
    const several = await run(["auth", "switch", "Acme"]);
    expect(several.code).toBe(2);
    expect(several.err).toContain("home (Acme");
    await run(["auth", "switch", "empty"]);
    await run(["profiles", "delete", "home"]);
    expect((await run(["auth", "switch", "Acme"])).code).toBe(0);
    expect(await active()).toMatchObject({ profile: "work" });
  });

  test("at a terminal lets one choose by number or by name", async () => {
    const { run, active } = await withProfiles();
    const { code, err } = await run(["auth", "switch"], { columns: 80, typed: ["3"] });
    expect(code).toBe(0);
    expect(err).toMatch(/1 {2}empty \(not logged in\)\n.*2 {2}home \(Acme.*\n.*3 {2}work \(Acme/);
    expect(await active()).toMatchObject({ profile: "work" });
    await run(["auth", "switch"], { columns: 80, typed: ["home"] });
    expect(await active()).toMatchObject({ profile: "home" });
    expect((await run(["auth", "switch"], { columns: 80, typed: [""] })).code).toBe(1);
    expect((await run(["auth", "switch"], { columns: 80, typed: ["9"] })).code).toBe(3);
    expect(await active()).toMatchObject({ profile: "home" });
  });

  test("elsewhere wants a name, and says which there are", async () => {
    const { run } = await withProfiles();
    const { code, err } = await run(["auth", "switch"]);
    expect(code).toBe(2);
    expect(err).toContain("There are: empty (not logged in), home (Acme");
    expect((await run(["auth", "switch", "other"])).code).toBe(3);
    expect((await terminal().run(["auth", "switch", "other"])).err).toContain("auth login --profile");
  });

  test("says when the environment still takes precedence", async () => {
    const { run, secretKey } = await withProfiles();
    const { err } = await run(["auth", "switch", "work"], { env: { SAZABI_SECRET_KEY: secretKey } });
    expect(err).toContain("SAZABI_SECRET_KEY still takes precedence");
  });
});
