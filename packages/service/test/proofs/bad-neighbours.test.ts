import { once } from "node:events";
import { readFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type FreshDatabase, freshDatabase } from "../support/database.ts";
import { type OpenTail, openTail } from "../support/events.ts";
import { type AttackerKeys, hostileBodies, senderOf } from "../support/hostile-bodies.ts";
import { hostileRequests } from "../support/hostile-requests.ts";
import { bearer, send } from "../support/index.ts";
import { firstKeys, newServerSecrets, type Replica, startReplica } from "../support/replica.ts";
import { scaled } from "../support/scale.ts";

let database: FreshDatabase;
let service: Replica;
let attacker: AttackerKeys;
let victim: AttackerKeys & { readonly projectId: string };
/** Of the victim: it goes on through all attacks. */
let tail: OpenTail;

beforeAll(async () => {
  database = await freshDatabase();
  service = await startReplica({ databaseUrl: database.url, secrets: newServerSecrets() });
  attacker = firstKeys(service);
  const headers = bearer(attacker.secretKey);
  const post = async (path: string, body: object) => (await send(service, `POST ${path}`, { headers, body })).body;
  const { project } = await post("/v1/projects", { name: "victim" });
  const { publicKey } = await post("/v1/public-keys", { name: "victim", projectId: project.id });
  const { secretKey } = await post("/v1/secret-keys", { name: "victim", requestsPerMinute: 1_000_000 });
  victim = { publicKey: publicKey.value, secretKey: secretKey.value, projectId: project.id };
  tail = await openTail(service, victim.secretKey, { projectId: victim.projectId });
});
afterAll(async () => {
  tail.close();
  await service.stop();
  await database.drop();
});

const rest = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** Of the service's process, as Linux counts it. */
function memory(name: "VmHWM" | "VmRSS"): number {
  const status = readFileSync(`/proc/${service.process.pid}/status`, "utf8");
  return Math.round(Number(new RegExp(`${name}:\\s+(\\d+) kB`).exec(status)?.[1]) / 1024);
}

test.runIf(process.platform === "linux")(
  "300 bombs without a key at once take a bounded amount of memory, which comes back",
  async () => {
    const bomb = new Uint8Array(gzipSync(Buffer.alloc(10 * 1024 * 1024 - 10, " "), { level: 9 }));
    const before = memory("VmRSS");
    const answers = await Promise.all(
      Array.from({ length: 300 }, () =>
        send(service, "POST /v1/logs", {
          headers: { connection: "close", "content-type": "application/json", "content-encoding": "gzip" },
          body: bomb,
        }),
      ),
    );
    const statuses = new Set(answers.map(({ status }) => status));
    expect([...statuses].filter((status) => ![413, 429, 503].includes(status))).toEqual([]);
    expect(statuses).toContain(413);
    const peak = memory("VmHWM");
    for (const { status, headers } of answers) {
      if (status !== 413) expect(headers.get("retry-after")).toMatch(/^\d+$/);
    }
    // A key that is known is not asked about its address.
    await expectVictimServed();
    await rest(1_000);
    const after = memory("VmRSS");
    console.log(JSON.stringify({ memory: { before, peak, after } }));
    expect(peak - before).toBeLessThan(120);
    expect(after - before).toBeLessThan(120);
  },
);

let turn = 0;

async function expectVictimServed(): Promise<void> {
  turn += 1;
  const me = await send(service, "GET /v1/me", {
    headers: { connection: "close", ...bearer(victim.secretKey) },
  });
  expect(me.status).toBe(200);
  const sent = await send(service, "POST /v1/logs", {
    headers: { connection: "close", "x-sazabi-key": victim.publicKey },
    body: { message: `of the victim ${turn}` },
  });
  expect(sent).toMatchObject({ status: 202, body: { data: { accepted: 1 } } });
  const found = await send(service, "POST /v1/logs/query", {
    headers: { connection: "close", ...bearer(victim.secretKey) },
    body: { projectId: victim.projectId, search: { query: `"of the victim ${turn}"` } },
  });
  expect(found).toMatchObject({ status: 200, body: { meta: { count: 1 } } });
}

test.each(hostileBodies)(
  "beside: $name, another key's checks, intake and searches go on",
  async (hostile) => {
    const sendHostile = senderOf(hostile);
    const statuses: number[] = [];
    let isOver = false;
    const attack = Array.from({ length: scaled({ committed: 2, full: 4 }) }, async () => {
      while (!isOver) {
        const status = await sendHostile(service.url, attacker);
        statuses.push(status);
        if (status === 429 || status === 503) await rest(20);
      }
    });
    for (let round = 0; round < scaled({ committed: 5, full: 100 }); round++) await expectVictimServed();
    isOver = true;
    await Promise.all(attack);
    // Each is answered, as what it is.
    expect(statuses.filter((status) => ![200, 202, 204, 400, 401, 413, 429, 503].includes(status))).toEqual([]);
  },
  120_000,
);

test.each(hostileRequests)(
  "beside: $name, another key's checks, intake and searches go on",
  async ({ attack }) => {
    const over = new AbortController();
    const attacking = attack(service.url, attacker, over.signal);
    await rest(300);
    for (let round = 0; round < scaled({ committed: 5, full: 100 }); round++) await expectVictimServed();
    over.abort();
    const statuses = await attacking;
    expect(statuses.filter((status) => ![200, 201, 202, 400, 429, 503, 504].includes(status))).toEqual([]);
  },
  180_000,
);

test("the tail of the other project has every entry of it", async () => {
  await tail.entries(turn);
  expect(tail.messages()).toEqual(Array.from({ length: turn }, (_, at) => `of the victim ${at + 1}`));
});

test.runIf(process.platform === "linux")("all of them together left the process within bounds", () => {
  const peak = memory("VmHWM");
  console.log(JSON.stringify({ memory: { peak, now: memory("VmRSS") } }));
  expect(peak).toBeLessThan(1_000);
  expect(service.output().stderr).not.toMatch(/request failed|"level":"error"/);
});

async function open(head: string): Promise<Socket> {
  const { hostname, port } = new URL(service.url);
  const socket = connect(Number(port), hostname);
  await once(socket, "connect");
  socket.write(head.replaceAll("\n", "\r\n"));
  return socket;
}

async function answerOf(socket: Socket): Promise<string> {
  let text = "";
  socket.setEncoding("utf8").on("data", (chunk) => {
    text += chunk;
  });
  await once(socket, "close");
  return text;
}

test("a body that stops coming is answered 408, and its connection closed", async () => {
  const socket = await open(
    `POST /v1/logs/query HTTP/1.1\nhost: x\nauthorization: Bearer ${victim.secretKey}\ncontent-type: application/json\ncontent-length: 100\n\n{`,
  );
  const answer = await answerOf(socket);
  expect(answer).toMatch(/^HTTP\/1\.1 408 /);
  expect(answer).toMatch(/"code":"REQUEST_TIMEOUT"/);
});

test("a body that is too large is answered while it still comes, on every kind of route", async () => {
  const chunk = `10000\r\n${"x".repeat(0x10000)}\r\n`;
  for (const [path, key, megabytes] of [
    ["/v1/logs/query", `authorization: Bearer ${victim.secretKey}`, 1],
    ["/v1/logs", `x-sazabi-key: ${victim.publicKey}`, 12],
  ] as const) {
    const socket = await open(
      `POST ${path} HTTP/1.1\nhost: x\n${key}\ncontent-type: application/json\ntransfer-encoding: chunked\n\n`,
    );
    const answer = answerOf(socket);
    for (let sent = 0; sent < megabytes * 16; sent++) socket.write(chunk);
    expect(await answer).toMatch(/^HTTP\/1\.1 413 [\s\S]*"code":"PAYLOAD_TOO_LARGE"/);
  }
});

test("a client that leaves in the middle of its body is no outage of the database", async () => {
  for (const [path, key] of [
    ["/v1/logs/query", `authorization: Bearer ${victim.secretKey}`],
    ["/v1/logs", `x-sazabi-key: ${victim.publicKey}`],
  ]) {
    const socket = await open(
      `POST ${path} HTTP/1.1\nhost: x\n${key}\ncontent-type: application/json\ncontent-length: 100\n\n{`,
    );
    await rest(50);
    socket.destroy();
  }
  await rest(100);
  await expectVictimServed();
  expect(service.output().stdout).not.toMatch(/database unavailable|request failed/);
});
