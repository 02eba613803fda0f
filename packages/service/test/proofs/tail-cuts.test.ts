import { setTimeout as sleep } from "node:timers/promises";
import { SazabiAdmin, type TailedLog, type TailGap } from "@sazabi/sdk";
import { afterAll, beforeAll, expect, test } from "vitest";
import { send, startTestService, type TestService } from "../support/index.ts";
import { type CuttableProxy, openCuttableProxy } from "../support/proxy.ts";
import { scaled } from "../support/scale.ts";

const entries = scaled({ committed: 4_000, full: 50_000 });
const cuts = scaled({ committed: 10, full: 100 });
const batch = 20;
const writers = 4;

let replicas: TestService[];
let ways: CuttableProxy[];
beforeAll(async () => {
  const first = await startTestService();
  const second = await startTestService({ databaseUrl: first.databaseUrl, ...first.keyrings });
  replicas = [first, second];
  ways = await Promise.all(replicas.map(({ url }) => openCuttableProxy(url)));
});
afterAll(async () => {
  for (const way of ways) await way.close();
  for (const replica of [...replicas].reverse()) await replica.close({ keepDatabase: replica !== replicas[0] });
});

/** Entries on both replicas, with timestamps in no order; resolves with how many were acknowledged. */
async function writeAll(): Promise<number> {
  let written = 0;
  let next = 0;
  const write = async (writer: number) => {
    while (next < entries) {
      const from = next;
      next += batch;
      const body = Array.from({ length: batch }, (_, index) => ({
        message: `${from + index}`,
        timestamp: Date.now() - ((from + index) % 7) * 3_600_000,
        level: index % 2 ? "info" : "error",
      }));
      const answer = await send(replicas[writer % 2] as TestService, "POST /v1/logs", {
        headers: { "x-sazabi-key": (replicas[0] as TestService).publicKey },
        body,
      });
      expect(answer.status).toBe(202);
      written += batch;
      // As long as there are cuts to come.
      await sleep(40);
    }
  };
  await Promise.all(Array.from({ length: writers }, (_, writer) => write(writer)));
  return written;
}

test(`${entries} entries through two replicas and ${cuts} cuts: a reader that resumes sees each once, in the order of ids`, {
  timeout: scaled({ committed: 120_000, full: 3_600_000 }),
}, async () => {
  const [first] = replicas as [TestService, TestService];
  const [toFirst] = ways as [CuttableProxy, CuttableProxy];
  let connections = 0;
  const gaps: TailGap[] = [];
  const admin = new SazabiAdmin({
    secretKey: first.secretKey,
    baseUrl: toFirst.url,
    // Each connection goes to the other replica than the one before.
    fetch: (url, init) =>
      fetch(url.replace(new URL(toFirst.url).host, new URL((ways[connections++ % 2] as CuttableProxy).url).host), init),
  });
  const all: TailedLog[] = [];
  const reading = (async () => {
    for await (const log of admin.logs.tail({ cursor: "0" }, { onGap: (gap) => gaps.push(gap) })) {
      all.push(log);
      if (all.length === entries) return;
    }
  })();
  const filtered: TailedLog[] = [];
  const readingFiltered = (async () => {
    for await (const log of admin.logs.tail({ cursor: "0", query: "level:error" })) {
      filtered.push(log);
      if (filtered.length === entries / 2) return;
    }
  })();

  let cut = 0;
  const cutAll = async () => {
    // A first connection that fails is told, not healed.
    while (all.length === 0 || filtered.length === 0) await sleep(5);
    while (cut < cuts) {
      await sleep(50 + Math.random() * 300);
      for (const way of ways) way.cut();
      cut += 1;
      for (const way of ways) way.restore();
    }
  };
  const [written] = await Promise.all([writeAll(), cutAll()]);
  expect(written).toBe(entries);
  await Promise.all([reading, readingFiltered]);

  expect(all.map(({ id }) => Number(id))).toEqual(Array.from({ length: entries }, (_, index) => index + 1));
  expect(new Set(all.map(({ body }) => body)).size).toBe(entries);
  expect(filtered.map(({ id }) => id)).toEqual(all.filter(({ severity }) => severity === "ERROR").map(({ id }) => id));
  expect(gaps.length).toBeGreaterThan(0);
  expect(connections).toBeGreaterThan(gaps.length);
});
