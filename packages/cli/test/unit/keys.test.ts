import { describe, expect, test } from "vitest";
import { keyId, projectId, refusal, secretKeyOf, someKey, startService } from "../support/service.ts";
import { terminal } from "../support/terminal.ts";

const otherId = "5a8f6a0e-0f7e-4b8b-9a39-0a6f0e2f7c11";
const publicKeyOf = (more: object = {}) => ({
  ...secretKeyOf("wxyz", { masked: "pk_live_…wxyz", projectId, ...more }),
  deactivatedAt: null,
  revokedAt: undefined,
  scopes: undefined,
});

describe("keys create", () => {
  test("prints the key alone on stdout, and the talk on stderr", async () => {
    const value = someKey("secret");
    const { env, asked } = await startService({
      "POST /v1/secret-keys": ({ json }) => ({
        status: 201,
        body: { secretKey: { ...secretKeyOf(value), ...(json as object), value } },
      }),
    });
    const { run } = terminal({ env });
    for (const argv of [
      ["keys", "secret-keys", "create", "--name", "CI/CD pipeline"],
      ["keys", "create", "--name", "CI/CD pipeline"],
      ["keys", "create", "--type", "secret", "CI/CD", "pipeline"],
      ["secret-keys", "create", "CI/CD pipeline"],
    ]) {
      const { code, out, err } = await run(argv);
      expect(code).toBe(0);
      expect(out).toBe(`${value}\n`);
      expect(err).toContain("CI/CD pipeline");
      expect(err).not.toContain(value);
    }
    expect(asked.map(({ json }) => json)).toEqual(Array(4).fill({ name: "CI/CD pipeline" }));
  });

  test("passes style, expiry, scopes and project on", async () => {
    const { env, asked } = await startService({
      "POST /v1/secret-keys": () => ({ status: 201, body: { secretKey: { ...secretKeyOf("wxyz"), value: "v" } } }),
    });
    const { run } = terminal({ env, now: new Date("2026-11-22T00:00:00Z") });
    const base = ["keys", "create", "--name", "n"];
    await run([
      ...base,
      "--style",
      "sazabi",
      "--expires",
      "30d",
      "--scopes",
      "read:logs, read:keys",
      "--project",
      projectId,
    ]);
    await run([...base, "--expires", "45d"]);
    await run([...base, "--expires", "2027-01-01T00:00:00Z"]);
    expect(asked.map(({ json }) => json)).toEqual([
      { name: "n", style: "sazabi", expiresIn: "30d", scopes: ["read:logs", "read:keys"], projectId },
      { name: "n", expiresAt: "2027-01-06T00:00:00.000Z" },
      { name: "n", expiresAt: "2027-01-01T00:00:00.000Z" },
    ]);
  });

  test("a project chosen for everyday use does not narrow a secret key", async () => {
    const { env, asked } = await startService({
      "POST /v1/secret-keys": () => ({ status: 201, body: { secretKey: { ...secretKeyOf("wxyz"), value: "v" } } }),
    });
    await terminal({ env: { ...env, SAZABI_PROJECT_ID: projectId } }).run(["keys", "create", "n"]);
    expect(asked[0]?.json).toEqual({ name: "n" });
  });

  test.each([
    [["keys", "create"], "needs a name"],
    [["keys", "create", "a", "--name", "b"], "Name the key once"],
    [["keys", "create", "a", "--expires", "2020-01-01"], "not in the future"],
    [["keys", "create", "a", "--expires", "soon"], "does not understand"],
    [["keys", "create", "a", "--scopes", "read:everything"], "There are: read:logs"],
    [["keys", "create", "a", "--type", "public", "--scopes", "read:logs"], "no scopes"],
    [["keys", "create", "a", "--style", "fancy"], "Allowed choices"],
  ])("%j is refused before anything is sent", async (argv, words) => {
    const { env, asked } = await startService();
    const { code, err } = await terminal({ env }).run(argv);
    expect(code).toBe(2);
    expect(err).toContain(words);
    expect(asked).toEqual([]);
  });

  test("a public key goes to the project that is named, by id or by name", async () => {
    const { env, asked } = await startService({
      "GET /v1/projects": () => ({ body: { projects: [{ id: projectId, name: "Shop" }] } }),
      "POST /v1/public-keys": () => ({ status: 201, body: { publicKey: { ...publicKeyOf(), value: "pk" } } }),
    });
    const { run } = terminal({ env });
    expect((await run(["keys", "public-keys", "create", "--name", "Production logs", "--project", "Shop"])).out).toBe(
      "pk\n",
    );
    expect((await run(["public-keys", "create", "--name", "Production logs"])).code).toBe(0);
    expect(asked.filter(({ method }) => method === "POST").map(({ json }) => json)).toEqual([
      { name: "Production logs", projectId },
      { name: "Production logs" },
    ]);
    const { code, err } = await run(["public-keys", "create", "--name", "x", "--project", "Warehouse"]);
    expect(code).toBe(3);
    expect(err).toContain("There are: Shop");
  });

  test("when the service needs to know the project, it says how to name one", async () => {
    const { env } = await startService({
      "POST /v1/public-keys": () => refusal(400, "VALIDATION_ERROR", "Which?", { missingContext: ["projectId"] }),
    });
    const { code, err } = await terminal({ env }).run(["public-keys", "create", "--name", "x"]);
    expect(code).toBe(2);
    expect(err).toContain("--project");
  });
});

describe("keys list", () => {
  const keys = Array.from({ length: 150 }, (_, i) => secretKeyOf("wxyz", { id: `id-${i}`, name: `key ${i}` }));
  const service = () =>
    startService({
      "GET /v1/secret-keys": ({ query }) => {
        const start = Number(query.cursor ?? 0);
        const end = start + Number(query.limit);
        return { body: { secretKeys: keys.slice(start, end), nextCursor: end < keys.length ? `${end}` : null } };
      },
      "GET /v1/public-keys": () => ({ body: { publicKeys: [publicKeyOf({ name: "browser" })], nextCursor: null } }),
    });

  test("prints a table, and says aloud that there are more", async () => {
    const { env } = await service();
    const { out, err } = await terminal({ env }).run(["keys", "secret-keys", "list", "--limit", "3"]);
    expect(out.split("\n").map((line) => line.slice(0, 4))).toEqual(["ID  ", "id-0", "id-1", "id-2", ""]);
    expect(err).toContain("3 shown, there are more");
    expect(err).toContain("--cursor 3");
  });

  test("reads as many pages as it takes", async () => {
    const { env } = await service();
    const { run } = terminal({ env });
    const some = JSON.parse((await run(["secret-keys", "list", "--limit", "120", "--json"])).out);
    expect([some.items.length, some.nextCursor]).toEqual([120, "120"]);
    const rest = JSON.parse((await run(["secret-keys", "list", "--all", "--cursor", "120", "--json"])).out);
    expect([rest.items.length, rest.nextCursor]).toEqual([30, null]);
  });

  test("of both kinds says of which kind each is", async () => {
    const { env } = await service();
    const { out } = await terminal({ env }).run(["keys", "list", "--all", "--json"]);
    const { items } = JSON.parse(out);
    expect(items).toHaveLength(151);
    expect(new Set(items.map(({ type }: { type: string }) => type))).toEqual(new Set(["secret", "public"]));
    expect(items.at(-1)).toMatchObject({ type: "public", name: "browser" });
  });

  test("tells live keys from ended ones", async () => {
    const { env } = await startService({
      "GET /v1/secret-keys": () => ({
        body: {
          secretKeys: [
            secretKeyOf("wxyz"),
            secretKeyOf("wxyz", { revokedAt: "2026-01-01T00:00:00.000Z" }),
            secretKeyOf("wxyz", { expiresAt: "2026-01-01T00:00:00.000Z" }),
          ],
          nextCursor: null,
        },
      }),
    });
    const { out } = await terminal({ env, now: new Date("2026-06-01T00:00:00Z") }).run(["secret-keys", "list"]);
    expect(out).toMatch(/active.*\n.*revoked.*\n.*expired/);
  });

  test("fits a narrow terminal, ids whole, and says what it left out", async () => {
    const name = "a name that is rather long for a key";
    const { env } = await startService({
      "GET /v1/secret-keys": () => ({ body: { secretKeys: [secretKeyOf("wxyz", { name })], nextCursor: null } }),
    });
    const { out, err } = await terminal({ env, columns: 60 }).run(["secret-keys", "list", "--no-color"]);
    for (const line of out.split("\n")) expect(line.length).toBeLessThanOrEqual(60);
    expect(out).toContain(keyId);
    expect(err).toContain("Left out to fit the terminal");
  });

  test("a name that tries to drive the terminal is shown, not carried out", async () => {
    const { env } = await startService({
      "GET /v1/secret-keys": () => ({
        body: { secretKeys: [secretKeyOf("wxyz", { name: "\u001b[2J\u001b]52;c;AAAA\u0007x\ny" })], nextCursor: null },
      }),
    });
    const { run } = terminal({ env });
    const { out } = await run(["secret-keys", "list"]);
    expect(out).not.toContain("\u001b");
    expect(out.trimEnd().split("\n")).toHaveLength(2);
    expect(JSON.parse((await run(["secret-keys", "list", "--json"])).out).items[0].name).toContain("\u001b[2J");
  });
});

describe("keys get and update", () => {
  test("take an id or a name", async () => {
    const { env, asked } = await startService({
      "GET /v1/secret-keys": () => ({
        body: {
          secretKeys: [
            secretKeyOf("aaaa", { id: otherId, name: "ci", revokedAt: "2026-01-01T00:00:00.000Z" }),
            secretKeyOf("bbbb", { name: "ci" }),
          ],
          nextCursor: null,
        },
      }),
      [`GET /v1/secret-keys/${keyId}`]: () => ({ body: { secretKey: secretKeyOf("wxyz") } }),
      [`PATCH /v1/secret-keys/${keyId}`]: () => ({ body: { secretKey: secretKeyOf("wxyz", { name: "new" }) } }),
    });
    const { run } = terminal({ env });
    expect((await run(["secret-keys", "get", keyId])).out).toContain("sk_live_…wxyz");
    expect((await run(["secret-keys", "update", "ci", "--name", "new", "--expires", "never"])).out).toContain("new");
    expect(asked.at(-1)?.json).toEqual({ name: "new", expiresAt: null });
    expect((await run(["secret-keys", "get", "nobody"])).code).toBe(3);
    expect((await run(["secret-keys", "update", keyId])).code).toBe(2);
  });

  test("a name that several keys have is not guessed at", async () => {
    const twins = [secretKeyOf("aaaa", { id: otherId, name: "ci" }), secretKeyOf("bbbb", { name: "ci" })];
    const { env, asked } = await startService({
      "GET /v1/secret-keys": () => ({ body: { secretKeys: twins, nextCursor: null } }),
    });
    const { code, err } = await terminal({ env }).run(["secret-keys", "revoke", "ci", "--yes"]);
    expect(code).toBe(2);
    expect(err).toContain(otherId);
    expect(err).toContain(keyId);
    expect(asked.every(({ method }) => method === "GET")).toBe(true);
  });
});

describe("keys revoke", () => {
  const service = (answer = { status: 204 } as object) =>
    startService({
      [`GET /v1/secret-keys/${keyId}`]: () => ({ body: { secretKey: secretKeyOf("wxyz") } }),
      [`DELETE /v1/secret-keys/${keyId}`]: () => answer,
      [`GET /v1/public-keys/${otherId}`]: () => ({ body: { publicKey: publicKeyOf({ id: otherId }) } }),
      [`POST /v1/public-keys/${otherId}/deactivate`]: () => ({ body: { publicKey: publicKeyOf({ id: otherId }) } }),
    });
  const changes = (asked: readonly { method: string; path: string }[]) =>
    asked.filter(({ method }) => method !== "GET").map(({ method, path }) => `${method} ${path}`);

  test("ends a key of either kind", async () => {
    const { env, asked } = await service();
    const { run } = terminal({ env });
    expect(await run(["keys", "revoke", keyId])).toMatchObject({
      code: 0,
      out: expect.stringContaining("sk_live_…wxyz"),
    });
    expect(await run(["keys", "revoke", otherId])).toMatchObject({ code: 0 });
    expect(await run(["secret-keys", "delete", keyId])).toMatchObject({ code: 0 });
    expect(await run(["public-keys", "deactivate", otherId, "--json"])).toMatchObject({ code: 0 });
    expect(changes(asked)).toEqual([
      `DELETE /v1/secret-keys/${keyId}`,
      `POST /v1/public-keys/${otherId}/deactivate`,
      `DELETE /v1/secret-keys/${keyId}`,
      `POST /v1/public-keys/${otherId}/deactivate`,
    ]);
  });

  test("asks first at a terminal, and takes no for an answer", async () => {
    const { env, asked } = await service();
    const { run } = terminal({ env });
    const refused = await run(["keys", "revoke", keyId], { columns: 80, typed: ["n"] });
    expect(refused.code).toBe(1);
    expect(refused.err).toContain("stops working at once");
    expect(changes(asked)).toEqual([]);
    expect((await run(["keys", "revoke", keyId], { columns: 80, typed: ["y"] })).code).toBe(0);
    expect((await run(["keys", "revoke", keyId, "--yes"], { columns: 80 })).code).toBe(0);
  });

  test("that the service refuses points at --force", async () => {
    const { env, asked } = await service(refusal(409, "CONFLICT", "This is the last secret key."));
    const { run } = terminal({ env });
    const { code, err } = await run(["keys", "revoke", keyId]);
    expect(code).toBe(1);
    expect(err).toContain("This is the last secret key. --force");
    await run(["keys", "revoke", keyId, "--force"]);
    expect(asked.at(-1)?.query).toEqual({ force: "true" });
  });

  test("of a key that does not exist exits 3", async () => {
    const { env } = await service();
    expect((await terminal({ env }).run(["keys", "revoke", "11111111-1111-4111-8111-111111111111"])).code).toBe(3);
  });
});

describe("keys inspect", () => {
  test("tells kind, style and fault of a key without a service, a login or an echo", async () => {
    const { run } = terminal({ env: { SAZABI_API_URL: "http://127.0.0.1:9" } });
    const secret = someKey("secret", "sazabi");
    const good = await run(["keys", "inspect"], { stdin: `${secret}\n` });
    expect(good).toMatchObject({ code: 0, out: expect.stringContaining("secret key (style sazabi)") });
    const bad = await run(["keys", "inspect", "-"], { stdin: someKey("public").slice(0, -6).concat("000000") });
    expect(bad).toMatchObject({ code: 1, err: expect.stringContaining("checksum") });
    expect(good.out + good.err).not.toContain(secret);
    expect(JSON.parse((await run(["keys", "inspect", secret, "--json"])).out)).toMatchObject({
      valid: true,
      kind: "secret",
    });
  });
});
