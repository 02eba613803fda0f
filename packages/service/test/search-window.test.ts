import { connect, type Socket } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { bearer, send, startTestService, type TestService } from "./support/index.ts";

let service: TestService;
beforeAll(async () => {
  service = await startTestService();
});
afterAll(() => service.close());

const ask = async (path: string, body: object) => {
  const answer = await send(service, `POST /v1/logs/${path}`, { headers: bearer(service.secretKey), body });
  return answer.body.data ?? answer.body;
};

test("a query, facets, volume and patterns without a window find the same entries, also those of fast clocks", async () => {
  const ahead = [30_000, 2 * 3_600_000, 23 * 3_600_000, -30_000, -23 * 3_600_000].map((ms) => ({
    message: "fast clock",
    service: "clocks",
    timestamp: new Date(Date.now() + ms).toISOString(),
  }));
  await send(service, "POST /v1/logs", { headers: { "x-sazabi-key": service.publicKey }, body: ahead });
  const entries = (await ask("query", { search: { query: "service:clocks" } })) as unknown[];
  expect(entries).toHaveLength(5);
  const facets = await ask("facets", { field: "service", search: { query: "service:clocks" } });
  expect(facets.values).toEqual([{ value: "clocks", count: 5 }]);
  const volume = await ask("volume", { query: "service:clocks" });
  expect(volume).toMatchObject({ total: 5, interval: "15m" });
  const { patterns } = await ask("patterns", { query: "service:clocks" });
  expect(patterns).toMatchObject([{ occurrences: 5 }]);
  const endDate = new Date().toISOString();
  expect(await ask("volume", { query: "service:clocks", endDate })).toMatchObject({ total: 2 });
  expect((await ask("patterns", { query: "service:clocks", endDate })).patterns).toMatchObject([{ occurrences: 2 }]);
});

test("a filter with too many values is refused with the limit", async () => {
  const value = Array.from({ length: 101 }, String);
  const answer = await send(service, "POST /v1/logs/query", {
    headers: bearer(service.secretKey),
    body: { filters: [{ field: "user", op: "in", value }] },
  });
  expect(answer.status).toBe(400);
  expect(answer.text).toContain("filters.0.value: must have at most 100 items");
  const volume = await send(service, "POST /v1/logs/volume", {
    headers: bearer(service.secretKey),
    body: { filters: { service_name: value } },
  });
  expect(volume.text).toContain("filters.service_name: must have at most 100 items");
});

describe("HTTP/1.0 without Host", () => {
  function exchange(text: string): Promise<string> {
    const { port } = new URL(service.url);
    return new Promise((resolve, reject) => {
      let answer = "";
      connect(Number(port), "127.0.0.1", function (this: Socket) {
        this.write(text);
      })
        .on("data", (chunk) => (answer += chunk))
        .on("end", () => resolve(answer))
        .on("error", reject);
    });
  }

  test.each(["/healthz", "/readyz"])("gets the health of %s", async (path) => {
    expect(await exchange(`GET ${path} HTTP/1.0\r\n\r\n`)).toMatch(/^HTTP\/1\.\d 200 /);
  });

  test("stores logs", async () => {
    const body = '{"message":"from HTTP/1.0"}';
    const head = `POST /v1/logs HTTP/1.0\r\nx-sazabi-key: ${service.publicKey}\r\ncontent-length: ${body.length}`;
    expect(await exchange(`${head}\r\n\r\n${body}`)).toMatch(/^HTTP\/1\.\d 202 /);
  });

  test("stays refused in HTTP/1.1, which asks for it", async () => {
    expect(await exchange("GET /healthz HTTP/1.1\r\n\r\n")).toMatch(/^HTTP\/1\.1 400 /);
  });
});
