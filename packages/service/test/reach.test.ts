import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { bearer, send, startTestService, type TestService } from "./support/index.ts";

/* A key can hand out nothing that does more than itself, for longer, or more often; and changes nothing that does. */

let service: TestService;
let owner: Record<string, string>;
beforeAll(async () => {
  service = await startTestService();
  owner = bearer(service.secretKey);
});
afterAll(() => service.close());

interface MadeKey {
  readonly id: string;
  readonly value: string;
  readonly expiresAt: string | null;
}

async function create(body: object, headers = owner): Promise<MadeKey> {
  const made = await send(service, "POST /v1/secret-keys", { headers, body: { name: "reach", ...body } });
  expect(made.status).toBe(201);
  return made.body.secretKey;
}

const inMinutes = (minutes: number) => new Date(Date.now() + minutes * 60_000).toISOString();
const digest = () => `${Date.now()}${Math.random()}`.replace(/\D/g, "").padEnd(64, "0").slice(0, 64);
const forbidden = (sentence: string) => ({
  status: 403,
  body: { reason: "missing_scope", message: expect.stringContaining(sentence) },
});

/** Every way to a secret key that works: each takes what it shall be, and the headers of who asks. */
async function waysTo(what: object, headers: Record<string, string>) {
  const plain = await create({ expiresAt: inMinutes(1), requestsPerMinute: 1 });
  const beyond = await create(what);
  const imported = { kind: "secret", name: "reach", prefix: "acme_", sha256: digest(), ...what };
  return {
    created: await send(service, "POST /v1/secret-keys", { headers, body: { name: "reach", ...what } }),
    imported: await send(service, "POST /v1/keys/import", { headers, body: { keys: [imported] } }),
    changed: await send(service, `PATCH /v1/secret-keys/${plain.id}`, { headers, body: what }),
    renamed: await send(service, `PATCH /v1/secret-keys/${beyond.id}`, { headers, body: { name: "mine" } }),
    rotated: await send(service, `POST /v1/secret-keys/${beyond.id}/rotate`, { headers, body: {} }),
  };
}

describe("a key that expires", () => {
  test.each([
    ["that never ends", { expiresAt: null }],
    ["that ends later", { expiresAt: inMinutes(120) }],
  ])("cannot create, import, change or rotate one %s", async (_, what) => {
    const temporary = await create({ expiresAt: inMinutes(60) });
    for (const [how, answer] of Object.entries(await waysTo(what, bearer(temporary.value)))) {
      expect({ how, ...answer }).toMatchObject({ how, ...forbidden(`This key expires at ${temporary.expiresAt}`) });
    }
  });

  test("makes keys that end with it when none is named, and such as end before", async () => {
    const maker = await create({ expiresAt: inMinutes(60) });
    const headers = bearer(maker.value);
    expect((await create({}, headers)).expiresAt).toBe(maker.expiresAt);
    const refused = await send(service, "POST /v1/secret-keys", { headers, body: { name: "x", expiresIn: "never" } });
    expect(refused).toMatchObject(forbidden("Give expiresAt or expiresIn"));
    await create({ expiresIn: "15m" }, headers);
    await create({ expiresAt: inMinutes(59) }, headers);
  });

  test("cannot take its own expiry away, but renames and rotates itself", async () => {
    const { id, value, expiresAt } = await create({ expiresAt: inMinutes(60) });
    const change = (body: object) => send(service, `PATCH /v1/secret-keys/${id}`, { headers: bearer(value), body });
    expect(await change({ expiresAt: null })).toMatchObject({ status: 403 });
    expect(await change({ expiresAt: inMinutes(61) })).toMatchObject({ status: 403 });
    expect(await change({ name: "still me", expiresAt })).toMatchObject({ status: 200 });
    const rotated = await send(service, `POST /v1/secret-keys/${id}/rotate`, { headers: bearer(value), body: {} });
    expect(rotated).toMatchObject({ status: 201, body: { secretKey: { expiresAt } } });
  });
});

describe("a key with a limit of its own", () => {
  test.each([
    ["with a higher one", { requestsPerMinute: 78 }],
    ["with the default, which is higher", { requestsPerMinute: null }],
  ])("cannot create, import, change or rotate one %s", async (_, what) => {
    const headers = bearer((await create({ requestsPerMinute: 77 })).value);
    for (const [how, answer] of Object.entries(await waysTo(what, headers))) {
      expect({ how, ...answer }).toMatchObject({ how, ...forbidden("This key may make 77 requests a minute") });
    }
  });

  test("hands out the same or a lower one, and above the default also keys without one", async () => {
    await create({ requestsPerMinute: 77 }, bearer((await create({ requestsPerMinute: 77 })).value));
    await create({}, bearer((await create({ requestsPerMinute: 5000 })).value));
  });

  test("cannot lift its own", async () => {
    const { id, value } = await create({ requestsPerMinute: 77 });
    for (const requestsPerMinute of [78, null]) {
      const body = { requestsPerMinute };
      expect(await send(service, `PATCH /v1/secret-keys/${id}`, { headers: bearer(value), body })).toMatchObject({
        status: 403,
      });
    }
  });
});

test("a change needs as much reach as a rotation, whatever it changes", async () => {
  const everything = await create({});
  const scoped = bearer((await create({ scopes: ["write:keys"] })).value);
  const fenced = bearer((await create({ allowedAddresses: ["127.0.0.1", "::1"] })).value);
  const rename = (headers: Record<string, string>) =>
    send(service, `PATCH /v1/secret-keys/${everything.id}`, { headers, body: { name: "taken", expiresAt: null } });
  expect(await rename(scoped)).toMatchObject({ status: 403, body: { reason: "missing_scope" } });
  expect(await rename(fenced)).toMatchObject({ status: 403, body: { reason: "address_not_allowed" } });
  expect(await rename(owner)).toMatchObject({ status: 200 });
});

describe("public keys of a key that expires and is fenced", () => {
  const body = { name: "browser" };
  const publicKeys = (headers: Record<string, string>, body: object) =>
    send(service, "POST /v1/public-keys", { headers, body });

  test("get its end and its fence when the request names none", async () => {
    const allowedAddresses = ["127.0.0.1", "::1"];
    const maker = await create({ expiresAt: inMinutes(60), allowedAddresses });
    const { expiresAt } = maker;
    expect(await publicKeys(bearer(maker.value), body)).toMatchObject({
      status: 201,
      body: { publicKey: { expiresAt, allowedAddresses } },
    });
    expect(await publicKeys(owner, body)).toMatchObject({
      status: 201,
      body: { publicKey: { expiresAt: null, allowedAddresses: [] } },
    });
  });

  test.each([
    ["without an end", { expiresAt: null }, "missing_scope"],
    ["with a later end", { expiresAt: inMinutes(120) }, "missing_scope"],
    ["for any address", { allowedAddresses: [] }, "address_not_allowed"],
    ["for another address", { allowedAddresses: ["203.0.113.9"] }, "address_not_allowed"],
  ])("are not made, imported or changed %s", async (_, wider, reason) => {
    const maker = bearer((await create({ expiresAt: inMinutes(60), allowedAddresses: ["127.0.0.1", "::1"] })).value);
    const narrow = { expiresAt: inMinutes(50), allowedAddresses: ["127.0.0.1"] };
    const imported = { kind: "public", prefix: "browser_", sha256: "cd".repeat(32), ...body, ...narrow, ...wider };
    const { id } = (await publicKeys(maker, { ...body, ...narrow })).body.publicKey;
    const answers = {
      made: await publicKeys(maker, { ...body, ...wider }),
      imported: await send(service, "POST /v1/keys/import", { headers: maker, body: { keys: [imported] } }),
      changed: await send(service, `PATCH /v1/public-keys/${id}`, { headers: maker, body: wider }),
    };
    for (const [how, answer] of Object.entries(answers)) {
      expect({ how, ...answer }).toMatchObject({ how, status: 403, body: { reason } });
    }
  });

  test("that are wider than it are not changed at all", async () => {
    const maker = bearer((await create({ expiresAt: inMinutes(60), allowedAddresses: ["127.0.0.1", "::1"] })).value);
    const { id } = (await publicKeys(owner, body)).body.publicKey;
    for (const change of [{ allowedOrigins: [] }, { requestsPerMinute: null }, { name: "taken" }]) {
      const answer = await send(service, `PATCH /v1/public-keys/${id}`, { headers: maker, body: change });
      expect(answer, JSON.stringify(change)).toMatchObject({ status: 403 });
    }
  });
});

test("deletions, changes and rotations of an organization's keys, all at once, all succeed", async () => {
  const keys = await Promise.all(Array.from({ length: 80 }, () => create({})));
  const answers = await Promise.all(
    keys.map(({ id }, index) => {
      if (index < 20) return send(service, `DELETE /v1/secret-keys/${id}`, { headers: owner });
      if (index < 60) {
        return send(service, `PATCH /v1/secret-keys/${id}`, { headers: owner, body: { name: `renamed ${index}` } });
      }
      return send(service, `POST /v1/secret-keys/${id}/rotate`, { headers: owner, body: {} });
    }),
  );
  const count = (status: number) => answers.filter((answer) => answer.status === status).length;
  expect([count(204), count(200), count(201)]).toEqual([20, 40, 20]);
});
