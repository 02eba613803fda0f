import { describe, expect, test } from "vitest";
import { widthOf } from "../../src/output/width.ts";
import { formatTime, formatZone } from "../../src/times.ts";
import {
  type Answer,
  type Asked,
  keyId,
  projectId,
  refusal,
  secretKeyOf,
  someKey,
  startService,
} from "../support/service.ts";
import { terminal } from "../support/terminal.ts";

const otherId = "5a8f6a0e-0f7e-4b8b-9a39-0a6f0e2f7c11";
const publicKeyOf = (more: object = {}) => ({
  ...secretKeyOf("wxyz", { masked: "pk_live_…wxyz", projectId, ...more }),
  dataSourceConnectionId: null,
  allowedOrigins: [],
  deactivatedAt: null,
  revokedAt: undefined,
  scopes: undefined,
});

/** The requests that made keys. */
const made = (asked: readonly Asked[]) => asked.filter(({ method }) => method === "POST").map(({ json }) => json);

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
    expect(made(asked)).toEqual(Array(4).fill({ name: "CI/CD pipeline" }));
  });

  test.each(["secret", "public"] as const)(
    "hides a new %s key in the log of GitHub Actions, and only there",
    async (kind) => {
      const value = someKey(kind);
      const made = kind === "secret" ? secretKeyOf(value) : publicKeyOf();
      const { env } = await startService({
        [`POST /v1/${kind}-keys`]: () => ({ status: 201, body: { [`${kind}Key`]: { ...made, value } } }),
      });
      for (const more of [[], ["--json"], ["--quiet"]]) {
        const argv = ["keys", "create", "ci", "--type", kind, "--project", projectId, ...more];
        const inActions = await terminal({ env: { ...env, GITHUB_ACTIONS: "true" } }).run(argv);
        expect(inActions.code).toBe(0);
        // Before anything else is printed.
        expect(inActions.err.split("\n")[0]).toBe(`::add-mask::${value}`);
        expect((await terminal({ env }).run(argv)).err).not.toContain("add-mask");
      }
    },
  );

  describe.each(["secret", "public"] as const)("of whose name there is a live %s key", (kind) => {
    const other = "11111111-1111-4111-8111-111111111111";
    const ended =
      kind === "secret" ? { revokedAt: "2026-11-22T08:00:00.000Z" } : { deactivatedAt: "2026-11-22T08:00:00.000Z" };
    const keyOf = (more: object) => (kind === "secret" ? secretKeyOf("wxyz", more) : { ...publicKeyOf(), ...more });
    const create = async (listed: readonly object[] | undefined, more: readonly string[] = []) => {
      const value = someKey(kind);
      const { env, asked } = await startService({
        [`POST /v1/${kind}-keys`]: () => ({
          status: 201,
          body: { [`${kind}Key`]: { ...keyOf({ name: "ci" }), value } },
        }),
        [`GET /v1/${kind}-keys`]: () =>
          listed ? { body: { [`${kind}Keys`]: listed, nextCursor: null } } : refusal(403, "FORBIDDEN", "No."),
      });
      const run = await terminal({ env }).run([
        "keys",
        `${kind}-keys`,
        "create",
        "ci",
        "--project",
        projectId,
        ...more,
      ]);
      return { ...run, value, asked };
    };
    const own = () => keyOf({ name: "ci" });
    const words = `Another live ${kind} key is called "ci". Commands tell them apart by id: ${other} and ${keyId}.\n`;

    test("says so in one line, and is made all the same", async () => {
      const { code, out, err, value } = await create([own(), keyOf({ name: "ci", id: other })]);
      expect({ code, out }).toEqual({ code: 0, out: `${value}\n` });
      expect(err.endsWith(words)).toBe(true);
    });

    test("adds nothing to the JSON, nor to anything when it is to be quiet", async () => {
      const listed = [own(), keyOf({ name: "ci", id: other })];
      const json = await create(listed, ["--json"]);
      expect(JSON.parse(json.out)).toMatchObject({ name: "ci", value: json.value });
      expect(json.err).toBe(words);
      expect(await create(listed, ["--quiet"])).toMatchObject({ code: 0, err: "" });
    });

    test.each<[string, readonly object[] | undefined]>([
      ["none", [own()]],
      ["another name", [own(), keyOf({ name: "cd", id: other })]],
      ["an ended one", [own(), keyOf({ name: "ci", id: other, ...ended })]],
      ["no right to look", undefined],
    ])("and says nothing otherwise: %s", async (_, listed) => {
      const { code, err } = await create(listed);
      expect(code).toBe(0);
      expect(err).not.toContain("Another");
    });
  });

  test("passes style, expiry, scopes and project on", async () => {
    const { env, asked } = await startService({
      "POST /v1/secret-keys": () => ({
        status: 201,
        body: { secretKey: { ...secretKeyOf("wxyz"), value: someKey("secret") } },
      }),
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
    expect(made(asked)).toEqual([
      { name: "n", style: "sazabi", expiresIn: "30d", scopes: ["read:logs", "read:keys"], projectId },
      { name: "n", expiresIn: "45d" },
      { name: "n", expiresAt: "2027-01-01T00:00:00.000Z" },
    ]);
  });

  test.each([-2, 0, 2])("goes by the service's clock, with its own %i hours off", async (hours) => {
    const clock = new Date("2026-11-22T12:00:00Z");
    const now = new Date(clock.getTime() + hours * 3_600_000);
    const ending = secretKeyOf("wxyz", { expiresAt: "2026-11-22T12:59:00.000Z" });
    const ended = secretKeyOf("wxyz", { expiresAt: "2026-11-22T11:01:00.000Z" });
    const headers = { date: clock.toUTCString() };
    const { env, asked } = await startService({
      "POST /v1/secret-keys": () => ({
        status: 201,
        headers,
        body: { secretKey: { ...ending, value: someKey("secret") } },
      }),
      "GET /v1/secret-keys": () => ({ headers, body: { secretKeys: [ending, ended], nextCursor: null } }),
      [`GET /v1/secret-keys/${keyId}`]: () => ({ headers, body: { secretKey: ended } }),
      [`PATCH /v1/secret-keys/${keyId}`]: () => ({ headers, body: { secretKey: ending } }),
    });
    const { run } = terminal({ env, now });
    for (const when of ["1h", "2h", "1d12h", "90s", "2026-11-22T12:30:00Z"]) {
      await run(["keys", "create", "n", "--expires", when]);
      await run(["secret-keys", "update", keyId, "--expires", when]);
      const sent = asked.filter(({ method }) => method !== "GET").map(({ json }) => json as Record<string, unknown>);
      const expiry = when.includes("T") ? { expiresAt: "2026-11-22T12:30:00.000Z" } : { expiresIn: when };
      expect(sent.slice(-2)).toEqual([{ name: "n", ...expiry }, expiry]);
    }
    expect((await run(["secret-keys", "list"])).out).toMatch(/active.*\n.*expired/);
    expect((await run(["secret-keys", "update", keyId, "--expires", "1h"])).err).toMatch(
      /had expired at .* works again/,
    );
  });

  test("says the moment that a date means, in its zone", async () => {
    const expiresAt = "2026-12-01T00:00:00.000Z";
    const { env } = await startService({
      "POST /v1/secret-keys": () => ({
        status: 201,
        body: { secretKey: { ...secretKeyOf("wxyz"), expiresAt, value: someKey("secret") } },
      }),
      [`GET /v1/secret-keys/${keyId}`]: () => ({ body: { secretKey: secretKeyOf("wxyz") } }),
      [`PATCH /v1/secret-keys/${keyId}`]: () => ({ body: { secretKey: secretKeyOf("wxyz", { expiresAt }) } }),
    });
    const { run } = terminal({ env, now: new Date("2026-11-22T12:00:00Z") });
    const moment = new Date(expiresAt);
    const said = `${formatTime(moment)} (${formatZone(moment)})`;
    expect((await run(["keys", "create", "n", "--expires", "2026-12-01"])).err).toContain(`expires ${said}`);
    expect((await run(["secret-keys", "update", keyId, "--expires", "2026-12-01"])).out).toContain(said);
  });

  test("an update says that an expired key works again, and only then", async () => {
    const after = secretKeyOf("wxyz", { expiresAt: "2099-01-01T00:00:00.000Z" });
    const update = async (before: Answer, ...argv: readonly string[]) => {
      const { env } = await startService({
        [`GET /v1/secret-keys/${keyId}`]: () => before,
        [`PATCH /v1/secret-keys/${keyId}`]: () => ({ body: { secretKey: after } }),
      });
      return terminal({ env }).run(["secret-keys", "update", keyId, ...argv]);
    };
    const dead = { body: { secretKey: secretKeyOf("wxyz", { expiresAt: "2020-01-01T00:00:00.000Z" }) } };
    expect((await update(dead, "--expires", "1h")).err).toContain("It had expired at 2020-01-01");
    expect((await update({ body: { secretKey: after } }, "--expires", "never")).err).toBe("");
    expect((await update(dead, "--name", "other")).err).toBe("");
    // A key that may change keys and not read them.
    const blind = refusal(403, "FORBIDDEN", "This key lacks the scope read:keys.", { reason: "missing_scope" });
    expect(await update(blind, "--expires", "1h")).toMatchObject({ code: 0, err: "" });
  });

  test("a project chosen for everyday use does not narrow a secret key", async () => {
    const { env, asked } = await startService({
      "POST /v1/secret-keys": () => ({
        status: 201,
        body: { secretKey: { ...secretKeyOf("wxyz"), value: someKey("secret") } },
      }),
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
    const shown = someKey("public");
    const { env, asked } = await startService({
      "GET /v1/projects": () => ({ body: { projects: [{ id: projectId, name: "Shop" }] } }),
      "POST /v1/public-keys": () => ({ status: 201, body: { publicKey: { ...publicKeyOf(), value: shown } } }),
    });
    const { run } = terminal({ env });
    expect((await run(["keys", "public-keys", "create", "--name", "Production logs", "--project", "Shop"])).out).toBe(
      `${shown}\n`,
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

  test.each([80, 100])("a table of %s columns keeps the key whole: its end is what it is known by", async (columns) => {
    const { env } = await service();
    const argv = ["keys", "list", "--limit", "3"];
    const { items } = JSON.parse((await terminal({ env }).run([...argv, "--json"])).out);
    const { out } = await terminal({ env, columns }).run(argv);
    for (const { masked } of items) expect(out).toContain(masked);
  });

  test("of both kinds says of which kind each is", async () => {
    const { env } = await service();
    const { out } = await terminal({ env }).run(["keys", "list", "--all", "--json"]);
    const { items } = JSON.parse(out);
    expect(items).toHaveLength(151);
    expect(new Set(items.map(({ type }: { type: string }) => type))).toEqual(new Set(["secret", "public"]));
    expect(items.at(-1)).toMatchObject({ type: "public", name: "browser" });
  });

  test("finds those that nobody used for so long", async () => {
    const { env, asked } = await service();
    const { run } = terminal({ env });
    for (const kind of ["secret", "public"]) await run(["keys", "list", "--type", kind, "--unused-for", "90d"]);
    expect(asked.map(({ query }) => query.unusedForDays)).toEqual(["90", "90"]);
    for (const text of ["soon", "12h", "11y", "4000d"]) {
      expect((await run(["keys", "list", "--unused-for", text])).code).toBe(2);
    }
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
    expect(out).toMatch(/^ID +NAME +STATUS\n/);
    expect(err).toContain("Left out to fit the terminal: key, last used, expires, created");
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

describe("where a key may be used", () => {
  const created = (kind: "secretKey" | "publicKey") => () => ({
    status: 201,
    body: { [kind]: { ...secretKeyOf("wxyz"), value: someKey("secret") } },
  });

  test("is named when it is made: addresses for both kinds, origins for public ones", async () => {
    const { env, asked } = await startService({
      "POST /v1/secret-keys": created("secretKey"),
      "POST /v1/public-keys": created("publicKey"),
    });
    const { run } = terminal({ env });
    const addresses = ["--allow-address", "203.0.113.9, 10.0.0.0/8", "--allow-address", "2001:db8::/32"];
    const origins = ["--allow-origin", "https://app.example.com"];
    await run(["keys", "create", "a", ...addresses]);
    await run(["keys", "public-keys", "create", "b", ...addresses, ...origins]);
    await run(["keys", "create", "c", "--type", "public", ...origins]);
    const allowedAddresses = ["203.0.113.9", "10.0.0.0/8", "2001:db8::/32"];
    const allowedOrigins = ["https://app.example.com"];
    expect(made(asked)).toEqual([
      { name: "a", allowedAddresses },
      { name: "b", allowedAddresses, allowedOrigins },
      { name: "c", allowedOrigins },
    ]);
    const { code, err } = await run(["keys", "create", "d", ...origins]);
    expect(code).toBe(2);
    expect(err).toContain("never be in a web page");
    expect(made(asked)).toHaveLength(3);
  });

  test("is changed, and cleared with `any`", async () => {
    const { env, asked } = await startService({
      [`PATCH /v1/secret-keys/${keyId}`]: () => ({
        body: { secretKey: secretKeyOf("wxyz", { allowedAddresses: ["10.0.0.0/8"] }) },
      }),
      [`PATCH /v1/public-keys/${otherId}`]: () => ({
        body: { publicKey: publicKeyOf({ id: otherId }) },
      }),
    });
    const { run } = terminal({ env });
    const shown = await run(["secret-keys", "update", keyId, "--allow-address", "10.0.0.0/8"]);
    expect(shown.out).toMatch(/^Only from: +10\.0\.0\.0\/8$/m);
    const both = ["--allow-address", "any", "--allow-origin", "any"];
    expect((await run(["public-keys", "update", otherId, ...both])).out).not.toContain("Only");
    expect(asked.map(({ json }) => json)).toEqual([
      { allowedAddresses: ["10.0.0.0/8"] },
      { allowedAddresses: [], allowedOrigins: [] },
    ]);
    for (const list of ["any,10.0.0.0/8", "", "10.0.0.0/8,,"]) {
      expect((await run(["secret-keys", "update", keyId, "--allow-address", list])).code).toBe(2);
    }
    expect(asked).toHaveLength(2);
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
    expect(asked.at(-1)?.json).toEqual({ name: "new", expiresIn: "never" });
    expect((await run(["secret-keys", "get", "nobody"])).code).toBe(3);
    expect((await run(["secret-keys", "update", keyId])).code).toBe(2);
  });

  test("update changes rights and limit, and says when there is nothing to change", async () => {
    const { env, asked } = await startService({
      [`PATCH /v1/secret-keys/${keyId}`]: () => ({ body: { secretKey: secretKeyOf("wxyz") } }),
      [`PATCH /v1/public-keys/${otherId}`]: () => ({ body: { publicKey: publicKeyOf() } }),
    });
    const { run } = terminal({ env });
    await run(["secret-keys", "update", keyId, "--scopes", "read:logs,read:keys", "--limit", "600"]);
    await run(["public-keys", "update", otherId, "--limit", "default"]);
    expect(asked.map(({ json }) => json)).toEqual([
      { scopes: ["read:logs", "read:keys"], requestsPerMinute: 600 },
      { requestsPerMinute: null },
    ]);
    expect((await run(["secret-keys", "update", keyId])).err).toContain("--allow-address or --scopes");
    expect((await run(["secret-keys", "update", keyId, "--limit", "0"])).code).toBe(2);
    expect((await run(["public-keys", "update", otherId, "--scopes", "*"])).code).toBe(2);
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

test("a change and a revoke-all that the service refuses point at --force, and send it", async () => {
  const refused = refusal(409, "CONFLICT", "Make another one first, or repeat with ?force=true.");
  const { env, asked } = await startService({
    [`GET /v1/secret-keys/${keyId}`]: () => ({ body: { secretKey: secretKeyOf("wxyz") } }),
    "GET /v1/me": () => ({ body: { organization: { id: otherId, name: "Acme", slug: "acme" } } }),
    [`PATCH /v1/secret-keys/${keyId}`]: () => refused,
    "POST /v1/keys/revoke-all": () => refused,
  });
  const { run } = terminal({ env });
  for (const command of [
    ["keys", "secret-keys", "update", keyId, "--scopes", "read:logs"],
    ["keys", "revoke-all", "--include-self", "--yes"],
  ]) {
    const { code, err } = await run(command);
    expect({ code, err }).toEqual({ code: 1, err: "error: Make another one first, or repeat with --force.\n" });
    expect(asked.at(-1)?.query).toEqual({});
    await run([...command, "--force"]);
    expect(asked.at(-1)?.query).toEqual({ force: "true" });
  }
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
    expect(refused.err).toContain("stop working at once");
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
    await run(["keys", "revoke", keyId, "--force", "--reason", "found in a log"]);
    expect(asked.at(-1)?.query).toEqual({ force: "true", reason: "found in a log" });
  });

  test("the service's words about the request become those of the command", async () => {
    const { env } = await service(refusal(409, "CONFLICT", "Make another one first, or repeat with ?force=true."));
    const { err } = await terminal({ env }).run(["keys", "revoke", keyId]);
    expect(err).toBe("error: Make another one first, or repeat with --force.\n");
  });

  test("of a key that does not exist exits 3", async () => {
    const { env } = await service();
    expect((await terminal({ env }).run(["keys", "revoke", "11111111-1111-4111-8111-111111111111"])).code).toBe(3);
  });
});

describe("a name in the short forms", () => {
  const service = (publicAnswer?: (projectId: string | undefined) => ReturnType<typeof refusal> | undefined) =>
    startService({
      "GET /v1/projects": () => ({ body: { projects: [{ id: projectId, name: "Shop" }] } }),
      "GET /v1/secret-keys": () => ({
        body: {
          secretKeys: [secretKeyOf("wxyz", { name: "dup" }), secretKeyOf("abcd", { name: "alone" })],
          nextCursor: null,
        },
      }),
      "GET /v1/public-keys": ({ query }) =>
        publicAnswer?.(query.projectId) ?? {
          body: { publicKeys: [publicKeyOf({ id: otherId, name: "dup" })], nextCursor: null },
        },
      [`GET /v1/secret-keys/${keyId}`]: () => ({ body: { secretKey: secretKeyOf("wxyz", { name: "dup" }) } }),
      [`DELETE /v1/secret-keys/${keyId}`]: () => ({ status: 204 }),
      [`GET /v1/public-keys/${otherId}`]: () => ({ body: { publicKey: publicKeyOf({ id: otherId }) } }),
      [`POST /v1/public-keys/${otherId}/deactivate`]: () => ({ body: { publicKey: publicKeyOf({ id: otherId }) } }),
    });

  test.each(["revoke", "rotate", "usage"])("%s does not guess between the kinds", async (command) => {
    const { env, asked } = await service();
    const { code, err } = await terminal({ env }).run(["keys", command, "dup"]);
    expect(code).toBe(2);
    expect(err).toContain(`${keyId} (secret key sk_live_…wxyz), ${otherId} (public key pk_live_…wxyz)`);
    expect(asked.every(({ method }) => method === "GET")).toBe(true);
  });

  test("--type decides", async () => {
    const { env, asked } = await service();
    const { run } = terminal({ env });
    expect((await run(["keys", "revoke", "dup", "--type", "public"])).code).toBe(0);
    expect((await run(["keys", "revoke", "dup", "--type", "secret"])).code).toBe(0);
    expect(asked.filter(({ method }) => method !== "GET").map(({ path }) => path)).toEqual([
      `/v1/public-keys/${otherId}/deactivate`,
      `/v1/secret-keys/${keyId}`,
    ]);
  });

  test("where no project is chosen, the public keys of all of them are looked through", async () => {
    const { env, asked } = await service((project) =>
      project ? undefined : refusal(400, "VALIDATION_ERROR", "Which?", { missingContext: ["projectId"] }),
    );
    expect(await terminal({ env }).run(["keys", "revoke", "dup"])).toMatchObject({
      code: 2,
      err: expect.stringContaining(otherId),
    });
    expect(asked.every(({ method }) => method === "GET")).toBe(true);
  });

  test("when one kind cannot be looked up, nothing is revoked", async () => {
    const { env, asked } = await service(() => refusal(404, "NOT_FOUND", "No such project."));
    expect((await terminal({ env }).run(["keys", "revoke", "dup"])).code).toBe(3);
    expect(asked.every(({ method }) => method === "GET")).toBe(true);
  });

  test("that nobody has is of no kind", async () => {
    const { env } = await service();
    const { code, err } = await terminal({ env }).run(["keys", "revoke", "nosuch"]);
    expect({ code, err }).toEqual({
      code: 3,
      err: "error: There is no live key called nosuch. `sazabi keys list` shows all keys.\n",
    });
  });
});

describe("keys revoke-all", () => {
  const revoked = [{ id: otherId, name: "ci", masked: "sk_live_…wxyz" }];
  const service = () =>
    startService({
      "POST /v1/keys/revoke-all": () => ({ body: { revokedCount: 1, revoked } }),
      "GET /v1/projects": () => ({ body: { projects: [{ id: projectId, name: "Shop" }] } }),
    });
  const bodies = (asked: readonly { path: string; json: unknown }[]) =>
    asked.filter(({ path }) => path === "/v1/keys/revoke-all").map(({ json }) => json);

  test("needs the organization's name at a terminal, and --yes without one", async () => {
    const { env, asked } = await service();
    const { run } = terminal({ env });
    expect(await run(["keys", "revoke-all"])).toMatchObject({ code: 2, err: expect.stringContaining("--yes") });
    const wrong = await run(["keys", "revoke-all"], { columns: 80, typed: ["y"] });
    expect(wrong).toMatchObject({ code: 1, err: expect.stringContaining("Type the organization's name, Acme") });
    expect(bodies(asked)).toEqual([]);
    expect((await run(["keys", "revoke-all"], { columns: 80, typed: ["Acme"] })).out).toContain(otherId);
    expect((await run(["keys", "revoke-all", "--yes", "--json"])).out).toContain('"revokedCount": 1');
    expect(bodies(asked)).toEqual([{ except: ["caller"] }, { except: ["caller"] }]);
  });

  test("passes its filters on, and spares the key in use unless told", async () => {
    const { env, asked } = await service();
    const { run } = terminal({ env });
    const filters = ["--kind", "public", "--project", "Shop", "--unused-for", "90d", "--reason", "spring cleaning"];
    await run(["keys", "revoke-all", "--yes", ...filters, "--except", `${otherId}, ${keyId}`]);
    await run(["keys", "revoke-all", "--yes", "--include-self"]);
    expect(bodies(asked)).toEqual([
      { kind: "public", projectId, unusedForDays: 90, except: [otherId, keyId, "caller"], reason: "spring cleaning" },
      { except: [] },
    ]);
  });

  test.each([
    [["--except", "ci"], "takes the ids of keys"],
    [["--unused-for", "12h"], "whole days"],
    [["--keep-self", "--include-self"], "exclude each other"],
    [["--kind", "other"], "Allowed choices"],
  ])("%j is refused before anything is sent", async (options, words) => {
    const { env, asked } = await service();
    const { code, err } = await terminal({ env }).run(["keys", "revoke-all", "--yes", ...options]);
    expect({ code, err }).toEqual({ code: 2, err: expect.stringContaining(words) });
    expect(asked).toEqual([]);
  });
});

describe("keys usage", () => {
  const point = (generation: number) => ({ start: "2026-11-22T08:00:00.000Z", generation, accepted: 7, refused: 1 });
  const service = (points: readonly object[]) => {
    const usage = { keyId, from: "2026-11-21T08:00:00.000Z", to: "2026-11-22T08:00:00.000Z", interval: "1h", points };
    return startService({
      [`GET /v1/secret-keys/${keyId}`]: () => ({ body: { secretKey: secretKeyOf("wxyz") } }),
      [`GET /v1/keys/${keyId}/usage`]: () => ({ body: usage }),
    });
  };

  test("counts by interval, and by secret when there were several", async () => {
    const { env, asked } = await service([point(1), point(2)]);
    const { run } = terminal({ env, now: new Date("2026-11-22T10:00:00Z") });
    const { out, err } = await run(["keys", "usage", keyId, "--since", "2h", "--interval", "5m"]);
    expect(out).toMatch(/^FROM +SECRET +ACCEPTED +REFUSED\n.*#1 +7 +1\n.*#2 +7 +1\n$/);
    expect(err).toContain("14 accepted, 2 refused");
    expect(asked.at(-1)?.query).toEqual({ from: "2026-11-22T08:00:00.000Z", interval: "5m" });
    expect(JSON.parse((await run(["secret-keys", "usage", keyId, "--json"])).out).points).toHaveLength(2);
    expect((await run(["keys", "usage", keyId, "--interval", "2h"])).code).toBe(2);
  });

  test("of a key that nobody used says so", async () => {
    const { env } = await service([]);
    const { code, out, err } = await terminal({ env }).run(["keys", "usage", keyId]);
    expect({ code, out }).toEqual({ code: 0, out: "" });
    expect(err).toContain("It was not used.");
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

describe("keys list at a terminal", () => {
  test.each([60, 80, 120])("of %i columns: no line is longer, and no id is cut", async (columns) => {
    const name = "a name that goes on and on, 字字字字字字字字字字字字字字字字字字字字字字";
    const { env } = await startService({
      "GET /v1/secret-keys": () => ({ body: { secretKeys: [secretKeyOf("wxyz", { name })], nextCursor: null } }),
      "GET /v1/public-keys": () => ({ body: { publicKeys: [], nextCursor: null } }),
    });
    const { out, err } = await terminal({ env, columns }).run(["keys", "list", "--color", "never"]);
    const lines = out.trimEnd().split("\n");
    expect(lines).toHaveLength(2);
    expect(lines.filter((line) => widthOf(line) > columns)).toEqual([]);
    // Whether a key is live says more than its kind.
    expect(lines[1]).toMatch(new RegExp(`^${keyId} {2}${columns === 60 ? "" : "secret {2}"}a name.*…`));
    expect(lines[1]).toContain("active");
    if (columns === 60) expect(err).toBe("Left out to fit the terminal: type, key, last used, expires, created.\n");
  });
});

test("revoke-all that meets no key says that nothing was revoked", async () => {
  const { env } = await startService({
    "POST /v1/keys/revoke-all": () => ({ body: { revoked: [], revokedCount: 0 } }),
  });
  const { code, out, err } = await terminal({ env }).run(["keys", "revoke-all", "--unused-for", "90d", "--yes"]);
  expect({ code, out, err }).toEqual({ code: 0, out: "", err: "No key matches: nothing was revoked.\n" });
});

test("an expiry that is not understood is told what is: times from now", async () => {
  const { code, err } = await terminal().run(["keys", "create", "ci", "--expires", "yesterday"]);
  expect(code).toBe(2);
  expect(err).toContain("Accepted: a time from now (");
});
