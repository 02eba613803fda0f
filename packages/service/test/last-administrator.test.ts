import { beforeEach, describe, expect, onTestFinished, test } from "vitest";
import { bearer, send, startTestService, type TestService } from "./support/index.ts";

interface MadeKey {
  readonly id: string;
  readonly value: string;
}

/** A service whose first key is the only one that can administer the organization. */
let service: TestService;
let headers: Record<string, string>;
let firstId: string;

beforeEach(async () => {
  service = await startTestService();
  onTestFinished(() => service.close());
  headers = bearer(service.secretKey);
  firstId = (await send(service, "GET /v1/me", { headers })).body.key.id;
});

const inHours = (hours: number) => new Date(Date.now() + hours * 3_600_000).toISOString();

async function make(body: object): Promise<MadeKey> {
  return (await send(service, "POST /v1/secret-keys", { headers, body: { name: "second", ...body } })).body.secretKey;
}

/** Every request that takes rights from the first key. */
const ways: Readonly<Record<string, (query: string) => ReturnType<typeof send>>> = {
  DELETE: (query) => send(service, `DELETE /v1/secret-keys/${firstId}${query}`, { headers }),
  "revoke-all": (query) => send(service, `POST /v1/keys/revoke-all${query}`, { headers, body: {} }),
  "revoke-all of secret keys": (query) =>
    send(service, `POST /v1/keys/revoke-all${query}`, { headers, body: { kind: "secret" } }),
  "self/revoke": (query) => send(service, `POST /v1/keys/self/revoke${query}`, { headers }),
  "PATCH of scopes": (query) => change(query, { scopes: ["read:logs"] }),
  "PATCH of the end": (query) => change(query, { expiresAt: inHours(47) }),
};

const change = (query: string, body: object) =>
  send(service, `PATCH /v1/secret-keys/${firstId}${query}`, { headers, body });

const refused = { status: 409, body: { code: "CONFLICT", message: expect.stringContaining("last secret key") } };

describe("the last key that can administer the organization", () => {
  test.each(Object.entries(ways))("is not taken away by %s, but with force", async (_, ask) => {
    expect(await ask("")).toMatchObject(refused);
    expect((await send(service, "GET /v1/secret-keys", { headers })).status).toBe(200);
    await make({ expiresIn: "24h" });
    expect(await ask("?force=false")).toMatchObject(refused);
    expect((await ask("?force=true")).status).toBeLessThan(300);
  });

  test("is one that ends later than in two days, has write:keys in all projects, lives, and works from here", async () => {
    await make({ expiresIn: "24h" });
    await make({ expiresIn: "15m" });
    await make({ scopes: ["read:keys", "write:projects"] });
    await make({ projectId: service.projectId });
    await make({ allowedAddresses: ["203.0.113.9", "2001:db8::/32"] });
    const dead = await make({});
    expect((await send(service, `DELETE /v1/secret-keys/${dead.id}`, { headers })).status).toBe(204);
    for (const ask of Object.values(ways)) expect(await ask("")).toMatchObject(refused);
  });

  test.each([
    ["ends in more than two days", { expiresIn: "7d" }],
    ["has write:keys", { scopes: ["write:keys"] }],
    ["works from this address and others", { allowedAddresses: ["203.0.113.9", "127.0.0.0/8", "::1"] }],
  ])("is not the last beside one that %s", async (_, body) => {
    await make(body);
    expect(await ways["DELETE"]?.("")).toMatchObject({ status: 204 });
  });

  test("cannot be fenced to where nobody is", async () => {
    const other = await make({ scopes: ["write:keys", "read:keys"] });
    const byOther = bearer(other.value);
    await change("", { scopes: ["write:keys", "read:keys"] });
    const fence = (id: string, by: Record<string, string>) =>
      send(service, `PATCH /v1/secret-keys/${id}`, { headers: by, body: { allowedAddresses: ["203.0.113.9"] } });
    expect((await fence(firstId, byOther)).status).toBe(200);
    // Its own fence is refused before, since it would shut out this very request.
    expect((await fence(other.id, byOther)).status).toBe(400);
    expect(await send(service, `DELETE /v1/secret-keys/${other.id}`, { headers: byOther })).toMatchObject(refused);
  });

  test("may be renamed, limited, lengthened and rotated", async () => {
    for (const body of [{ name: "renamed" }, { requestsPerMinute: 60 }, { expiresAt: inHours(49) }]) {
      expect((await change("", body)).status).toBe(200);
    }
    const rotated = await send(service, `POST /v1/secret-keys/${firstId}/rotate`, {
      headers,
      body: { graceSeconds: 0 },
    });
    expect(rotated.status).toBe(201);
  });

  test("that ends within two days is guarded too: nothing takes it away sooner", async () => {
    expect((await change("?force=true", { expiresAt: inHours(10) })).status).toBe(200);
    expect(await ways["DELETE"]?.("")).toMatchObject(refused);
    expect(await change("", { expiresAt: inHours(9) })).toMatchObject(refused);
    expect((await change("", { name: "renamed" })).status).toBe(200);
    const job = await make({ expiresAt: inHours(1) });
    expect((await send(service, `DELETE /v1/secret-keys/${job.id}`, { headers })).status).toBe(204);
  });

  test("is left by requests that come at the same moment", async () => {
    const others = await Promise.all(Array.from({ length: 7 }, () => make({})));
    const all = [{ id: firstId, value: service.secretKey }, ...others];
    const answers = await Promise.all(
      all.map(({ id, value }, index) =>
        index % 2 === 0
          ? send(service, `DELETE /v1/secret-keys/${id}`, { headers: bearer(value) })
          : send(service, `PATCH /v1/secret-keys/${id}`, { headers: bearer(value), body: { scopes: ["write:keys"] } }),
      ),
    );
    expect(answers.every(({ status }) => [200, 204].includes(status))).toBe(true);
    const left = all.filter((_, index) => index % 2 === 1);
    const ended = await Promise.all(
      left.map(({ id, value }) => send(service, `DELETE /v1/secret-keys/${id}`, { headers: bearer(value) })),
    );
    expect(ended.map(({ status }) => status).sort()).toEqual([204, 204, 204, 409]);
  });
});
