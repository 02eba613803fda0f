import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { bearer, queryDatabase, send, startTestService, type TestService } from "./support/index.ts";

let service: TestService;
let owner: { headers: Record<string, string> };
beforeAll(async () => {
  service = await startTestService();
  owner = { headers: bearer(service.secretKey) };
});
afterAll(() => service.close());

interface MadeKey {
  readonly id: string;
  readonly value: string;
}

async function create(body: object = {}): Promise<MadeKey> {
  const made = await send(service, "POST /v1/secret-keys", { ...owner, body: { name: "rotating", ...body } });
  return made.body.secretKey;
}

function rotate(id: string, body: object, headers: Record<string, string> = {}) {
  return send(service, `POST /v1/secret-keys/${id}/rotate`, { headers: { ...owner.headers, ...headers }, body });
}

const use = async (key: string) => send(service, "GET /v1/me", { headers: bearer(key) });

describe("rotation", () => {
  test("the key stays itself: same id, name, scopes, limit; both secrets work during the grace", async () => {
    const key = await create({ scopes: ["read:logs"], requestsPerMinute: 77, expiresIn: "7d" });
    const rotated = await rotate(key.id, { graceSeconds: 60 });
    expect(rotated.status).toBe(201);
    const { value, rotation, ...rest } = rotated.body.secretKey;
    expect(rest).toMatchObject({ id: key.id, name: "rotating", scopes: ["read:logs"], requestsPerMinute: 77 });
    expect(value).not.toBe(key.value);
    expect(rotation.previousMasked).toBe(`sk_live_…${key.value.slice(-4)}`);
    for (const secret of [key.value, value]) {
      expect(await use(secret)).toMatchObject({ status: 200, body: { key: { id: key.id } } });
    }
  });

  test("with no grace the old secret is dead when the call answers", async () => {
    const key = await create();
    expect((await use(key.value)).status).toBe(200);
    const rotated = await rotate(key.id, { graceSeconds: 0 });
    expect(await use(key.value)).toMatchObject({ status: 401, body: { reason: "revoked_api_key" } });
    expect((await use(rotated.body.secretKey.value)).status).toBe(200);
  });

  test("the old secret dies at its deadline, though it is in the cache", async () => {
    const key = await create();
    const rotated = await rotate(key.id, { graceSeconds: 1 });
    const deadline = Date.parse(rotated.body.secretKey.rotation.previousExpiresAt);
    expect((await use(key.value)).status).toBe(200);
    await sleep(deadline - Date.now() + 50);
    expect((await use(key.value)).status).toBe(401);
    expect((await use(rotated.body.secretKey.value)).status).toBe(200);
  });

  test("finish ends the grace at once, cancel makes the old secret the only one again", async () => {
    const finished = await create();
    const first = (await rotate(finished.id, { graceSeconds: 600 })).body.secretKey;
    await use(finished.value);
    const finish = await send(service, `POST /v1/secret-keys/${finished.id}/rotate/finish`, owner);
    expect(finish.body.secretKey.rotation).toBeNull();
    expect([(await use(finished.value)).status, (await use(first.value)).status]).toEqual([401, 200]);

    const cancelled = await create();
    const second = (await rotate(cancelled.id, { graceSeconds: 600 })).body.secretKey;
    await use(second.value);
    await send(service, `POST /v1/secret-keys/${cancelled.id}/rotate/cancel`, owner);
    expect([(await use(cancelled.value)).status, (await use(second.value)).status]).toEqual([200, 401]);
    const again = await rotate(cancelled.id, { graceSeconds: 0 });
    expect((await use(again.body.secretKey.value)).status).toBe(200);
  });

  test("finish with a grace lets the old secret end sooner than it would have, never later", async () => {
    const { id, value } = await create();
    const rotated = (await rotate(id, { graceSeconds: 600 })).body.secretKey;
    await use(value);
    const finish = (seconds: number | string) =>
      send(service, `POST /v1/secret-keys/${id}/rotate/finish?graceSeconds=${seconds}`, owner);
    const until = async (seconds: number) =>
      Date.parse((await finish(seconds)).body.secretKey.rotation.previousExpiresAt);
    expect(await until(900)).toBe(Date.parse(rotated.rotation.previousExpiresAt));
    expect(await until(60)).toBeLessThan(Date.parse(rotated.rotation.previousExpiresAt) - 500_000);
    expect([(await use(value)).status, (await use(rotated.value)).status]).toEqual([200, 200]);
    await sleep((await until(1)) - Date.now() + 50);
    expect([(await use(value)).status, (await use(rotated.value)).status]).toEqual([401, 200]);
    expect((await finish(60)).status).toBe(409);
    const { body } = await send(service, `GET /v1/audit?targetId=${id}`, owner);
    expect(body.events.map(({ action }: { action: string }) => action)).toContain("secret_key.rotation_shortened");
  });

  test.each(["", "-1", "1.5", "soon", `${31 * 86_400}`])(
    "finish with the grace %j is refused",
    async (graceSeconds) => {
      const { id, value } = await create();
      await rotate(id, { graceSeconds: 600 });
      const path = `/v1/secret-keys/${id}/rotate/finish?graceSeconds=${graceSeconds}`;
      expect((await send(service, `POST ${path}`, owner)).status).toBe(400);
      expect((await use(value)).status).toBe(200);
    },
  );

  test("a second rotation waits for the first; finish and cancel want one", async () => {
    const key = await create();
    const nothing = await send(service, `POST /v1/secret-keys/${key.id}/rotate/finish`, owner);
    expect(nothing).toMatchObject({ status: 409, body: { code: "CONFLICT" } });
    await rotate(key.id, { graceSeconds: 600 });
    expect(await rotate(key.id, { graceSeconds: 600 })).toMatchObject({ status: 409 });
  });

  test("ten rotations at the same moment give one new secret", async () => {
    const key = await create();
    const answers = await Promise.all(Array.from({ length: 10 }, () => rotate(key.id, { graceSeconds: 600 })));
    expect(answers.filter(({ status }) => status === 201)).toHaveLength(1);
    expect(answers.filter(({ status }) => status === 409)).toHaveLength(9);
  });

  test("uses of the two secrets are counted apart, so it shows who still has the old one", async () => {
    const key = await create();
    for (let index = 0; index < 3; index++) await use(key.value);
    const { value } = (await rotate(key.id, { graceSeconds: 600 })).body.secretKey;
    for (let index = 0; index < 2; index++) await use(value);
    await use(key.value);
    const rotation = async () => (await send(service, `GET /v1/secret-keys/${key.id}`, owner)).body.secretKey.rotation;
    await expect.poll(rotation, { timeout: 30_000 }).toMatchObject({
      currentUses: 2,
      previousUses: 4,
      previousLastUsedAddress: expect.stringContaining("127.0.0.1"),
    });
  });

  test.each([["with the same Idempotency-Key"], ["at the same moment"]])(
    "a retried rotation %s returns the same secret",
    async (how) => {
      const key = await create();
      const headers = { "idempotency-key": `rotate-${key.id}` };
      const retry = () => rotate(key.id, { graceSeconds: 600 }, headers);
      const [first, second] = how.includes("moment")
        ? await Promise.all([retry(), retry()])
        : [await retry(), await retry()];
      expect(first.status).toBe(201);
      expect(second.body).toEqual(first.body);
      expect(await rotate(key.id, { graceSeconds: 5 }, headers)).toMatchObject({ status: 409 });
    },
  );

  test("a caller that was narrowed since gets no stored answer that it could not get anew", async () => {
    const target = await create();
    const caller = await create();
    const headers = { ...bearer(caller.value), "idempotency-key": "replayed" };
    const ask = {
      rotation: () => send(service, `POST /v1/secret-keys/${target.id}/rotate`, { headers, body: { graceSeconds: 0 } }),
      creation: () => send(service, "POST /v1/secret-keys", { headers, body: { name: "replayed" } }),
      publicKey: () => send(service, "POST /v1/public-keys", { headers, body: { name: "replayed" } }),
    };
    const narrow = (body: object) => send(service, `PATCH /v1/secret-keys/${caller.id}`, { ...owner, body });
    for (const replay of Object.values(ask)) expect((await replay()).status).toBe(201);
    for (const replay of Object.values(ask)) expect((await replay()).status).toBe(201);

    // The request names no fence, so it is judged by the caller's; what it made once has none.
    await narrow({ allowedAddresses: ["127.0.0.1", "::1"] });
    for (const replay of Object.values(ask)) {
      expect(await replay()).toMatchObject({ status: 403, body: { reason: "address_not_allowed" } });
    }
    await narrow({ allowedAddresses: [], scopes: ["write:keys"] });
    expect(await ask.rotation()).toMatchObject({ status: 403, body: { reason: "missing_scope" } });
    expect(await ask.creation()).toMatchObject({ status: 403, body: { reason: "missing_scope" } });
    await narrow({ scopes: ["*"], expiresAt: new Date(Date.now() + 3_600_000).toISOString() });
    for (const replay of Object.values(ask)) {
      expect(await replay()).toMatchObject({ status: 403, body: { reason: "missing_scope" } });
    }
  });

  test("a stored answer is judged by what its key may do now", async () => {
    const caller = await create({ scopes: ["write:keys", "read:logs"] });
    const headers = { ...bearer(caller.value), "idempotency-key": "widened" };
    const make = () => send(service, "POST /v1/secret-keys", { headers, body: { name: "x", scopes: ["read:logs"] } });
    const { id } = (await make()).body.secretKey;
    await send(service, `PATCH /v1/secret-keys/${id}`, { ...owner, body: { scopes: ["*"] } });
    expect(await make()).toMatchObject({ status: 403, body: { reason: "missing_scope" } });
  });

  test("a retried creation returns the same key, and what is kept of it is sealed", async () => {
    const headers = { ...owner.headers, "idempotency-key": "create-once" };
    const make = () => send(service, "POST /v1/secret-keys", { headers, body: { name: "once" } });
    const [first, second] = [await make(), await make()];
    expect(second.body).toEqual(first.body);
    const { rows } = await queryDatabase(
      service.databaseUrl,
      "select count(*)::int as kept, count(*) filter (where position($1::bytea in sealed_answer) > 0)::int as open from idempotent_answers",
      [Buffer.from(first.body.secretKey.value.slice(8))],
    );
    expect(rows[0].kept).toBeGreaterThan(0);
    expect(rows[0].open).toBe(0);
  });

  test("public keys rotate the same way", async () => {
    const made = await send(service, "POST /v1/public-keys", { ...owner, body: { name: "browser" } });
    const { id, value } = made.body.publicKey;
    const rotated = await send(service, `POST /v1/public-keys/${id}/rotate`, { ...owner, body: { graceSeconds: 600 } });
    for (const key of [value, rotated.body.publicKey.value]) {
      const sent = await send(service, "POST /v1/logs", { headers: { "x-sazabi-key": key }, body: { message: "x" } });
      expect(sent.status).toBe(202);
    }
  });

  test("a key cannot rotate one that may do more than itself", async () => {
    const powerful = await create();
    const { value } = await create({ scopes: ["write:keys"] });
    const answer = await send(service, `POST /v1/secret-keys/${powerful.id}/rotate`, {
      headers: bearer(value),
      body: {},
    });
    expect(answer).toMatchObject({ status: 403, body: { reason: "missing_scope" } });
  });

  test.each([-1, 0.5, 31 * 86_400, "soon"])("a grace of %s is refused", async (graceSeconds) => {
    const key = await create();
    expect(await rotate(key.id, { graceSeconds })).toMatchObject({ status: 400 });
  });
});

describe("the uses of a key in a rotation", () => {
  const uses = async (id: string) => {
    const { body } = await send(service, `GET /v1/secret-keys/${id}`, owner);
    const { currentUses, previousUses } = body.secretKey.rotation;
    return { currentUses, previousUses };
  };

  test("are exact in every answer, up to the request", async () => {
    for (let round = 1; round <= 5; round++) {
      const key = await create();
      for (let index = 0; index < round * 3; index++) await use(key.value);
      const rotated = (await rotate(key.id, { graceSeconds: 600 })).body.secretKey;
      expect(rotated.rotation.previousUses).toBe(round * 3);
      expect(Date.parse(rotated.lastUsedAt)).toBeLessThanOrEqual(Date.now() + 1000);
      await use(key.value);
      await use(rotated.value);
      await use(rotated.value);
      expect(await uses(key.id)).toEqual({ currentUses: 2, previousUses: round * 3 + 1 });
      await use(key.value);
      const finish = `POST /v1/secret-keys/${key.id}/rotate/finish?graceSeconds=60`;
      const { body } = await send(service, finish, owner);
      expect(body.secretKey.rotation).toMatchObject({ currentUses: 2, previousUses: round * 3 + 2 });
      const usage = await send(service, `GET /v1/keys/${key.id}/usage?interval=1m`, owner);
      const accepted = usage.body.points.map((point: { accepted: number }) => point.accepted);
      expect(accepted.reduce((sum: number, count: number) => sum + count, 0)).toBe(round * 3 + 4);
    }
  });

  test("on other replicas are counted in full", async () => {
    const other = await startTestService({ databaseUrl: service.databaseUrl, ...service.keyrings });
    try {
      const key = await create();
      for (let index = 0; index < 7; index++) await send(other, "GET /v1/me", { headers: bearer(key.value) });
      await use(key.value);
      await rotate(key.id, { graceSeconds: 600 });
      await expect.poll(() => uses(key.id), { timeout: 30_000 }).toEqual({ currentUses: 0, previousUses: 8 });
    } finally {
      await other.close();
    }
  });
});

describe("usage", () => {
  test("requests are counted per key and minute, accepted and refused apart", async () => {
    const key = await create({ scopes: ["read:logs"] });
    for (let index = 0; index < 4; index++) await use(key.value);
    const refused = await send(service, "GET /v1/secret-keys", { headers: bearer(key.value) });
    expect(refused).toMatchObject({ status: 403, body: { reason: "missing_scope" } });
    const usage = async () => {
      const { body } = await send(service, `GET /v1/keys/${key.id}/usage?interval=1m`, owner);
      const sum = (name: string) =>
        body.points.reduce((total: number, point: Record<string, number>) => total + (point[name] ?? 0), 0);
      return { accepted: sum("accepted"), refused: sum("refused") };
    };
    await expect.poll(usage, { timeout: 30_000 }).toEqual({ accepted: 4, refused: 1 });
  });

  test("a limit of its own counts for a key at once, and null takes it away", async () => {
    const key = await create();
    const limitOf = async () => (await use(key.value)).headers.get("x-ratelimit-limit");
    expect(await limitOf()).toBe("1000");
    await send(service, `PATCH /v1/secret-keys/${key.id}`, { ...owner, body: { requestsPerMinute: 5 } });
    expect(await limitOf()).toBe("5");
    await send(service, `PATCH /v1/secret-keys/${key.id}`, { ...owner, body: { requestsPerMinute: null } });
    expect(await limitOf()).toBe("1000");
  });

  test("keys that nobody uses can be found, and revoked together", async () => {
    const old = await startTestService();
    try {
      const headers = bearer(old.secretKey);
      const make = async (name: string) =>
        (await send(old, "POST /v1/secret-keys", { headers, body: { name } })).body.secretKey as MadeKey;
      const [stale, fresh] = [await make("stale"), await make("fresh")];
      await queryDatabase(old.databaseUrl, "update keys set created_at = now() - interval '100 days'");
      await send(old, "GET /v1/me", { headers: bearer(fresh.value) });
      // Somebody still tries a secret that was rotated away: that does not make the key a used one.
      const rotated = await send(old, `POST /v1/secret-keys/${stale.id}/rotate`, {
        headers,
        body: { graceSeconds: 0 },
      });
      const tried = await send(old, "GET /v1/me", { headers: bearer(stale.value) });
      expect([rotated.status, tried.status]).toEqual([201, 401]);
      const lastUse = async () =>
        (await send(old, `GET /v1/secret-keys/${stale.id}`, { headers })).body.secretKey.lastUsedAt;
      await expect.poll(lastUse, { timeout: 30_000 }).not.toBeNull();
      const unused = async () =>
        (await send(old, "GET /v1/secret-keys?unusedForDays=90", { headers })).body.secretKeys.map(
          (key: MadeKey) => key.id,
        );
      await expect.poll(unused, { timeout: 30_000 }).toEqual([stale.id]);
      const answer = await send(old, "POST /v1/keys/revoke-all", {
        headers,
        body: { kind: "secret", unusedForDays: 90 },
      });
      expect(answer.body).toMatchObject({ revokedCount: 1, revoked: [{ id: stale.id }] });
      const alive = await send(old, "GET /v1/me", { headers: bearer(fresh.value) });
      const dead = await send(old, "GET /v1/me", { headers: bearer(rotated.body.secretKey.value) });
      expect([alive.status, dead.status]).toEqual([200, 401]);
    } finally {
      await old.close();
    }
  });
});

test("revoke-all kills every key of the organization at once, except those it is told to spare", async () => {
  const target = await startTestService();
  try {
    const headers = bearer(target.secretKey);
    const made = await Promise.all(
      Array.from({ length: 60 }, (_, index) =>
        send(target, "POST /v1/secret-keys", { headers, body: { name: `key ${index}` } }),
      ),
    );
    const values: string[] = made.map(({ body }) => body.secretKey.value);
    for (const value of values) expect((await send(target, "GET /v1/me", { headers: bearer(value) })).status).toBe(200);
    const answer = await send(target, "POST /v1/keys/revoke-all", {
      headers,
      body: { except: ["caller"], reason: "leak" },
    });
    expect(answer.body.revokedCount).toBe(61);
    for (const value of values) expect((await send(target, "GET /v1/me", { headers: bearer(value) })).status).toBe(401);
    expect((await send(target, "GET /v1/me", { headers })).status).toBe(200);
    const log = { headers: { "x-sazabi-key": target.publicKey }, body: { message: "x" } };
    expect((await send(target, "POST /v1/logs", log)).status).toBe(401);
  } finally {
    await target.close();
  }
});
