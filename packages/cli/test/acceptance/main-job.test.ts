import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { SazabiAdmin } from "@sazabi/sdk";
import { startTestService, type TestService } from "@sazabi/service/testing";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { sazabi as runSazabi } from "../support/process.ts";
import { scratchDirectory } from "../support/terminal.ts";

let service: TestService;
beforeAll(async () => {
  service = await startTestService();
});
afterAll(() => service?.close());

/** A person on a machine of their own; `env` is what they have exported. */
function person(env: Record<string, string> = {}) {
  const home = scratchDirectory();
  return {
    home,
    sazabi: (argv: readonly string[], stdin?: string) =>
      runSazabi(home, argv, {
        env: { SAZABI_API_URL: service.url, ...env },
        ...(stdin === undefined ? {} : { stdin }),
      }),
  };
}

const withKey = () => person({ SAZABI_SECRET_KEY: service.secretKey });

describe("the way of the documents", () => {
  test("log in with a key, and be known from then on", async () => {
    const { sazabi } = person();
    const login = await sazabi(["auth", "login", "--key", service.secretKey, "--store", "file"]);
    expect(login).toMatchObject({ code: 0, out: expect.stringContaining("default") });
    expect(await sazabi(["whoami"])).toMatchObject({ code: 0, out: expect.stringContaining("profile default") });
    expect((await sazabi(["auth", "status", "--json"])).out).toContain('"authenticated": true');
    expect((await sazabi(["auth", "logout"])).code).toBe(0);
    expect((await sazabi(["whoami"])).code).toBe(4);
  });

  test('SAZABI_SECRET_KEY and `sazabi logs query "level:error"`', async () => {
    const { sazabi } = withKey();
    const sent = await sazabi(["logs", "send", "--service", "docs"], "ERROR one\nINFO two\n");
    expect(sent).toMatchObject({ code: 0, out: "2 accepted, 0 rejected\n" });
    const found = await sazabi(["logs", "query", "level:error service:docs"]);
    expect(found.code).toBe(0);
    expect(found.out).toMatch(/^\S+ \S+ {2}ERROR {2}docs {2}ERROR one\n$/);
  });

  test("a list leaves out keys of both kinds that have ended, and shows them when asked", async () => {
    const { sazabi } = withKey();
    for (const kind of ["secret", "public"]) {
      expect((await sazabi(["keys", `${kind}-keys`, "create", `ended ${kind}`])).code).toBe(0);
      expect((await sazabi(["keys", "revoke", `ended ${kind}`, "--yes"])).code).toBe(0);
    }
    const namesOf = async (...more: string[]) =>
      JSON.parse((await sazabi(["keys", "list", "--json", ...more])).out).items.map(
        ({ name }: { name: string }) => name,
      );
    expect(await namesOf()).not.toEqual(expect.arrayContaining([expect.stringContaining("ended")]));
    expect(await namesOf("--revoked")).toEqual(expect.arrayContaining(["ended secret", "ended public"]));
  });

  test("create keys of both kinds and both styles, and use what is printed", async () => {
    const { sazabi } = withKey();
    const secret = (await sazabi(["keys", "secret-keys", "create", "--name", "CI/CD pipeline"])).out.trim();
    expect(secret).toMatch(/^sk_live_[0-9A-Za-z]{36}$/);
    const published = (await sazabi(["keys", "public-keys", "create", "--name", "Production logs"])).out.trim();
    expect(published).toMatch(/^pk_live_[0-9A-Za-z]{36}$/);
    const styled = (
      await sazabi(["secret-keys", "create", "terraform", "--style", "sazabi", "--expires", "1h"])
    ).out.trim();
    expect(styled).toMatch(/^sazabi_secret_[0-9a-f]{32}$/);

    expect((await person({ SAZABI_SECRET_KEY: styled }).sazabi(["whoami"])).out).toContain('key "terraform"');
    expect(
      await person({ SAZABI_PUBLIC_KEY: published }).sazabi(["logs", "send"], "with a public key\n"),
    ).toMatchObject({
      code: 0,
      out: "1 accepted, 0 rejected\n",
    });
    const list = await sazabi(["keys", "list"]);
    for (const words of ["CI/CD pipeline", "Production logs", "terraform"]) expect(list.out).toContain(words);
    expect(list.out).not.toContain(secret);
  });

  test("a revoked key stops working at once", async () => {
    const { sazabi } = withKey();
    const value = (await sazabi(["keys", "create", "--name", "short lived"])).out.trim();
    const holder = person({ SAZABI_SECRET_KEY: value });
    expect((await holder.sazabi(["whoami"])).code).toBe(0);
    expect((await sazabi(["keys", "revoke", "short lived", "--yes"])).code).toBe(0);
    const refused = await holder.sazabi(["whoami"]);
    expect(refused.code).toBe(4);
    expect(refused.err).toContain("was revoked");
  });

  test("the SDK does the same", async () => {
    const admin = new SazabiAdmin({ secretKey: service.secretKey, baseUrl: service.url });
    expect((await admin.me()).organization.id).toBe(service.organizationId);
    expect((await admin.projects.list()).map(({ id }) => id)).toContain(service.projectId);
    const created = await admin.secretKeys.create({ name: "from the SDK" });
    await admin.secretKeys.revoke(created.id);
    const revoked = new SazabiAdmin({ secretKey: created.value, baseUrl: service.url });
    await expect(revoked.me()).rejects.toMatchObject({ status: 401, reason: "revoked_api_key" });
  });
});

describe("a real file", () => {
  test("is found line for line as grep finds it", async () => {
    const { sazabi, home } = withKey();
    const path = join(home, "install.log");
    const packages = ["libc6", "zlib1g", "openssl", "curl", "libgpg-error0"];
    const lines = Array.from({ length: 3000 }, (_, i) => {
      const name = packages[i % packages.length];
      return `2026-11-22 08:00:00 status ${i % 3 === 0 ? "installed" : "unpacked"} ${name}:amd64 ${i}`;
    });
    writeFileSync(path, `${lines.join("\n")}\n`);
    expect(await sazabi(["logs", "send", path])).toMatchObject({ code: 0, out: "3,000 accepted, 0 rejected\n" });
    for (const [query, words] of [
      ["service:install zlib1g installed", ["zlib1g", "installed"]],
      ['service:install "installed libgpg-error0"', ["installed libgpg-error0"]],
      ["service:install openssl -unpacked", ["openssl", " installed"]],
    ] as const) {
      const grepped = lines.filter((line) => words.every((word) => line.includes(word)));
      const found = await sazabi(["logs", "query", query, "--all", "--json"]);
      const messages = found.out
        .trimEnd()
        .split("\n")
        .map((line) => JSON.parse(line).message as string);
      expect(messages.reverse()).toEqual(grepped);
      expect(grepped.length).toBeGreaterThan(100);
    }
  });

  test("with hostile lines is stored to the byte and shown harmless", async () => {
    const { sazabi } = withKey();
    const hostile = "evil \u001b]0;owned\u0007 \u202e \u009b31m 日本 😀";
    await sazabi(["logs", "send", "--service", "hostile"], `${hostile}\n`);
    const json = await sazabi(["logs", "query", "service:hostile", "--json"]);
    expect(JSON.parse(json.out).message).toBe(hostile);
    const text = await sazabi(["logs", "query", "service:hostile"]);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there.
    expect(text.out).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e]/);
  });
});

describe("what the service refuses", () => {
  test("is told apart by exit code, with the reason", async () => {
    const { sazabi } = withKey();
    const id = "0b0e7a3e-58f2-4b43-9a57-1f6f6a7f2f10";
    expect((await sazabi(["secret-keys", "get", id])).code).toBe(3);
    expect((await sazabi(["keys", "revoke", id])).code).toBe(3);
    expect((await sazabi(["projects", "use", "Nowhere"])).code).toBe(3);
    const limited = (await sazabi(["keys", "create", "--name", "reader", "--scopes", "read:logs"])).out.trim();
    const reader = person({ SAZABI_SECRET_KEY: limited });
    expect((await reader.sazabi(["logs", "query"])).code).toBe(0);
    expect((await reader.sazabi(["keys", "list"])).code).toBe(4);
    expect((await sazabi(["logs", "query", "x".repeat(5000)])).code).toBe(1);
  });

  test("the last secret key is not revoked by accident", async () => {
    const alone = await startTestService();
    try {
      const home = scratchDirectory();
      const env = { SAZABI_API_URL: alone.url, SAZABI_SECRET_KEY: alone.secretKey };
      const { items } = JSON.parse((await runSazabi(home, ["secret-keys", "list", "--json"], { env })).out);
      const refused = await runSazabi(home, ["secret-keys", "revoke", items[0].id], { env });
      expect(refused).toMatchObject({ code: 1, err: expect.stringContaining("--force") });
    } finally {
      await alone.close();
    }
  });
});

describe("a key", () => {
  test("appears in no output but that of its creation, and in no file but the one that was asked for", async () => {
    const { sazabi, home } = person();
    const canary = service.secretKey;
    const outputs = [
      await sazabi(["auth", "login", "--key", canary, "--store", "file"]),
      await sazabi(["auth", "status", "--json"]),
      await sazabi(["doctor"]),
      await sazabi(["keys", "list", "--json"]),
      await sazabi(["keys", "get", canary]),
    ];
    for (const { out, err } of outputs) expect(out + err).not.toContain(canary.slice(8, -4));
    expect(readFileSync(join(home, ".config/sazabi/config.json"), "utf8")).not.toContain(canary.slice(8, -4));
  });

  test("that was found where it should not be is revoked by itself", async () => {
    const { sazabi } = withKey();
    const leaked = (await sazabi(["keys", "create", "--name", "leaked"])).out.trim();
    expect(await sazabi(["keys", "revoke", leaked])).toMatchObject({
      code: 0,
      out: expect.stringContaining('"leaked"'),
    });
    expect((await person({ SAZABI_SECRET_KEY: leaked }).sazabi(["whoami"])).code).toBe(4);
  });
});
