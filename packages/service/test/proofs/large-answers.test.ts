import { once } from "node:events";
import { readFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { type FreshDatabase, freshDatabase } from "../support/database.ts";
import { bearer, readMetric, send, startTestService, type TestService } from "../support/index.ts";
import { firstKeys, newServerSecrets, type Replica, startReplica } from "../support/replica.ts";
import { scaled } from "../support/scale.ts";

/* Stored texts may be large, and larger as JSON: whoever has a public key can store them, and others search for them. */

// Megabytes are stored and read page by page, also on a busy machine.
vi.setConfig({ testTimeout: 300_000, hookTimeout: 300_000 });

const maxAnswerBytes = 8 * 1024 * 1024;
/** Of an answer beside its entries. */
const restBytes = 4_096;

interface Keys {
  readonly url: string;
  readonly publicKey: string;
  readonly secretKey: string;
}

/** Stores `count` such entries, in as few requests as the limit of a body allows. */
async function store(service: Keys, count: number, entryOf: (index: number) => object): Promise<void> {
  const entries = Array.from({ length: count }, (_, index) => JSON.stringify(entryOf(index)));
  while (entries.length > 0) {
    const body: string[] = [];
    let bytes = 2;
    while (entries.length > 0 && bytes + (entries[0] as string).length < 10_000_000) {
      bytes += (entries[0] as string).length + 1;
      body.push(entries.shift() as string);
    }
    for (;;) {
      const headers = { "x-sazabi-key": service.publicKey, "content-type": "application/json" };
      const sent = await send(service, "POST /v1/logs", { headers, body: `[${body.join(",")}]` });
      if (sent.status === 202) break;
      expect(sent.status).toBe(429);
    }
  }
}

describe("texts that JSON makes long", () => {
  let database: FreshDatabase;
  let replica: Replica;
  let service: Keys;
  const planted = scaled({ committed: 24, full: 60 });
  const large = scaled({ committed: 80, full: 1_000 });

  beforeAll(async () => {
    database = await freshDatabase();
    replica = await startReplica({ databaseUrl: database.url, secrets: newServerSecrets() });
    service = { url: replica.url, ...firstKeys(replica) };
    const at = Date.now() - 3_600_000;
    await store(service, large, (index) => ({
      message: `large ${index} ${"x".repeat(250_000)}`,
      timestamp: new Date(at + index).toISOString(),
    }));
    await store(service, planted, (index) => ({ message: "\u0001".repeat(262_000), name: `planted ${index}` }));
    await store(service, 40, (index) => ({ message: "many values", value: `${index} ${"\u0001".repeat(250_000)}` }));
  });
  afterAll(async () => {
    await replica.stop();
    await database.drop();
  });

  const post = (path: string, body: object) =>
    send(service, `POST ${path}`, { headers: bearer(service.secretKey), body });

  function memory(name: "VmHWM" | "VmRSS"): number {
    const status = readFileSync(`/proc/${replica.process.pid}/status`, "utf8");
    return Math.round(Number(new RegExp(`${name}:\\s+(\\d+) kB`).exec(status)?.[1]) / 1024);
  }

  /** Every page of a search. Each is within the bound. */
  async function allPages(path: string, body: object, limit?: number) {
    const ids: string[] = [];
    for (let cursor: string | undefined; ; ) {
      const page = await post(path, { ...body, pagination: { ...(limit && { limit }), ...(cursor && { cursor }) } });
      expect(page.status).toBe(200);
      expect(Buffer.byteLength(page.text)).toBeLessThan(maxAnswerBytes + restBytes);
      expect(page.body.meta.count).toBe(page.body.data.length);
      expect(page.body.data.length).toBeGreaterThan(0);
      ids.push(...page.body.data.map(({ id }: { id: string }) => id));
      if (page.body.nextCursor === null) return ids;
      cursor = page.body.nextCursor;
    }
  }

  test("a search pages through planted control characters, each entry once", async () => {
    const first = await post("/v1/logs/query", {});
    expect(first).toMatchObject({ status: 200, body: { nextCursor: expect.any(String) } });
    expect(first.body.data.length).toBeLessThan(planted);
    const ids = await allPages("/v1/logs/query", { search: { query: "name:planted*" } });
    expect(ids).toHaveLength(planted);
    expect(new Set(ids).size).toBe(planted);
  });

  test("a saved query does, too", async () => {
    const saved = await post("/v1/queries", { name: "planted", query: "name:planted*" });
    expect(saved.status).toBe(201);
    expect(await allPages(`/v1/queries/${saved.body.query.id}/execute`, {})).toHaveLength(planted);
  });

  test("the neighbours of an entry end early, and say so", async () => {
    const { body } = await post("/v1/logs/query", { search: { query: "name:planted*" }, sort: { field: "timestamp" } });
    const { id } = body.data[1];
    const around = await send(service, `GET /v1/logs/${id}?before=100&after=100`, {
      headers: bearer(service.secretKey),
    });
    expect(around).toMatchObject({ status: 200, body: { log: { id }, truncated: { before: true } } });
    expect(around.body.before.length).toBeGreaterThan(0);
    expect(Buffer.byteLength(around.text)).toBeLessThan(1.5 * maxAnswerBytes);
  });

  test("the values of a field end early, and say so", async () => {
    const facets = await post("/v1/logs/facets", { field: "value", limit: 100 });
    expect(facets).toMatchObject({ status: 200, body: { meta: { truncated: true } } });
    expect(facets.body.values.length).toBeGreaterThan(0);
    expect(Buffer.byteLength(facets.text)).toBeLessThan(maxAnswerBytes + restBytes);
  });

  test.runIf(process.platform === "linux")("large entries, 1,000 a page, take no more memory than a page", async () => {
    const before = memory("VmHWM");
    const body = { search: { query: "large" }, pagination: { limit: 1_000 } };
    const answers = await Promise.all(Array.from({ length: 8 }, () => post("/v1/logs/query", body)));
    for (const { status, text } of answers) {
      expect(status).toBe(200);
      expect(Buffer.byteLength(text)).toBeLessThan(maxAnswerBytes + restBytes);
    }
    const peak = memory("VmHWM");
    console.log(JSON.stringify({ memory: { before, peak, after: memory("VmRSS") } }));
    expect(peak - before).toBeLessThan(300);
    expect(await allPages("/v1/logs/query", { search: { query: "large" } }, 1_000)).toHaveLength(large);
    expect(replica.output().stdout).not.toMatch(/"level":"error"/);
  });
});

describe("answers that nobody reads", () => {
  let service: TestService;
  const sockets: Socket[] = [];
  /** More than all unread answers may hold. */
  const readers = 24;

  beforeAll(async () => {
    service = await startTestService({ metrics: { host: "127.0.0.1", port: 0 }, stuckAnswerMs: 3_000 });
    await store(service, 40, (index) => ({ message: `entry ${index} ${"y".repeat(250_000)}` }));
  });
  afterAll(async () => {
    for (const socket of sockets) socket.destroy();
    await service.close();
  });

  async function newKey(): Promise<{ id: string; value: string }> {
    const body = { name: "reader", projectId: service.projectId, scopes: ["read:logs"] };
    const made = await send(service, "POST /v1/secret-keys", { headers: bearer(service.secretKey), body });
    return made.body.secretKey;
  }

  /** Asks for a large answer, and reads no more than its beginning. */
  async function openUnread(key: string): Promise<Socket> {
    const socket = connect(Number(new URL(service.url).port), "127.0.0.1");
    socket.on("error", () => {});
    sockets.push(socket);
    const body = '{"pagination":{"limit":100}}';
    socket.write(
      `POST /v1/logs/query HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${key}\r\n` +
        `content-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
    );
    const [head] = await once(socket, "data");
    socket.pause();
    expect(String(head)).toMatch(/^HTTP\/1\.1 200 /);
    return socket;
  }

  /** How many bytes come until the connection is closed. */
  async function rest(socket: Socket): Promise<number> {
    let bytes = 0;
    socket.on("data", (chunk) => {
      bytes += chunk.length;
    });
    const closed = once(socket, "close");
    socket.resume();
    await closed;
    return bytes;
  }

  const metric = (name: string) => readMetric(service, name);

  test("hold a bounded amount of memory, and their connections are closed", async () => {
    const { value } = await newKey();
    let most = 0;
    for (let at = 0; at < readers; at++) {
      await openUnread(value);
      most = Math.max(most, await metric("sazabi_unsent_answer_bytes"));
    }
    expect(most).toBeLessThanOrEqual(128 * 1024 * 1024);
    await expect.poll(() => metric("sazabi_unsent_answer_bytes"), { timeout: 60_000 }).toBe(0);
    const closed = (await metric("sazabi_connections_stuck_total")) + (await metric("sazabi_answers_cut_off_total"));
    expect(closed).toBe(readers);
    for (const socket of sockets.splice(0)) expect(await rest(socket)).toBeLessThan(maxAnswerBytes / 2);
  });

  test("go no further when their key is revoked", async () => {
    const { id, value } = await newKey();
    const socket = await openUnread(value);
    expect(await metric("sazabi_unsent_answer_bytes")).toBeGreaterThan(maxAnswerBytes / 4);
    const gone = await send(service, `DELETE /v1/secret-keys/${id}`, { headers: bearer(service.secretKey) });
    expect(gone.status).toBe(204);
    // All that comes is what the operating system had taken before.
    expect(await rest(socket)).toBeLessThan(maxAnswerBytes / 2);
    expect(await metric("sazabi_unsent_answer_bytes")).toBe(0);
  });

  test("an answer that is read slowly arrives whole", async () => {
    const { value } = await newKey();
    const socket = connect(Number(new URL(service.url).port), "127.0.0.1");
    sockets.push(socket);
    const body = '{"pagination":{"limit":100}}';
    socket.write(
      `POST /v1/logs/query HTTP/1.1\r\nhost: x\r\nconnection: close\r\nauthorization: Bearer ${value}\r\n` +
        `content-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
    );
    const chunks: Buffer[] = [];
    socket.on("data", (chunk) => {
      chunks.push(chunk);
      socket.pause();
      setTimeout(() => socket.resume(), 20);
    });
    await once(socket, "close");
    const [head, json] = String(Buffer.concat(chunks)).split("\r\n\r\n") as [string, string];
    expect(head).toContain(`content-length: ${Buffer.byteLength(json)}`);
    expect(JSON.parse(json).data.length).toBeGreaterThan(1);
  });
});
