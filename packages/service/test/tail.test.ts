import { connect } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { SazabiAdmin, SazabiApiError, type TailedLog, type TailGap } from "@sazabi/sdk";
import { parseQuery } from "@sazabi/sdk/protocol";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openPostgresLogStore } from "../src/logs/engines/postgres/store.ts";
import { LogTails } from "../src/logs/live-tail/log-tails.ts";
import { openTail } from "./support/events.ts";
import { bearer, queryDatabase, send, startTestService, type TestService } from "./support/index.ts";
import { openCuttableProxy } from "./support/proxy.ts";

let service: TestService;
let replica: TestService;
let admin: SazabiAdmin;
beforeAll(async () => {
  service = await startTestService();
  replica = await startTestService({ databaseUrl: service.databaseUrl, ...service.keyrings });
  admin = new SazabiAdmin({ secretKey: service.secretKey, baseUrl: service.url });
});
afterAll(async () => {
  await replica.close({ keepDatabase: true });
  await service.close();
});

const to = (projectId: string) => ({ projectId });

/** A project of its own, with a key that writes to it. */
async function newProject() {
  const name = `p${Math.random().toString(36).slice(2)}`;
  const project = await admin.projects.create({ name });
  const { value } = await admin.publicKeys.create({ name: "writer", projectId: project.id });
  const write = async (entries: unknown) => {
    const answer = await send(service, "POST /v1/logs", { headers: { "x-sazabi-key": value }, body: entries });
    expect(answer.status).toBe(202);
  };
  return { id: project.id, write };
}

describe("a tail", () => {
  test("shows entries when they are committed, in the shape that the published clients read", async () => {
    const project = await newProject();
    await project.write({ message: "before" });
    const tail = await openTail(service, service.secretKey, to(project.id));
    expect(tail.status).toBe(200);
    expect(tail.headers.get("content-type")).toMatch(/^text\/event-stream/);
    await project.write({
      message: "payment failed",
      level: "error",
      service: "checkout",
      env: "prod",
      traceId: "abc",
      timestamp: "2026-11-22T08:00:00Z",
      attributes: { http: { status: 502, ok: false }, nothing: null, "host.name": "h1", "k8s.pod.name": "pod-1" },
    });
    await tail.entries(1);
    tail.close();
    const event = tail.events.find(({ event }) => event === "log");
    expect(event?.id).toBe("2");
    expect(event?.data).toMatchObject({ type: "logs", timestamp: expect.stringMatching(/Z$/) });
    expect(event?.data.data[0]).toEqual({
      id: "2",
      timestamp: "2026-11-22T08:00:00.000Z",
      severity: "ERROR",
      body: "payment failed",
      service: "checkout",
      traceId: "abc",
      spanId: "",
      attributes: {
        "http.status": "502",
        "http.ok": "false",
        nothing: "null",
        "host.name": "h1",
        "k8s.pod.name": "pod-1",
      },
      resource: { service: "checkout", namespace: "", environment: "prod", host: "h1", container: "", pod: "pod-1" },
    });
    // What was there before is not shown.
    expect(tail.messages()).toEqual(["payment failed"]);
  });

  test("shows entries that another replica stored, whatever their timestamps, in the order of commits", async () => {
    const project = await newProject();
    const tail = await openTail(replica, service.secretKey, to(project.id));
    const hour = (hours: number) => new Date(Date.now() - hours * 3_600_000).toISOString();
    for (const [index, hours] of [0, 30, 2, 500, 1].entries())
      await project.write({ message: `${index}`, timestamp: hour(hours) });
    await tail.entries(5);
    expect(tail.messages()).toEqual(["0", "1", "2", "3", "4"]);
    tail.close();
  });

  test.each<[string, Record<string, string>, string[]]>([
    ["a query", { query: "level:>=warn -service:web" }, ["e1", "w2"]],
    ["severities", { filters: JSON.stringify({ severities: ["ERROR", "WARN"] }) }, ["e1", "w2", "e4"]],
    ["services", { filters: JSON.stringify({ services: ["web"] }) }, ["i3", "e4"]],
    ["environments", { filters: JSON.stringify({ environments: ["prod"] }) }, ["e4"]],
    ["a text", { filters: JSON.stringify({ searchTerm: "E" }) }, ["e1", "e4"]],
    ["a trace", { filters: JSON.stringify({ traceId: "t1" }) }, ["w2"]],
    ["attributes, also numbers", { filters: JSON.stringify({ attributes: { n: "500", who: "me" } }) }, ["i3"]],
    ["nothing", { filters: "{}" }, ["e1", "w2", "i3", "e4"]],
    ["filters and a query", { filters: JSON.stringify({ services: ["web"] }), query: "e4" }, ["e4"]],
    ["an unknown severity", { filters: JSON.stringify({ severities: ["BOGUS", "INFO"] }) }, ["i3"]],
  ])("filtered by %s shows what fits, also of what came before it", async (_, parameters, expected) => {
    const project = await newProject();
    const entries = [
      { message: "e1", level: "error", service: "api" },
      { message: "w2", level: "warn", service: "api", traceId: "t1" },
      { message: "i3", level: "info", service: "web", attributes: { n: 500, who: "me" } },
      { message: "e4", level: "error", service: "web", env: "prod" },
    ];
    const live = await openTail(service, service.secretKey, { ...to(project.id), ...parameters });
    await project.write(entries);
    await live.entries(expected.length);
    const resumed = await openTail(replica, service.secretKey, { ...to(project.id), ...parameters, cursor: "0" });
    await resumed.entries(expected.length);
    await project.write({
      message: "end e",
      level: "error",
      service: "web",
      env: "prod",
      traceId: "t1",
      attributes: { n: 500, who: "me" },
    });
    expect(live.messages().slice(0, expected.length)).toEqual(expected);
    expect(resumed.messages().slice(0, expected.length)).toEqual(expected);
    live.close();
    resumed.close();
  });

  test("many tails of one project with different queries each get what is theirs", async () => {
    const project = await newProject();
    const tails = await Promise.all(
      Array.from({ length: 15 }, (_, index) =>
        openTail(service, service.secretKey, { ...to(project.id), query: `n:${index}` }),
      ),
    );
    await project.write(Array.from({ length: 300 }, (_, index) => ({ message: `${index}`, n: index % 15 })));
    await Promise.all(tails.map((tail) => tail.entries(20)));
    for (const [index, tail] of tails.entries()) {
      expect(tail.messages()).toEqual(Array.from({ length: 20 }, (_, nth) => `${nth * 15 + index}`));
      tail.close();
    }
  });

  test("goes on from any cursor on any replica: nothing twice, nothing missing", async () => {
    const project = await newProject();
    await project.write(Array.from({ length: 700 }, (_, index) => ({ message: `${index}` })));
    for (const [index, after] of [0, 1, 350, 699, 700].entries()) {
      const tail = await openTail([service, replica][index % 2] as TestService, service.secretKey, {
        ...to(project.id),
        cursor: `${after}`,
      });
      await tail.entries(700 - after);
      expect(tail.messages()).toEqual(Array.from({ length: 700 - after }, (_, nth) => `${after + nth}`));
      tail.close();
    }
  });

  test("with a cursor from beyond the end shows what comes now", async () => {
    const project = await newProject();
    await project.write({ message: "old" });
    const tail = await openTail(service, service.secretKey, { ...to(project.id), cursor: "999999999" });
    await project.write({ message: "new" });
    await tail.entries(1);
    expect(tail.messages()).toEqual(["new"]);
    tail.close();
  });

  test("from before the retention goes on with what is still there", async () => {
    const project = await newProject();
    await project.write([{ message: "gone" }, { message: "gone, too" }]);
    await queryDatabase(
      service.databaseUrl,
      `with p as (select number from projects where id = $1), c as (delete from log_commits using p where project_number = p.number)
       delete from logs using p where project_number = p.number`,
      [project.id],
    );
    const tail = await openTail(service, service.secretKey, { ...to(project.id), cursor: "0" });
    // One that waits already, and one that was told of the end before.
    const other = await openTail(service, service.secretKey, { ...to(project.id), cursor: "1" });
    await project.write({ message: "new" });
    await Promise.all([tail.entries(1), other.entries(1)]);
    expect([tail.messages(), other.messages()]).toEqual([["new"], ["new"]]);
    tail.close();
    other.close();
  });

  test("tells its place at once, so that a client that is cut before the first entry misses nothing", async () => {
    const project = await newProject();
    await project.write([{ message: "a" }, { message: "b" }]);
    const tail = await openTail(service, service.secretKey, to(project.id));
    while (tail.events.length === 0) await sleep(5);
    expect(tail.events[0]).toEqual({ event: "position", id: "2", data: {} });
    tail.close();
  });
});

describe("a tail is refused", () => {
  test.each<[string, Record<string, string>]>([
    ["filters that are not JSON", { filters: "{" }],
    ["filters that are no object", { filters: "5" }],
    ["a filter that nobody knows", { filters: '{"service":"x"}' }],
    ["a filter of the wrong type", { filters: '{"services":"x"}' }],
    ["a cursor that is none", { cursor: "abc" }],
    ["a parameter that nobody knows", { querry: "x" }],
    ["a project that is no id", { projectId: "x" }],
    ["a query that is too long", { query: "x".repeat(4097) }],
  ])("with %s: 400", async (_, parameters) => {
    const query = new URLSearchParams(parameters);
    const answer = await send(service, `GET /v1/tail?${query}`, { headers: bearer(service.secretKey) });
    expect(answer).toMatchObject({ status: 400, body: { code: "VALIDATION_ERROR", operationId: "logs.tail" } });
  });

  test("without a key, with a public key, without the scope, for a project that is not there or another organization's", async () => {
    const ask = (headers: Record<string, string>, projectId = service.projectId) =>
      send(service, `GET /v1/tail?projectId=${projectId}`, { headers });
    expect(await ask({})).toMatchObject({ status: 401, body: { reason: "missing_api_key" } });
    expect(await ask({ "x-sazabi-key": service.publicKey })).toMatchObject({
      status: 403,
      body: { reason: "wrong_key_type" },
    });
    const blind = await admin.secretKeys.create({ name: "blind", scopes: ["read:keys"] });
    expect(await ask(bearer(blind.value))).toMatchObject({ status: 403, body: { reason: "missing_scope" } });
    expect(await ask(bearer(service.secretKey), "00000000-0000-4000-8000-000000000000")).toMatchObject({
      status: 404,
      body: { message: "No such project." },
    });
  });

  test("with the key in the URL: 400, before anything else", async () => {
    const answer = await send(service, `GET /v1/tail?token=${service.secretKey}`);
    expect(answer.status).toBe(400);
    expect(answer.text).not.toContain(service.secretKey);
  });

  test("when the key has too many of them: 429; and one that is closed makes room", async () => {
    const project = await newProject();
    const { value } = await admin.secretKeys.create({ name: "many tails", projectId: project.id });
    const tails = await Promise.all(Array.from({ length: 20 }, () => openTail(service, value)));
    expect(tails.map(({ status }) => status)).toEqual(tails.map(() => 200));
    const refused = await send(service, "GET /v1/tail", { headers: bearer(value) });
    expect(refused).toMatchObject({ status: 429, body: { code: "RATE_LIMIT_EXCEEDED", retryAfterSeconds: 5 } });
    tails[0]?.close();
    let next = await openTail(service, value);
    while (next.status === 429) {
      await sleep(10);
      next = await openTail(service, value);
    }
    expect(next.status).toBe(200);
    for (const tail of [...tails, next]) tail.close();
  });
});

test("readers who leave while their tail is opened leave nothing behind", async () => {
  const project = await newProject();
  const { value } = await admin.secretKeys.create({ name: "hasty", projectId: project.id });
  const port = Number(new URL(service.url).port);
  for (let delayMs = 0; delayMs < 60; delayMs++) {
    const socket = connect(port, "127.0.0.1");
    socket.on("error", () => {});
    socket.write(`GET /v1/tail HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${value}\r\n\r\n`);
    await sleep(delayMs / 8);
    socket.destroy();
  }
  // Each that stayed would take one of the twenty places of the key.
  const tails = [];
  while (tails.length < 20) {
    const tail = await openTail(service, value);
    if (tail.status === 200) tails.push(tail);
    else await sleep(20);
  }
  for (const tail of tails) tail.close();
});

describe("a tail ends", () => {
  test.each(["revoked", "expired", "rotated away", "stripped of its scope"])("when its key is %s", async (how) => {
    const project = await newProject();
    const created = await admin.secretKeys.create({
      name: "watcher",
      ...(how === "expired" && { expiresAt: new Date(Date.now() + 2_000).toISOString() }),
    });
    // On the other replica: the end of a key is told to all.
    const tail = await openTail(replica, created.value, to(project.id));
    await project.write({ message: "seen" });
    await tail.entries(1);
    if (how === "revoked") await admin.secretKeys.revoke(created.id);
    if (how === "rotated away") await admin.secretKeys.rotate(created.id, { graceSeconds: 0 });
    if (how === "stripped of its scope") await admin.secretKeys.update(created.id, { scopes: ["read:keys"] });
    expect(await tail.over).toBe("ended");
    await project.write({ message: "not seen" });
    expect(tail.messages()).toEqual(["seen"]);
    const again = await send(replica, `GET /v1/tail?projectId=${project.id}`, { headers: bearer(created.value) });
    expect([401, 403]).toContain(again.status);
  });

  test("at once: nothing that is committed after a revocation was answered is told", async () => {
    const project = await newProject();
    for (let round = 0; round < 10; round++) {
      const created = await admin.secretKeys.create({ name: "watcher" });
      const tail = await openTail(replica, created.value, to(project.id));
      await project.write({ message: "before" });
      await tail.entries(1);
      await admin.secretKeys.revoke(created.id);
      await project.write({ message: "after" });
      expect(await tail.over).toBe("ended");
      expect(tail.messages()).toEqual(["before"]);
    }
  });

  test("when the service stops, and does not hold it up", async () => {
    const third = await startTestService({ databaseUrl: service.databaseUrl, ...service.keyrings });
    const tail = await openTail(third, service.secretKey, to(service.projectId));
    await third.close({ keepDatabase: true });
    // Not cut off when the time for answers under way is over.
    expect(await tail.over).toBe("ended");
  });
});

test("a reader that does not read costs one answer of memory, and gets everything when it reads again", {
  timeout: 60_000,
}, async () => {
  const project = await newProject();
  const socket = connect(Number(new URL(service.url).port), "127.0.0.1");
  let received = "";
  socket.write(
    `GET /v1/tail?projectId=${project.id} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${service.secretKey}\r\n\r\n`,
  );
  await new Promise<void>((resolve) => {
    socket.once("data", (chunk) => {
      received += chunk;
      socket.pause();
      resolve();
    });
  });
  const filler = "x".repeat(9_000);
  for (let batch = 0; batch < 12; batch++) {
    await project.write(Array.from({ length: 500 }, (_, index) => ({ message: `<${batch * 500 + index}> ${filler}` })));
  }
  // 54 MB are waiting in the database, and not here.
  await sleep(300);
  expect(socket.bytesRead).toBeLessThan(20_000_000);
  let next = 0;
  await new Promise<void>((resolve) => {
    socket.on("data", (chunk) => {
      received += chunk.toString("latin1");
      const places = [...received.matchAll(/"<(\d+)> /g)];
      for (const [, place] of places) {
        expect(Number(place)).toBe(next);
        next += 1;
      }
      const last = places.at(-1);
      if (last) received = received.slice((last.index as number) + last[0].length);
      if (next === 6_000) resolve();
    });
    socket.resume();
  });
  socket.destroy();
});

describe("the SDK's tail", () => {
  async function collect(tail: AsyncIterable<TailedLog>, count: number, bodies: string[] = []): Promise<string[]> {
    for await (const { body } of tail) {
      bodies.push(body);
      if (bodies.length === count) break;
    }
    return bodies;
  }

  test("gives entries until the caller stops reading", async () => {
    const project = await newProject();
    const tail = collect(admin.logs.tail({ projectId: project.id, query: "-skip", cursor: "0" }), 3);
    await project.write([{ message: "a" }, { message: "skip" }, { message: "b" }, { message: "c" }]);
    expect(await tail).toEqual(["a", "b", "c"]);
  });

  test("heals a cut: nothing is missing, and the gap is told", async () => {
    const project = await newProject();
    const proxy = await openCuttableProxy(service.url);
    const throughProxy = new SazabiAdmin({ secretKey: service.secretKey, baseUrl: proxy.url });
    const gaps: TailGap[] = [];
    const seen: string[] = [];
    const collected = collect(
      throughProxy.logs.tail({ projectId: project.id, cursor: "0" }, { onGap: (gap) => gaps.push(gap) }),
      4,
      seen,
    );
    await project.write([{ message: "a" }, { message: "b" }]);
    while (seen.length < 2) await sleep(5);
    proxy.cut();
    await project.write([{ message: "c" }, { message: "d" }]);
    proxy.restore();
    await collected;
    expect(seen).toEqual(["a", "b", "c", "d"]);
    expect(gaps).toEqual([expect.objectContaining({ cursor: "2", attempts: expect.any(Number) })]);
    await proxy.close();
  });

  test("throws what the service refuses with, and the reason of an abort", async () => {
    await expect(
      collect(admin.logs.tail({ projectId: "00000000-0000-4000-8000-000000000000" }), 1),
    ).rejects.toMatchObject({
      status: 404,
    });
    const project = await newProject();
    const { id, value } = await admin.secretKeys.create({ name: "short" });
    const watcher = new SazabiAdmin({ secretKey: value, baseUrl: service.url });
    const watching = collect(watcher.logs.tail({ projectId: project.id }), 1);
    const failure = watching.catch((error) => error);
    await sleep(100);
    await admin.secretKeys.revoke(id);
    expect(await failure).toBeInstanceOf(SazabiApiError);
    expect(await failure).toMatchObject({ status: 401, reason: "revoked_api_key" });
    const leaving = new AbortController();
    const left = collect(admin.logs.tail({ projectId: project.id }, { signal: leaving.signal }), 1);
    await sleep(50);
    leaving.abort(new Error("enough"));
    await expect(left).rejects.toThrow("enough");
  });
});

test("the tails of a process read together: a hundred of them ask the database no more than one would", async () => {
  const project = await newProject();
  const { rows } = await queryDatabase(service.databaseUrl, "select number from projects where id = $1", [project.id]);
  const store = openPostgresLogStore({ url: service.databaseUrl, retentionDays: 30 });
  let asked = 0;
  const tails = new LogTails({
    ...store,
    follow: (request) => {
      asked += 1;
      return store.follow(request);
    },
  });
  const open = await Promise.all(
    Array.from({ length: 100 }, (_, index) =>
      tails.open({
        keyId: `key ${index % 10}`,
        organizationId: "organization",
        projectNumber: rows[0].number,
        query: parseQuery(`n:${index % 4}`).ast,
        after: undefined,
      }),
    ),
  );
  const reading = open.map(async (tail) => {
    const found: string[] = [];
    while (found.length < 25) found.push(...((await tail.next()) ?? []).map(({ message }) => message));
    return found;
  });
  for (let n = 0; n < 100; n++) await project.write({ message: `${n}`, n: n % 4 });
  for (const [index, found] of (await Promise.all(reading)).entries()) {
    expect(found).toEqual(Array.from({ length: 25 }, (_, nth) => `${nth * 4 + (index % 4)}`));
  }
  // Each by itself would have asked 10,000 times: 100 of them after each of 100 writes.
  expect(asked).toBeLessThan(400);
  tails.close();
  expect(await open[0]?.next()).toBeUndefined();
  await store.close();
});
