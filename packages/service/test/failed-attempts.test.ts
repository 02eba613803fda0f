import { randomInt } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { makeKey } from "@sazabi/sdk/protocol";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createAuditedTransaction } from "../src/audited-transaction.ts";
import { FailedAttempts } from "../src/auth/rate-limit/failed-attempts.ts";
import { KeyVerifier } from "../src/auth/verify/verifier.ts";
import { type Database, openDatabase } from "../src/db/database.ts";
import { newSecret } from "../src/keys/generate.ts";
import { insertKey, updateKey } from "../src/keys/store/keys.ts";
import { addressList } from "../src/net/ip-ranges.ts";
import { insertOrganization } from "../src/organizations/store.ts";
import { testAuthor } from "./support/author.ts";
import { type FreshDatabase, freshDatabase } from "./support/database.ts";
import { bearer, send, startTestService } from "./support/index.ts";
import { newKeyring } from "./support/keyring.ts";
import { openCuttableProxy } from "./support/proxy.ts";

const unknownKey = () => makeKey("secret", "live", randomInt);
const manyUnknown = (count: number) => Array.from({ length: count }, unknownKey);

describe("over HTTP, from addresses behind a trusted proxy", () => {
  const trustedProxies = addressList(["127.0.0.0/8"]);

  function askFrom(service: { url: string }, address: string, key: string) {
    return send(service, "GET /v1/me", { headers: { ...bearer(key), "x-forwarded-for": address } });
  }

  test("an address that sends keys nobody has is turned away before the database is asked; known keys are not", async () => {
    const database = await freshDatabase();
    const proxy = await openCuttableProxy(database.url);
    const service = await startTestService({ databaseUrl: proxy.url, trustedProxies });
    try {
      expect((await askFrom(service, "192.0.2.1", service.secretKey)).status).toBe(200);
      const answers = [];
      // Ten a second are forgotten meanwhile: on a slow machine it takes more of them.
      for (const key of manyUnknown(1_000)) {
        answers.push(await askFrom(service, "192.0.2.1", key));
        if (answers.at(-1)?.status === 429) break;
      }
      const statuses = answers.map(({ status }) => status);
      expect(statuses.slice(0, 100)).toEqual(Array(100).fill(401));
      const refused = answers.find(({ status }) => status === 429);
      expect(refused).toMatchObject({
        body: {
          code: "RATE_LIMIT_EXCEEDED",
          message: expect.stringMatching(/^Too many requests\. Please retry after \d+ seconds\./),
        },
      });
      expect(Number(refused?.headers.get("retry-after"))).toBe(refused?.body.retryAfterSeconds);

      // The owner of a key is not locked out by what a neighbour sends.
      expect((await askFrom(service, "192.0.2.1", service.secretKey)).status).toBe(200);
      expect((await askFrom(service, "192.0.2.2", unknownKey())).status).toBe(401);

      // Many at once, when one may be asked about: what is under way counts, too, and the address is in debt for seconds.
      await sleep(150);
      await Promise.all(manyUnknown(60).map((key) => askFrom(service, "192.0.2.1", key)));
      proxy.cut();
      expect((await askFrom(service, "192.0.2.1", unknownKey())).status).toBe(429);
      expect((await askFrom(service, "192.0.2.3", unknownKey())).status).toBe(503);
      proxy.restore();
      // Also when it is not in memory any more: it was met before.
      await expect
        .poll(async () => (await askFrom(service, "192.0.2.1", service.secretKey)).status, { timeout: 10_000 })
        .toBe(200);
    } finally {
      await service.close();
      await proxy.close();
      await database.drop();
    }
  });

  test("addresses of one IPv6 /64 count as one", async () => {
    const service = await startTestService({ trustedProxies });
    try {
      const statuses = [];
      for (const [index, key] of manyUnknown(1_000).entries()) {
        statuses.push((await askFrom(service, `2001:db8:1:2::${index.toString(16)}`, key)).status);
        if (statuses.at(-1) === 429) break;
      }
      expect(statuses).toContain(429);
      expect((await askFrom(service, "2001:db8:1:3::1", unknownKey())).status).toBe(401);
    } finally {
      await service.close();
    }
  });
});

describe("attempts", () => {
  function attempts() {
    let now = 0;
    const failures = new FailedAttempts(() => now);
    const allowed = (address: string) => {
      try {
        failures.refuseTooMany(address);
        return true;
      } catch {
        return false;
      }
    };
    return { failures, allowed, pass: (ms: number) => (now += ms) };
  }

  test("are 100 at once and 10 a second; what was under way beyond them is counted, up to as many again", () => {
    const { failures, allowed, pass } = attempts();
    for (let count = 0; count < 100; count++) {
      expect(allowed("192.0.2.1")).toBe(true);
      failures.countUnknown("192.0.2.1");
    }
    expect(allowed("192.0.2.1")).toBe(false);
    pass(99);
    expect(allowed("192.0.2.1")).toBe(false);
    pass(1);
    expect(allowed("192.0.2.1")).toBe(true);
    for (let count = 0; count < 10_000; count++) failures.countUnknown("192.0.2.1");
    pass(10_000);
    expect(allowed("192.0.2.1")).toBe(false);
    pass(100);
    expect(allowed("192.0.2.1")).toBe(true);
  });

  test("with a text that is no key weigh a tenth", () => {
    const { failures, allowed } = attempts();
    for (let count = 0; count < 990; count++) failures.countMalformed("192.0.2.1");
    expect(allowed("192.0.2.1")).toBe(true);
    failures.countMalformed("192.0.2.1");
    failures.countMalformed("192.0.2.2");
    expect(() => failures.countMalformed("192.0.2.1")).toThrow("Too many requests");
    expect(allowed("192.0.2.2")).toBe(true);
  });

  test("are remembered of 100,000 addresses; the one that failed longest ago is forgotten first", () => {
    const { failures, allowed } = attempts();
    for (const address of ["192.0.2.1", "192.0.2.2"]) {
      for (let count = 0; count < 200; count++) failures.countUnknown(address);
    }
    failures.countUnknown("192.0.2.1");
    const fill = 100_000 - 1;
    for (let index = 0; index < fill; index++)
      failures.countUnknown(`10.${index >> 16}.${(index >> 8) & 255}.${index & 255}`);
    expect(allowed("192.0.2.2")).toBe(true);
    expect(allowed("192.0.2.1")).toBe(false);
  });
});

describe("keys that nobody has", () => {
  let database: FreshDatabase;
  let db: Database;
  let organizationId: string;
  let statements = 0;
  const pepper = newKeyring();
  beforeAll(async () => {
    database = await freshDatabase();
    db = openDatabase({ url: database.url, connections: 5 });
    organizationId = (await insertOrganization(db, { name: "o", slug: "o" }))?.id as string;
  });
  afterAll(async () => {
    await db.close();
    await database.drop();
  });

  async function openCounted() {
    const counted: Database = {
      ...db,
      query<Row>(statement: Parameters<Database["query"]>[0]) {
        statements += 1;
        return db.query<Row>(statement);
      },
    };
    const directory = new KeyVerifier({ url: database.url, db: counted, pepper });
    await directory.open();
    statements = 0;
    return directory;
  }

  async function storeKey(value = newSecret(pepper, "secret", "live")) {
    const common = {
      organizationId,
      projectId: undefined,
      kind: "secret",
      style: "live",
      name: "k",
      scopes: ["*"],
    } as const;
    const { id } = await insertKey(db, { ...common, expiresAt: undefined, createdBy: undefined }, value);
    return { id, value: value.value };
  }

  test("are asked of the database once a second each, and again as soon as any key changes", async () => {
    const directory = await openCounted();
    const other = await storeKey();
    const key = unknownKey();
    for (let count = 0; count < 20; count++) expect(await directory.find(key)).toBeUndefined();
    expect(statements).toBe(1);
    await createAuditedTransaction(db, directory)(testAuthor(organizationId), (tx) =>
      updateKey(tx, { organizationId }, "secret", other.id, { name: "n" }),
    );
    statements = 0;
    await directory.find(key);
    await directory.find(key);
    expect(statements).toBe(1);
    await sleep(1050);
    await directory.find(key);
    expect(statements).toBe(2);
    await directory.close();
  });

  test("that somebody has a moment later are found within a second", async () => {
    const directory = await openCounted();
    const secret = newSecret(pepper, "secret", "live");
    expect(await directory.find(secret.value)).toBeUndefined();
    const { id } = await storeKey(secret);
    await sleep(1050);
    expect(await directory.find(secret.value)).toMatchObject({ keyId: id });
    await directory.close();
  });
});
