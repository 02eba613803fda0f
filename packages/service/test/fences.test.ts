import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { addressList } from "../src/net/ip-ranges.ts";
import { bearer, queryDatabase, send, startTestService, type TestService } from "./support/index.ts";
import { newKeyring } from "./support/keyring.ts";

const secrets = { keyPepper: newKeyring(), masterKey: newKeyring() };
let service: TestService;
let owner: { headers: Record<string, string> };
beforeAll(async () => {
  // The tests are the proxy, so they can come from any address.
  service = await startTestService({ ...secrets, trustedProxies: addressList(["127.0.0.0/8"]) });
  owner = { headers: bearer(service.secretKey) };
});
afterAll(() => service.close());

const from = (address: string) => ({ "x-forwarded-for": address });

async function makeSecret(body: object) {
  const made = await send(service, "POST /v1/secret-keys", { ...owner, body: { name: "fenced", ...body } });
  expect(made.status).toBe(201);
  return made.body.secretKey;
}

async function makePublic(body: object) {
  const made = await send(service, "POST /v1/public-keys", { ...owner, body: { name: "fenced", ...body } });
  expect(made.status).toBe(201);
  return made.body.publicKey;
}

function me(key: string, headers: Record<string, string> = {}) {
  return send(service, "GET /v1/me", { headers: { ...bearer(key), ...headers } });
}

function log(key: string, headers: Record<string, string> = {}) {
  return send(service, "POST /v1/logs", { headers: { "x-sazabi-key": key, ...headers }, body: { message: "hello" } });
}

describe("allowed addresses", () => {
  test("a key works from the addresses on its list and from no other, also when it is in the cache", async () => {
    const key = await makeSecret({ allowedAddresses: ["203.0.113.9", "10.0.0.0/8", "2001:db8::/32"] });
    for (let round = 0; round < 2; round++) {
      for (const address of ["203.0.113.9", "10.9.8.7", "2001:db8:5::1", "::ffff:10.1.1.1"]) {
        expect((await me(key.value, from(address))).status).toBe(200);
      }
      for (const address of ["203.0.113.10", "11.0.0.1", "2001:db9::1"]) {
        expect(await me(key.value, from(address))).toMatchObject({
          status: 403,
          body: { code: "FORBIDDEN", reason: "address_not_allowed", message: expect.stringContaining(address) },
        });
      }
    }
  });

  test("a caller's own X-Forwarded-For changes nothing", async () => {
    const plain = await startTestService({ ...secrets, databaseUrl: service.databaseUrl });
    const key = await makeSecret({ allowedAddresses: ["203.0.113.9"] });
    const lies = { headers: { ...bearer(key.value), ...from("203.0.113.9") } };
    expect(await send(plain, "GET /v1/me", lies)).toMatchObject({
      status: 403,
      body: { reason: "address_not_allowed", message: expect.stringContaining("127.0.0.1") },
    });
    await plain.close();
    expect((await me(key.value, from("203.0.113.9, 198.51.100.1"))).status).toBe(403);
    expect((await me(key.value, from("198.51.100.1, 203.0.113.9"))).status).toBe(200);
  });

  test("the list is shown, kept in its canonical form, changed and cleared, with effect at once", async () => {
    const key = await makeSecret({ allowedAddresses: ["::ffff:192.0.2.7", "192.0.2.7", "2001:DB8::0/64"] });
    expect(key.allowedAddresses).toEqual(["192.0.2.7", "2001:db8::/64"]);
    const path = `/v1/secret-keys/${key.id}`;
    expect((await send(service, `GET ${path}`, owner)).body.secretKey.allowedAddresses).toEqual(key.allowedAddresses);
    expect((await me(key.value, from("198.51.100.1"))).status).toBe(403);
    const change = (allowedAddresses: string[]) =>
      send(service, `PATCH ${path}`, { ...owner, body: { allowedAddresses } });
    expect((await change(["198.51.100.0/24"])).body.secretKey.allowedAddresses).toEqual(["198.51.100.0/24"]);
    expect((await me(key.value, from("198.51.100.1"))).status).toBe(200);
    expect((await me(key.value, from("192.0.2.7"))).status).toBe(403);
    await change([]);
    expect((await me(key.value, from("192.0.2.7"))).status).toBe(200);
  });

  test("public keys have it too", async () => {
    const key = await makePublic({ allowedAddresses: ["203.0.113.0/24"] });
    expect((await log(key.value, from("203.0.113.200"))).status).toBe(202);
    expect(await log(key.value, from("203.0.114.1"))).toMatchObject({
      status: 403,
      body: { reason: "address_not_allowed" },
    });
  });

  test("a request from elsewhere does not use up the limit, and counts as a refused use", async () => {
    const key = await makeSecret({ allowedAddresses: ["203.0.113.9"], requestsPerMinute: 10, scopes: ["*"] });
    for (let sent = 0; sent < 20; sent++) expect((await me(key.value, from("192.0.2.1"))).status).toBe(403);
    const allowed = await me(key.value, from("203.0.113.9"));
    expect(allowed).toMatchObject({ status: 200 });
    expect(allowed.headers.get("x-ratelimit-remaining")).toBe("11");
    const refused = async () => {
      const { body } = await send(service, `GET /v1/keys/${key.id}/usage`, owner);
      return body.points.reduce((sum: number, point: { refused: number }) => sum + point.refused, 0);
    };
    await expect.poll(refused, { timeout: 5000 }).toBe(20);
  });

  test("a fenced key hands out only keys that are fenced as narrowly", async () => {
    const fenced = await makeSecret({ allowedAddresses: ["10.0.0.0/8"] });
    const asFenced = { headers: { ...bearer(fenced.value), ...from("10.1.1.1") } };
    const create = (body: object) =>
      send(service, "POST /v1/secret-keys", { ...asFenced, body: { name: "child", ...body } });
    expect((await create({})).body.secretKey.allowedAddresses).toEqual(["10.0.0.0/8"]);
    expect((await create({ allowedAddresses: ["10.1.0.0/16"] })).status).toBe(201);
    for (const allowedAddresses of [[], ["0.0.0.0/0"], ["10.0.0.0/7"], ["10.1.1.1", "192.0.2.1"]]) {
      expect(await create({ allowedAddresses })).toMatchObject({
        status: 403,
        body: { reason: "address_not_allowed" },
      });
    }
    const open = await makeSecret({});
    const widen = { ...asFenced, body: { allowedAddresses: [] } };
    expect((await send(service, `PATCH /v1/secret-keys/${fenced.id}`, widen)).status).toBe(403);
    const rotate = { ...asFenced, body: {} };
    expect((await send(service, `POST /v1/secret-keys/${open.id}/rotate`, rotate)).status).toBe(403);
    expect((await send(service, `POST /v1/secret-keys/${fenced.id}/rotate`, rotate)).status).toBe(201);
  });

  test("a key cannot shut itself out by mistake", async () => {
    const key = await makeSecret({});
    const change = (allowedAddresses: string[]) =>
      send(service, `PATCH /v1/secret-keys/${key.id}`, {
        headers: { ...bearer(key.value), ...from("192.0.2.5") },
        body: { allowedAddresses },
      });
    expect(await change(["198.51.100.1"])).toMatchObject({
      status: 400,
      body: { issues: [{ path: "allowedAddresses" }] },
    });
    expect((await change(["192.0.2.0/24"])).status).toBe(200);
  });

  test.each([
    [["10.0.0.0/33"], "allowedAddresses.0"],
    [["10.0.0.1", "example.com"], "allowedAddresses.1"],
    [["*"], "allowedAddresses.0"],
    [Array.from({ length: 101 }, (_, index) => `10.0.0.${index}`), "allowedAddresses"],
    ["10.0.0.1", "allowedAddresses"],
  ])("%j is refused", async (allowedAddresses, path) => {
    const made = await send(service, "POST /v1/secret-keys", { ...owner, body: { name: "x", allowedAddresses } });
    expect(made).toMatchObject({ status: 400, body: { code: "VALIDATION_ERROR", issues: [{ path }] } });
  });

  test("what is on record about a creation names the fence", async () => {
    const key = await makePublic({ allowedAddresses: ["10.0.0.0/8"], allowedOrigins: ["https://app.example.com"] });
    const { body } = await send(service, "GET /v1/audit?limit=100", owner);
    const created = body.events.find(({ target }: { target: { id: string } }) => target.id === key.id);
    expect(created.details).toMatchObject({
      allowedAddresses: ["10.0.0.0/8"],
      allowedOrigins: ["https://app.example.com"],
    });
  });
});

describe("allowed origins of public keys", () => {
  test("a key works on the pages of its origins, and nowhere else", async () => {
    const key = await makePublic({ allowedOrigins: ["https://app.example.org", "https://*.example.com"] });
    expect(key.allowedOrigins).toEqual(["https://app.example.org", "https://*.example.com"]);
    for (const origin of ["https://app.example.org", "https://shop.example.com"]) {
      const answer = await log(key.value, { origin });
      expect(answer.status).toBe(202);
      expect(answer.headers.get("access-control-allow-origin")).toBe("*");
    }
    const elsewhere: Record<string, string>[] = [{ origin: "https://example.com" }, { origin: "null" }, {}];
    for (const headers of elsewhere) {
      const answer = await log(key.value, headers);
      expect(answer).toMatchObject({ status: 403, body: { code: "FORBIDDEN", reason: "origin_not_allowed" } });
      // A page may read why it was refused.
      expect(answer.headers.get("access-control-allow-origin")).toBe("*");
    }
  });

  test("the list is changed and cleared, with effect at once; without one, any origin and none will do", async () => {
    const key = await makePublic({ allowedOrigins: ["https://a.example.com"] });
    const change = (allowedOrigins: string[]) =>
      send(service, `PATCH /v1/public-keys/${key.id}`, { ...owner, body: { allowedOrigins } });
    await change(["https://b.example.com"]);
    expect((await log(key.value, { origin: "https://a.example.com" })).status).toBe(403);
    expect((await log(key.value, { origin: "https://b.example.com" })).status).toBe(202);
    expect((await change([])).body.publicKey.allowedOrigins).toEqual([]);
    expect((await log(key.value, { origin: "https://a.example.com" })).status).toBe(202);
    expect((await log(key.value)).status).toBe(202);
  });

  test("a request from elsewhere does not use up the limit of the key", async () => {
    const key = await makePublic({ allowedOrigins: ["https://a.example.com"], requestsPerMinute: 5 });
    for (let sent = 0; sent < 10; sent++) expect((await log(key.value)).status).toBe(403);
    const origin = { origin: "https://a.example.com" };
    for (let sent = 0; sent < 6; sent++) expect((await log(key.value, origin)).status).toBe(202);
    expect((await log(key.value, origin)).status).toBe(429);
  });

  test("a secret key takes none, neither by the API nor in the database", async () => {
    const body = { name: "x", allowedOrigins: ["https://a.example.com"] };
    const refusal = { status: 400, body: { issues: [{ path: "allowedOrigins" }] } };
    expect(await send(service, "POST /v1/secret-keys", { ...owner, body })).toMatchObject(refusal);
    const key = await makeSecret({});
    expect(await send(service, `PATCH /v1/secret-keys/${key.id}`, { ...owner, body })).toMatchObject(refusal);
    const update = "update keys set allowed_origins = '{https://a.example.com}' where id = $1";
    await expect(queryDatabase(service.databaseUrl, update, [key.id])).rejects.toThrow("origins_of_public_keys");
  });

  test.each(["https://app.example.com/path", "example.com", "https://*", "https://*.com", "null"])(
    "%s is refused",
    async (origin) => {
      const body = { name: "x", allowedOrigins: [origin] };
      expect(await send(service, "POST /v1/public-keys", { ...owner, body })).toMatchObject({
        status: 400,
        body: { issues: [{ path: "allowedOrigins.0" }] },
      });
    },
  );
});

describe("the client's address", () => {
  test("is the one the trusted proxy names, in uses and on the record", async () => {
    const key = await makeSecret({});
    const made = await send(service, "POST /v1/secret-keys", {
      headers: { ...bearer(key.value), ...from("1.1.1.1, 198.51.100.77") },
      body: { name: "child" },
    });
    expect(made.status).toBe(201);
    const { body } = await send(service, "GET /v1/audit?limit=100", owner);
    const { id } = made.body.secretKey;
    const created = body.events.find(({ target }: { target: { id: string } }) => target.id === id);
    expect(created.address).toBe("198.51.100.77");
    const lastUsedAddress = async () =>
      (await send(service, `GET /v1/secret-keys/${key.id}`, owner)).body.secretKey.lastUsedAddress;
    await expect.poll(lastUsedAddress, { timeout: 5000 }).toBe("198.51.100.77");
  });

  test("is written as IPv4 when the connection is IPv4, on a socket that takes both", async () => {
    const both = await startTestService({ host: "::" });
    try {
      const url = both.url.replace("[::]", "127.0.0.1");
      const key = await send({ url }, "POST /v1/secret-keys", {
        headers: bearer(both.secretKey),
        body: { name: "local", allowedAddresses: ["127.0.0.1"] },
      });
      expect((await send({ url }, "GET /v1/me", { headers: bearer(key.body.secretKey.value) })).status).toBe(200);
      const audit = await send({ url }, "GET /v1/audit?limit=1", { headers: bearer(both.secretKey) });
      expect(audit.body.events[0].address).toBe("127.0.0.1");
    } finally {
      await both.close();
    }
  });
});
