import { describe, expect, test } from "vitest";
import { type Asked, keyId, refusal, secretKeyOf, startService } from "../support/service.ts";
import { memoryKeychain, terminal } from "../support/terminal.ts";

const imported = "acme_7f3c9a1be2d84f60a5c1";
const masked = "acme_…a5c1";
const secretPart = imported.slice(5, -4);

/** A service that knows the imported key, and takes logs from any. */
const service = (more: Parameters<typeof startService>[0] = {}) =>
  startService(
    {
      "GET /v1/me": () => ({
        body: {
          credentialType: "secret",
          organization: { id: "org-1", name: "Acme", slug: "acme" },
          keyName: "theirs",
          key: secretKeyOf(imported, { masked, name: "theirs" }),
        },
      }),
      "GET /v1/secret-keys": () => ({
        body: { secretKeys: [secretKeyOf(imported, { masked, name: "theirs" })], nextCursor: null },
      }),
      [`GET /v1/secret-keys/${keyId}`]: () => ({
        body: { secretKey: secretKeyOf(imported, { masked, name: "theirs" }) },
      }),
      [`DELETE /v1/secret-keys/${keyId}`]: () => ({ status: 204 }),
      "POST /v1/keys/identify": ({ json }) =>
        (json as { key: string }).key === imported
          ? { body: { keyId, kind: "secret", projectId: null, secret: "current" } }
          : refusal(404, "NOT_FOUND", "No key of this organization has this secret."),
      "GET /v1/public-keys": () => ({ body: { publicKeys: [], nextCursor: null } }),
      "POST /v1/logs": () => ({ status: 202, body: { data: { accepted: 1 }, error: null } }),
      ...more,
    },
    [imported],
  );

const revoked = (asked: readonly Asked[]) => asked.filter(({ method }) => method === "DELETE").map(({ path }) => path);

describe("an imported key", () => {
  test("is used from the environment, from stdin, and after a login that keeps it", async () => {
    const { url } = await service();
    const env = { SAZABI_API_URL: url };
    const keychain = memoryKeychain();
    const { run } = terminal({ env, keychain });
    expect(await run(["whoami"], { env: { SAZABI_SECRET_KEY: imported } })).toMatchObject({ code: 0 });
    expect(await run(["whoami", "--key-stdin"], { stdin: `${imported}\n` })).toMatchObject({ code: 0 });
    const login = await run(["auth", "login", "--key", imported]);
    expect({ code: login.code, out: login.out.includes(masked) }).toEqual({ code: 0, out: true });
    expect([...keychain.keys.values()]).toEqual([imported]);
    expect(await run(["whoami"])).toMatchObject({ code: 0 });
  });

  test("sends logs, when it is a public one", async () => {
    const { url, asked } = await service();
    const { run } = terminal({ env: { SAZABI_API_URL: url }, stdin: "a line\n" });
    expect(await run(["logs", "send", "--public-key", imported])).toMatchObject({ code: 0 });
    expect(asked[0]?.headers).toMatchObject({ "x-sazabi-key": imported });
  });

  test.each(["revoke", "secret-keys revoke"])("is revoked by `keys %s` and the key itself", async (words) => {
    const { env, asked } = await service();
    const { code, out, err } = await terminal({ env }).run(["keys", ...words.split(" "), imported]);
    expect({ code, revoked: revoked(asked) }).toEqual({ code: 0, revoked: [`/v1/secret-keys/${keyId}`] });
    expect(out + err).not.toContain(secretPart);
  });

  test("is the one that the service knows, where several look alike and none shows its last characters", async () => {
    const unknownEnd = { masked: "acme_…????", name: "theirs" };
    const other = secretKeyOf(imported, { ...unknownEnd, id: "11111111-1111-4111-8111-111111111111" });
    const { env, asked } = await service({
      "GET /v1/secret-keys": () => ({
        body: { secretKeys: [other, secretKeyOf(imported, unknownEnd)], nextCursor: null },
      }),
    });
    expect((await terminal({ env }).run(["keys", "revoke", imported])).code).toBe(0);
    expect(revoked(asked)).toEqual([`/v1/secret-keys/${keyId}`]);
  });

  test("is never printed, whatever goes wrong with it", async () => {
    const { env } = await service({
      "GET /v1/secret-keys": () => ({ body: { secretKeys: [], nextCursor: null } }),
      "POST /v1/keys/identify": () => refusal(404, "NOT_FOUND", `Who is ${imported}?`),
      "GET /v1/projects": () => refusal(400, "X", `What is ${imported}?`),
    });
    const unknown = { ...env, SAZABI_SECRET_KEY: imported.replace("acme", "other") };
    const runs = [
      await terminal({ env }).run(["keys", "revoke", imported]),
      await terminal({ env }).run(["keys", "secret-keys", "get", imported]),
      await terminal({ env: { ...env, SAZABI_SECRET_KEY: imported } }).run(["projects", "list"]),
      await terminal({ env: unknown }).run(["whoami"]),
      await terminal({ env: unknown }).run(["auth", "status"]),
      await terminal({ env: { ...unknown, SAZABI_API_URL: "http://127.0.0.1:9" } }).run(["doctor"]),
      await terminal({ env: { ...env, SAZABI_PUBLIC_KEY: `${imported} ` } }).run(["logs", "send", "/nowhere"]),
      await terminal().run(["keys", "inspect", imported]),
      await terminal().run(["auth", "login", "--key", imported, "--key", imported]),
    ];
    for (const { code, out, err } of runs) {
      expect(code).not.toBe(0);
      expect(out + err).not.toContain(secretPart);
    }
  });

  test("that only begins and ends like one that is listed is another", async () => {
    const { env, asked } = await service();
    expect((await terminal({ env }).run(["keys", "revoke", "acme_a5c1"])).code).toBe(3);
    expect((await terminal({ env }).run(["keys", "revoke", `${imported}X`])).code).toBe(3);
    expect(revoked(asked)).toEqual([]);
  });
});

test("a key in quotes is refused, and the quotes are pointed out", async () => {
  const { env, secretKey } = await service();
  for (const quote of ['"', "'"]) {
    const SAZABI_SECRET_KEY = quote + secretKey + quote;
    const { code, err } = await terminal({ env: { ...env, SAZABI_SECRET_KEY } }).run(["whoami"]);
    expect(code).toBe(4);
    expect(err).toContain("it stands in quotes, which are not part of it");
  }
});

test("an imported key in place of a project or an id is not repeated", async () => {
  const { env } = await service({ "GET /v1/projects": () => ({ body: { projects: [{ id: "p", name: "Shop" }] } }) });
  for (const argv of [
    ["logs", "query", "x", "--project", imported],
    ["audit", "list", "--target", imported],
  ]) {
    const { code, err } = await terminal({ env }).run(argv);
    expect(code).toBeGreaterThan(0);
    expect(err).not.toContain(secretPart);
  }
});
