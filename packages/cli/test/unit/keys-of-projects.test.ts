import { describe, expect, test } from "vitest";
import { type Asked, keyId, refusal, secretKeyOf, startService } from "../support/service.ts";
import { terminal } from "../support/terminal.ts";

const projects = ["7d0b4e0e-8a3c-4d9e-9f43-0f3a4a1b2c3d", "7d0b4e0e-8a3c-4d9e-9f43-0f3a4a1b2c3e"] as const;

const publicKey = (projectId: string, name: string) => ({
  ...secretKeyOf("wxyz", { id: keyId, name, masked: "pk_live_…wxyz", projectId }),
  revokedAt: undefined,
  deactivatedAt: null,
  allowedOrigins: [],
});

/** Two projects, with two and one public keys, and so many secret keys. */
async function service(secretKeys = 1) {
  const page = (all: readonly object[], { query }: Asked) => {
    const start = Number(query.cursor ?? 0);
    const end = start + Number(query.limit);
    return { items: all.slice(start, end), nextCursor: end < all.length ? `${end}` : null };
  };
  const secret = Array.from({ length: secretKeys }, (_, i) => secretKeyOf("abcd", { name: `secret ${i}` }));
  const ofProject: Record<string, readonly object[]> = {
    [projects[0]]: [publicKey(projects[0], "shop"), publicKey(projects[0], "web")],
    [projects[1]]: [publicKey(projects[1], "app")],
  };
  return startService({
    "GET /v1/projects": () => ({
      body: { projects: projects.map((id, i) => ({ id, name: `p${i}` })), nextCursor: null },
    }),
    "GET /v1/secret-keys": (asked) => {
      const { items, nextCursor } = page(secret, asked);
      return { body: { secretKeys: items, nextCursor } };
    },
    "GET /v1/public-keys": (asked) => {
      const { projectId } = asked.query;
      if (!projectId) return refusal(400, "MISSING_CONTEXT", "Which?", { missingContext: ["projectId"] });
      const { items, nextCursor } = page(ofProject[projectId] ?? [], asked);
      return { body: { publicKeys: items, nextCursor } };
    },
    [`GET /v1/public-keys/${keyId}`]: () => ({ body: { publicKey: publicKey(projects[1], "app") } }),
  });
}

const names = (out: string) => JSON.parse(out).items.map(({ name }: { name: string }) => name);

describe("with several projects", () => {
  test("the keys of all are listed, and each public one with its project", async () => {
    const { env } = await service();
    const { run } = terminal({ env });
    for (const [argv, expected] of [
      [["list"], ["secret 0", "shop", "web", "app"]],
      [
        ["list", "--type", "public"],
        ["shop", "web", "app"],
      ],
      [
        ["list", "--unused-for", "90d"],
        ["secret 0", "shop", "web", "app"],
      ],
      [
        ["public-keys", "list"],
        ["shop", "web", "app"],
      ],
      [["list", "--type", "public", "--project", projects[1]], ["app"]],
    ] as const) {
      const { code, out } = await run(["keys", ...argv, "--json"]);
      expect({ argv, code, names: names(out) }).toEqual({ argv, code: 0, names: expected });
    }
    const table = await run(["keys", "list"]);
    for (const id of projects) expect(table.out).toContain(id);
    expect(table.out).toContain("PROJECT");
  });

  test("a project that was chosen is named, since it narrows the list", async () => {
    const { env } = await service();
    const { out, err } = await terminal({ env: { ...env, SAZABI_PROJECT_ID: projects[1] } }).run(["keys", "list"]);
    expect(out).not.toContain("shop");
    expect(err).toContain(`Public keys of project ${projects[1]} only (SAZABI_PROJECT_ID).`);
  });

  test("a public key is found by its name in each of them", async () => {
    const { env } = await service();
    const { code, out } = await terminal({ env }).run(["keys", "public-keys", "get", "app"]);
    expect({ code, found: out.includes(projects[1]) }).toEqual({ code: 0, found: true });
    expect((await terminal({ env }).run(["keys", "public-keys", "get", "nowhere"])).code).toBe(3);
  });

  test("a cursor is of one list", async () => {
    const { env } = await service();
    for (const argv of [["list"], ["public-keys", "list"]]) {
      expect((await terminal({ env }).run(["keys", ...argv, "--cursor", "1"])).code).toBe(2);
    }
  });
});

describe("a list that is cut says so, in every form", () => {
  test.each([
    [50, [], 50, true],
    [52, [], 50, true],
    [3, ["--limit", "3"], 3, true],
    [3, ["--limit", "5"], 5, true],
    [3, ["--limit", "6"], 6, false],
    [3, ["--limit", "7"], 6, false],
    [52, ["--all"], 55, false],
  ])("%s secret keys with %j: %s shown, more: %s", async (secretKeys, more, shown, isCut) => {
    const { env } = await service(secretKeys);
    for (const form of ["--json", "--ndjson", "--csv", "--no-pager"]) {
      const { code, out, err } = await terminal({ env }).run(["keys", "list", ...more, form]);
      expect({ form, code, said: err.includes("there are more") }).toEqual({ form, code: 0, said: isCut });
      if (form !== "--json") continue;
      const answer = JSON.parse(out);
      expect([answer.items.length, answer.nextCursor, answer.more]).toEqual([shown, null, isCut]);
    }
  });
});

test("leave is never taken for given where a person sits and cannot be asked", async () => {
  const { env, asked } = await startService({
    [`GET /v1/secret-keys/${keyId}`]: () => ({ body: { secretKey: secretKeyOf("wxyz") } }),
    [`DELETE /v1/secret-keys/${keyId}`]: () => ({ status: 204 }),
  });
  const revoke = ["keys", "secret-keys", "revoke", keyId];
  const ended = () => asked.filter(({ method }) => method === "DELETE").length;
  // stdin is piped, stdout and stderr are a terminal: `echo n | sazabi keys revoke …`.
  const { code, err } = await terminal({ env, columns: 80, stdin: "n\n" }).run(revoke);
  expect({ code, ended: ended() }).toEqual({ code: 2, ended: 0 });
  expect(err).toContain("Repeat it with --yes.");
  expect((await terminal({ env, columns: 80, stdin: "n\n" }).run([...revoke, "--yes"])).code).toBe(0);
  expect((await terminal({ env, columns: 80, stdin: "n\n" }).run([...revoke, "--no-input"])).code).toBe(0);
  expect((await terminal({ env }).run(revoke)).code).toBe(0);
});
