import { readFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { SazabiAdmin, SazabiApiError, type TailedLog } from "@sazabi/sdk";
import { parseQuery } from "@sazabi/sdk/protocol";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Keyring } from "../src/crypto/keyring.ts";
import { openPostgresLogStore } from "../src/logs/engines/postgres/store.ts";
import { LogTails } from "../src/logs/live-tail/log-tails.ts";
import { openTail } from "./support/events.ts";
import { bearer, queryDatabase, send, startTestService, type TestService } from "./support/index.ts";
import { type Replica, startReplica } from "./support/replica.ts";

let service: TestService;
let admin: SazabiAdmin;
beforeAll(async () => {
  service = await startTestService();
  admin = new SazabiAdmin({ secretKey: service.secretKey, baseUrl: service.url });
});
afterAll(() => service?.close());

async function newProject() {
  const project = await admin.projects.create({ name: `p${Math.random().toString(36).slice(2)}` });
  const { value } = await admin.publicKeys.create({ name: "writer", projectId: project.id });
  const write = async (entries: unknown) => {
    const answer = await send(service, "POST /v1/logs", { headers: { "x-sazabi-key": value }, body: entries });
    expect(answer.status).toBe(202);
  };
  const newKey = async (name: string) =>
    (await admin.secretKeys.create({ name, projectId: project.id, scopes: ["read:logs"] })).value;
  return { id: project.id, write, newKey };
}

const collectGarbage = new URL("support/collect-garbage.mjs", import.meta.url).href;

/** On `longMessage` it takes 30 million steps. */
const costlyQuery = `${"a?".repeat(1_900)}b`;
const longMessage = "a".repeat(250_000);
const ended = { code: "RATE_LIMIT_EXCEEDED", reason: "tail_budget_exceeded" };

describe("a tail whose query takes too many steps on an entry", () => {
  test("ends with an event that says why, and the tails of another key lose nothing", async () => {
    const project = await newProject();
    const [costly, other] = [await project.newKey("costly"), await project.newKey("other")];
    const tails = await Promise.all(
      Array.from({ length: 10 }, (_, index) => openTail(service, costly, { query: `${costlyQuery} ${index}` })),
    );
    const others = [await openTail(service, other), await openTail(service, other, { query: "n -/x{50}y/" })];
    for (let n = 0; n < 20; n++)
      await project.write([{ message: `n${n}` }, { message: n === 5 ? longMessage : `m${n}` }]);
    for (const tail of tails) {
      expect(await tail.over).toBe("ended");
      const { event, data, id } = tail.events.at(-1) as (typeof tail.events)[number];
      expect({ event, data }).toMatchObject({ event: "end", data: ended });
      expect(data.message).toMatch(/more than 2,000,000 steps on entry 12\. Use simpler expressions/);
      expect(Number(id)).toBeLessThan(12);
    }
    await (others[0] as (typeof others)[number]).entries(40);
    await (others[1] as (typeof others)[number]).entries(20);
    expect(others[0]?.events.filter(({ event }) => event === "end")).toEqual([]);
    expect(others[1]?.messages()).toEqual(Array.from({ length: 20 }, (_, n) => `n${n}`));
    for (const tail of others) tail.close();
  });

  test("ends also when it catches up", async () => {
    const project = await newProject();
    await project.write([{ message: "before" }, { message: longMessage }, { message: "behind" }]);
    const tail = await openTail(service, await project.newKey("costly"), { query: costlyQuery, cursor: "0" });
    expect(await tail.over).toBe("ended");
    expect(tail.events.at(-1)).toMatchObject({ event: "end", id: "0", data: ended });
  });

  test("is not opened again by the SDK, which throws what the event says", async () => {
    const project = await newProject();
    let connections = 0;
    const reader = new SazabiAdmin({
      secretKey: await project.newKey("costly"),
      baseUrl: service.url,
      fetch: (url, init) => {
        connections += 1;
        return fetch(url, init);
      },
    });
    const reading = (async () => {
      const found: TailedLog[] = [];
      for await (const log of reader.logs.tail({ query: `${costlyQuery} OR first`, cursor: "0" })) found.push(log);
      return found;
    })();
    const failure = reading.catch((error) => error);
    await project.write({ message: "first" });
    await project.write({ message: longMessage });
    expect(await failure).toBeInstanceOf(SazabiApiError);
    expect(await failure).toMatchObject({ ...ended, message: expect.stringMatching(/^The tail ended: /) });
    expect(connections).toBe(1);
  });
});

test("the tails of one key share its steps; when they are used up, they end, and another key's go on", async () => {
  const project = await newProject();
  const { rows } = await queryDatabase(service.databaseUrl, "select number from projects where id = $1", [project.id]);
  const store = openPostgresLogStore({ url: service.databaseUrl, retentionDays: 30 });
  // On a clock that stands still no step comes back, however slow the machine is.
  const tails = new LogTails(store, () => 0);
  // Each takes about 1.5 million steps on an entry.
  const queryOf = (index: number) => Array.from({ length: 6 }, (_, n) => `/a[ab]x${index}${n}/`).join(" OR ");
  const open = (keyId: string, index: number) =>
    tails.open({
      keyId,
      organizationId: "organization",
      projectNumber: rows[0].number,
      query: parseQuery(queryOf(index)).ast,
      after: undefined,
    });
  const costly = await Promise.all(Array.from({ length: 20 }, (_, index) => open("costly", index)));
  const other = await open("other", 99);
  const endings = costly.map((tail) => tail.next().catch((error) => error));
  const found = other.next();
  await project.write(Array.from({ length: 4 }, () => ({ message: longMessage })));
  for (const ending of endings) {
    expect(await ending).toMatchObject({
      code: ended.code,
      options: { reason: ended.reason },
      message: expect.stringContaining("used up their steps"),
    });
  }
  await expect(open("costly", 0)).rejects.toMatchObject({ code: "RATE_LIMIT_EXCEEDED" });
  await project.write({ message: "aax990" });
  expect((await found)?.map(({ message }) => message)).toEqual(["aax990"]);
  expect(tails.gauges()).toEqual({ open: 1, bufferedBytes: expect.any(Number) });
  tails.close();
  await store.close();
});

describe("readers that take nothing", () => {
  let replica: Replica;
  beforeAll(async () => {
    const { keyPepper, masterKey } = service.keyrings;
    replica = await startReplica({
      databaseUrl: service.databaseUrl,
      env: { NODE_OPTIONS: `--import ${collectGarbage}` },
      secrets: { pepper: textOf(keyPepper as Keyring), masterKey: textOf(masterKey as Keyring) },
    });
  }, 180_000);
  afterAll(() => replica?.stop());

  test("200 of them take bounded memory, others go on, and the memory comes back", { timeout: 600_000 }, async () => {
    const project = await newProject();
    const filler = "x".repeat(9_000);
    for (let batch = 0; batch < 4; batch++) {
      await project.write(Array.from({ length: 500 }, () => ({ message: filler })));
    }
    const elsewhere = await newProject();
    const tail = await openTail(replica, await elsewhere.newKey("other"));
    const before = await heldBy(replica);
    const keys = await Promise.all(Array.from({ length: 10 }, (_, index) => project.newKey(`unread ${index}`)));
    let written = 0;
    const goOn = async () => {
      await elsewhere.write({ message: "during" });
      await tail.entries(++written);
    };
    for (let wave = 0; wave < 3; wave++) {
      const sockets = keys.flatMap((key) => Array.from({ length: 20 }, () => openUnread(replica, key)));
      for (let round = 0; round < 30; round++) {
        await goOn();
        await sleep(100);
        if (round % 10 === 9) expect((await heldBy(replica)) - before).toBeLessThan(250);
      }
      for (const socket of sockets) socket.destroy();
    }
    await goOn();
    let after = await heldBy(replica);
    // The service sees the end of a connection when its loop comes to it, and the system takes pages back by and by.
    for (let n = 0; n < 100 && after - before > 100; n++) after = await heldBy(replica);
    expect(after - before).toBeLessThan(100);
    tail.close();
  });

  function openUnread({ url }: Replica, key: string): Socket {
    const socket = connect(Number(new URL(url).port), "127.0.0.1");
    socket.pause();
    socket.on("error", () => {});
    const { authorization } = bearer(key);
    socket.write(`GET /v1/tail?cursor=1 HTTP/1.1\r\nhost: x\r\nauthorization: ${authorization}\r\n\r\n`);
    return socket;
  }
});

function textOf({ current }: Keyring): string {
  return `${current.version}:${current.secret.toString("base64")}`;
}

/** MiB that are left when garbage is collected. */
async function heldBy(replica: Replica): Promise<number> {
  replica.process.kill("SIGUSR2");
  // The signal is a turn of the loop; two more collect what the first made collectable.
  await sleep(300);
  replica.process.kill("SIGUSR2");
  await sleep(300);
  return rssOf(replica);
}

/** MiB. */
function rssOf({ process }: Replica): number {
  const kilobytes = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${process.pid}/status`, "utf8"))?.[1];
  return Math.round(Number(kilobytes) / 1024);
}
