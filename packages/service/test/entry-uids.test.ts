import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openDatabase } from "../src/db/database.ts";
import { Partitions } from "../src/logs/engines/postgres/partitions.ts";
import { LogWriter } from "../src/logs/engines/postgres/writer.ts";
import { type NormalisedEntry, normaliseEntry } from "../src/logs/ingest/entry.ts";
import type { LogBatch } from "../src/logs/log-store.ts";
import { bearer, queryDatabase, send, startTestService, type TestService } from "./support/index.ts";

let service: TestService;
let replica: TestService;
beforeAll(async () => {
  service = await startTestService();
  replica = await startTestService({ databaseUrl: service.databaseUrl, ...service.keyrings });
});
afterAll(async () => {
  await replica.close();
  await service.close();
});

function intake(
  body: unknown,
  { to = service, headers = {} }: { to?: TestService; headers?: Record<string, string> } = {},
) {
  return send(to, "POST /v1/logs", { headers: { "x-sazabi-key": service.publicKey, ...headers }, body });
}

async function stored(message: string): Promise<number> {
  const { rows } = await queryDatabase(service.databaseUrl, "select count(*)::int as n from logs where message = $1", [
    message,
  ]);
  return rows[0].n;
}

describe("an entry with an id of its sender's", () => {
  test("is stored once, however often it is sent, and every sending is accepted", async () => {
    const one = { message: "once", "log.record.uid": "uid-1" };
    expect((await intake(one)).body.data).toEqual({ accepted: 1 });
    expect((await intake(one)).body.data).toEqual({ accepted: 1, duplicates: 1 });
    expect((await intake([one, { message: "beside it" }])).body.data).toEqual({ accepted: 2, duplicates: 1 });
    expect(await stored("once")).toBe(1);
    expect(await stored("beside it")).toBe(1);
  });

  test("is stored once when a body holds it twice, also nested", async () => {
    const flat = { message: "twice", "log.record.uid": "uid-2" };
    const nested = { message: "nested twice", attributes: { log: { record: { uid: "uid-2" } } } };
    expect((await intake([flat, flat, nested, nested])).body.data).toEqual({ accepted: 4, duplicates: 2 });
    expect([await stored("twice"), await stored("nested twice")]).toEqual([1, 1]);
  });

  test("is stored, whatever a stranger sent before with the same public key and the same id", async () => {
    const uid = { "log.record.uid": "guessed" };
    await intake({ message: "not the real one", ...uid });
    expect((await intake({ message: "PAYMENT RECEIVED", ...uid })).body.data).toEqual({ accepted: 1 });
    expect((await intake({ message: "PAYMENT RECEIVED", ...uid })).body.data).toEqual({ accepted: 1, duplicates: 1 });
    expect(await stored("PAYMENT RECEIVED")).toBe(1);
  });

  test("is stored, whatever a stranger sent with the same Idempotency-Key and another public key", async () => {
    const headers = { "idempotency-key": "guessed" };
    const { value } = (
      await send(service, "POST /v1/public-keys", {
        headers: bearer(service.secretKey),
        body: { name: "stranger", projectId: service.projectId },
      })
    ).body.publicKey;
    const stranger = { ...headers, "x-sazabi-key": value };
    expect((await intake({ message: "of a stranger" }, { headers: stranger })).status).toBe(202);
    expect((await intake({ message: "of the owner" }, { headers })).body.data).toEqual({ accepted: 1 });
    expect((await intake({ message: "of the owner" }, { headers })).body.data).toEqual({ accepted: 1 });
    expect(await stored("of the owner")).toBe(1);
    expect((await intake({ message: "something else" }, { headers })).status).toBe(409);
  });

  test("is found by it", async () => {
    await intake({ message: "to be found", "log.record.uid": "uid-3" });
    const body = { search: { query: "log.record.uid:uid-3" } };
    const found = await send(service, "POST /v1/logs/query", { headers: bearer(service.secretKey), body });
    expect(found.body.data.map((log: { message: string }) => log.message)).toEqual(["to be found"]);
  });

  test("is stored once when it comes to two processes at the same time, in any order", async () => {
    const entries = Array.from({ length: 200 }, (_, index) => ({
      message: "raced",
      "log.record.uid": `race-${index}`,
    }));
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, index) => {
        const body = index % 2 === 0 ? entries : [...entries].reverse();
        return intake(body, { to: index % 4 < 2 ? service : replica });
      }),
    );
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 202));
    const duplicates = answers.reduce((sum, { body }) => sum + (body.data.duplicates ?? 0), 0);
    expect(duplicates).toBe(19 * 200);
    expect(await stored("raced")).toBe(200);
    const { rows } = await queryDatabase(
      service.databaseUrl,
      "select sum(entries)::int as n from log_volume_complete v where exists (select from logs l where l.message = 'raced' and l.project_number = v.project_number)",
    );
    const { rows: all } = await queryDatabase(service.databaseUrl, "select count(*)::int as n from logs");
    expect(rows[0].n).toBe(all[0].n);
  });

  test("with an Idempotency-Key as well, a retry gets the answer of the first sending", async () => {
    const headers = { "idempotency-key": "both" };
    await intake({ message: "both", "log.record.uid": "uid-4" });
    const body = [{ message: "both" }, { message: "both", "log.record.uid": "uid-4" }];
    expect((await intake(body, { headers })).body.data).toEqual({ accepted: 2, duplicates: 1 });
    expect((await intake(body, { headers })).body.data).toEqual({ accepted: 2, duplicates: 1 });
    expect(await stored("both")).toBe(2);
  });

  test.each([
    ["a plain id without a time", { id: "same" }],
    ["a plain id with a time that is none", { id: "same", timestamp: "yesterday" }],
    ["a plain id that is nested", { timestamp: "2026-01-01T00:00:00.000Z", attributes: { id: "same" } }],
    ["a plain id that is empty", { timestamp: "2026-01-01T00:00:00.000Z", id: "" }],
    ["a plain id that is an object", { timestamp: "2026-01-01T00:00:00.000Z", id: { id: "same" } }],
    ["a plain id of more than 200 characters", { timestamp: "2026-01-01T00:00:00.000Z", id: "x".repeat(201) }],
    ["a number", { "log.record.uid": 7 }],
    ["an empty one", { "log.record.uid": "" }],
    ["one of more than 200 characters", { "log.record.uid": "x".repeat(201) }],
  ])("%s is an attribute like others, and swallows nothing", async (name, members) => {
    for (let sent = 0; sent < 2; sent++) {
      expect((await intake({ message: name, ...members })).body.data).toEqual({ accepted: 1 });
    }
    expect(await stored(name)).toBe(2);
  });

  test("is another one in another project", async () => {
    const { id } = (
      await send(service, "POST /v1/projects", { headers: bearer(service.secretKey), body: { name: "other" } })
    ).body.project;
    const made = await send(service, "POST /v1/public-keys", {
      headers: bearer(service.secretKey),
      body: { name: "other", projectId: id },
    });
    const one = { message: "of two projects", "log.record.uid": "uid-1" };
    const headers = { "x-sazabi-key": made.body.publicKey.value };
    expect((await intake(one, { headers })).body.data).toEqual({ accepted: 1 });
    expect(await stored("of two projects")).toBe(1);
  });
});

describe("an entry with a plain id and a time of its own", () => {
  const time = new Date(Date.now() - 60_000).toISOString();
  const sent = (message: string, more: object = {}) => ({ id: "order-7", timestamp: time, message, ...more });

  test("is stored once when all of it is sent again, in whatever body, and keeps its id as an attribute", async () => {
    const one = sent("order paid", { attributes: { total: 12.5 } });
    const line = JSON.stringify(one);
    expect((await intake(one)).body.data).toEqual({ accepted: 1 });
    for (const [body, type] of [
      [[one], "application/json"],
      [{ logs: [one] }, "application/json"],
      [`${line}\n`, "application/x-ndjson"],
      [`${line}\n`, "text/plain"],
    ] as const) {
      const answer = await intake(body, { headers: { "content-type": type } });
      expect(answer.body.data).toEqual({ accepted: 1, duplicates: 1 });
    }
    const body = { search: { query: "id:order-7 paid" } };
    const found = await send(service, "POST /v1/logs/query", { headers: bearer(service.secretKey), body });
    expect(found.body.data).toMatchObject([{ message: "order paid", attributes: { id: "order-7", total: 12.5 } }]);
  });

  test("is kept beside every other of its id: of another moment, message or attribute", async () => {
    const entries = [
      sent("two logs"),
      // Of one microsecond: what was sent tells them apart, though what is stored does not.
      sent("two logs", { timestamp: time.replace("Z", "000001Z") }),
      sent("two logs", { timestamp: time.replace("Z", "000002Z") }),
      sent("two logs", { step: 1 }),
      sent("two logs", { step: "1" }),
      sent("two logs", { level: "warn" }),
      sent("two logs", { id: 7 }),
      sent("two logs", { id: "7" }),
    ];
    expect((await intake(entries)).body.data).toEqual({ accepted: entries.length });
    expect((await intake([...entries].reverse())).body.data).toEqual({
      accepted: entries.length,
      duplicates: entries.length,
    });
    expect(await stored("two logs")).toBe(entries.length);
  });

  test("is kept beside one that differs only in what intake cuts off", async () => {
    const long = "x".repeat(300_000);
    for (const end of ["a", "b"]) {
      expect((await intake(sent(`cut ${long}${end}`))).body.data).toEqual({ accepted: 1 });
    }
    const { rows } = await queryDatabase(
      service.databaseUrl,
      "select count(*)::int as n, count(distinct message)::int as messages from logs where message like 'cut xxx%'",
    );
    expect(rows[0]).toEqual({ n: 2, messages: 1 });
  });

  test("is stored once when a retry reaches two processes at the same time", async () => {
    const entries = Array.from({ length: 100 }, (_, id) => sent("raced by id", { id }));
    const answers = await Promise.all(
      Array.from({ length: 10 }, (_, index) => intake(entries, { to: index % 2 === 0 ? service : replica })),
    );
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 202));
    expect(await stored("raced by id")).toBe(100);
  });

  test("with a log.record.uid as well is known by both", async () => {
    const uid = { "log.record.uid": "of-order-7" };
    await intake(sent("by uid", uid));
    expect((await intake(sent("by uid", uid))).body.data).toEqual({ accepted: 1, duplicates: 1 });
    expect((await intake(sent("by uid", { ...uid, attempt: 2 }))).body.data).toEqual({ accepted: 1 });
  });
});

describe("a project that floods", () => {
  const entry = normaliseEntry({ message: "x".repeat(200) }, Date.now(), 86_400_000) as NormalisedEntry;
  const batch = (projectNumber: number): LogBatch => ({
    projectNumber,
    entries: Array.from({ length: 100 }, () => entry),
    bytes: 100 * entry.bytes,
    result: { accepted: 100 },
  });

  test("is refused when the queue is full, while a small one is taken, and is stored in its turn", async () => {
    const db = openDatabase({ url: service.databaseUrl, connections: 3 });
    const limits = { lanes: 1, rowsPerCommit: 1_000, queueBytes: 50 * batch(1).bytes };
    const writer = new LogWriter({ db, partitions: new Partitions(db, 30), limits, onStored: () => {} });
    let refused = 0;
    const flood: Promise<unknown>[] = [];
    let flooded = 0;
    for (let sent = 0; sent < 100; sent++) {
      try {
        flood.push(writer.append(batch(1)).then(() => flooded++));
      } catch (error) {
        expect(error).toMatchObject({ code: "RATE_LIMIT_EXCEEDED" });
        refused += 1;
      }
    }
    expect(refused).toBe(50);
    await writer.append(batch(2));
    // Its turn came before the flood's was over.
    expect(flooded).toBeLessThan(50);
    await Promise.all(flood);
    await writer.drain();
    await db.close();
  });

  test("over its bytes a second is answered 429 with the time to wait, and nothing of the request is stored", async () => {
    const small = await startTestService({
      databaseUrl: service.databaseUrl,
      ...service.keyrings,
      intakeBytesPerSecond: 1024,
    });
    const answers = await Promise.all(
      Array.from({ length: 8 }, () => intake({ message: `metered ${"x".repeat(4000)}` }, { to: small })),
    );
    const accepted = answers.filter(({ status }) => status === 202);
    const refused = answers.filter(({ status }) => status === 429);
    expect(accepted.length).toBeGreaterThan(0);
    expect(refused.length).toBeGreaterThan(0);
    expect(accepted.length + refused.length).toBe(8);
    for (const { headers, body } of refused) {
      expect(Number(headers.get("retry-after"))).toBeGreaterThan(0);
      expect(body.message).toContain("Nothing of this request was stored");
    }
    expect(await stored(`metered ${"x".repeat(4000)}`)).toBe(accepted.length);
    await small.close();
  });
});
