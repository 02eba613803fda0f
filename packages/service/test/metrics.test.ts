import { afterAll, afterEach, beforeAll, expect, test, vi } from "vitest";
import { EventLoopWatchdog } from "../src/metrics/event-loop.ts";
import { Metrics } from "../src/metrics/metrics.ts";
import { bearer, send, startTestService, type TestService } from "./support/index.ts";

let service: TestService;

beforeAll(async () => {
  service = await startTestService({ metrics: { host: "127.0.0.1", port: 0 } });
});
afterEach(() => vi.restoreAllMocks());
afterAll(() => service.close());

async function scrape(): Promise<{ readonly text: string; value(line: string): number }> {
  const answer = await fetch(service.metricsUrl as string);
  expect(answer.status).toBe(200);
  expect(answer.headers.get("content-type")).toBe("text/plain; version=0.0.4; charset=utf-8");
  const text = await answer.text();
  const value = (line: string) =>
    Number(
      text
        .split("\n")
        .find((candidate) => candidate.startsWith(`${line} `))
        ?.slice(line.length + 1),
    );
  return { text, value };
}

test("the metrics are in Prometheus' text format, each described once", async () => {
  const { text, value } = await scrape();
  const described = new Set<string>();
  for (const line of text.trimEnd().split("\n")) {
    const help = /^# (?:HELP|TYPE) (\S+) /.exec(line);
    if (help) described.add(help[1] as string);
    else
      expect(described).toContain(
        /^([a-z_:][a-z0-9_:]*)(?:\{[a-z_]+="[^"\\\n]*"(?:,[a-z_]+="[^"\\\n]*")*\})? [-+0-9.e]+$/.exec(line)?.[1],
      );
  }
  expect(text.match(/^# TYPE /gm)?.length).toBe(described.size);
  expect(value("sazabi_lease_held")).toBe(1);
  expect(value("sazabi_replicas")).toBeGreaterThanOrEqual(1);
  expect(value("sazabi_intake_queue_bytes")).toBe(0);
  expect(value('sazabi_searches_waiting{kind="search"}')).toBe(0);
  expect(value("sazabi_tails_open")).toBe(0);
  expect(value('sazabi_database_connections{pool="requests",state="awaited"}')).toBe(0);
  expect(value("process_resident_memory_bytes")).toBeGreaterThan(1e7);
  expect(value('sazabi_event_loop_delay_seconds{quantile="0.99"}')).toBeGreaterThanOrEqual(0);
});

test("they are on an address of their own, and not served without one", async () => {
  expect(await send(service, "GET /metrics")).toMatchObject({ status: 404 });
  expect(await send(service, "GET /v1/metrics")).toMatchObject({ status: 404 });
  const root = new URL("/", service.metricsUrl);
  expect((await fetch(root)).status).toBe(404);
  expect((await fetch(service.metricsUrl as string, { method: "POST", body: "x" })).status).toBe(404);
  const plain = await startTestService();
  expect(plain.metricsUrl).toBeUndefined();
  await plain.close();
});

test("answers are counted by class of status", async () => {
  const before = await scrape();
  await send(service, "GET /v1/me", { headers: bearer(service.secretKey) });
  await send(service, "GET /v1/me", { headers: bearer(service.secretKey) });
  await send(service, "GET /v1/nothing");
  const after = await scrape();
  const grown = (status: string) => {
    const line = `sazabi_requests_total{status="${status}"}`;
    return after.value(line) - before.value(line);
  };
  expect([grown("2xx"), grown("4xx"), grown("5xx")]).toEqual([2, 1, 0]);
  expect(after.value("sazabi_requests_in_flight")).toBe(0);
});

test("neither a key nor a name is in them", async () => {
  const name = "a name nobody else has";
  const body = { name };
  const made = await send(service, "POST /v1/secret-keys", { headers: bearer(service.secretKey), body });
  await send(service, "GET /v1/me", { headers: bearer(made.body.secretKey.value) });
  const { text } = await scrape();
  for (const secret of [name, made.body.secretKey.value, made.body.secretKey.id, service.organizationId, "127.0.0.1"]) {
    expect(text).not.toContain(secret);
  }
});

test.each([
  ["revoked", (id: string) => send(service, `DELETE /v1/secret-keys/${id}`, { headers: bearer(service.secretKey) })],
  [
    "rotated",
    (id: string) =>
      send(service, `POST /v1/secret-keys/${id}/rotate`, {
        headers: bearer(service.secretKey),
        body: { graceSeconds: 0 },
      }),
  ],
] as const)(
  "a %s key that is still used is counted and is in the log by its id, never by itself",
  async (reason, end) => {
    const body = { name: reason };
    const made = await send(service, "POST /v1/secret-keys", { headers: bearer(service.secretKey), body });
    const { id, value: key } = made.body.secretKey;
    expect((await end(id)).status).toBeLessThan(300);
    const written: string[] = [];
    vi.spyOn(process.stdout, "write").mockImplementation((text) => written.push(String(text)) > 0);
    const line = `sazabi_dead_key_uses_total{reason="${reason}"}`;
    const before = (await scrape()).value(line);
    for (let index = 0; index < 3; index++) {
      expect((await send(service, "GET /v1/me", { headers: bearer(key) })).status).toBe(401);
    }
    expect((await scrape()).value(line) - before).toBe(3);
    const lines = written.filter((text) => text.includes(id)).map((text) => JSON.parse(text));
    expect(lines).toMatchObject([{ level: "warn", keyId: id, reason, times: 1, address: "127.0.0.1" }]);
    expect(written.join("")).not.toContain(key);
  },
);

test("a reading that fails or hangs is left out, and the others are there", async () => {
  const metrics = new Metrics();
  metrics.gauge("good", "Works.", () => 1);
  metrics.gauge("bad", "Fails.", () => Promise.reject(new Error("no")));
  metrics.gauge("stuck", "Hangs.", () => new Promise(() => {}));
  metrics.gauge("shared", "Two parts.", () => [{ labels: { part: "a" }, value: 1 }]);
  metrics.gauge("shared", "Two parts.", () => [{ labels: { part: 'b"\n' }, value: 2 }]);
  expect(() => metrics.counter("good", "Something else.", () => 1)).toThrow(/registered as a gauge/);
  expect(await metrics.text()).toBe(
    "# HELP good Works.\n# TYPE good gauge\ngood 1\n" +
      '# HELP shared Two parts.\n# TYPE shared gauge\nshared{part="a"} 1\nshared{part="b__"} 2\n',
  );
});

test("a stall of the event loop is seen right after it, and makes the process not ready", async () => {
  const watchdog = new EventLoopWatchdog();
  // The first interval has to begin before the stall does.
  await new Promise((resolve) => setTimeout(resolve, 100));
  const until = performance.now() + 3_200;
  while (performance.now() < until);
  await expect.poll(() => watchdog.recentStallMs()).toBeGreaterThan(3_000);
  watchdog.close();
  expect(await send(service, "GET /readyz")).toMatchObject({
    status: 503,
    body: { message: expect.stringContaining("stood still") },
  });
  expect((await scrape()).value("sazabi_event_loop_stall_seconds")).toBeGreaterThan(3);
  expect((await send(service, "GET /healthz")).status).toBe(200);
  await expect.poll(async () => (await send(service, "GET /readyz")).status, { timeout: 30_000 }).toBe(200);
}, 60_000);
