import { createServer } from "node:net";
import { afterEach, describe, expect, test } from "vitest";
import { readBaseUrl } from "../../src/base-url.ts";
import { SazabiApiError, SazabiConnectionError, SazabiTimeoutError } from "../../src/errors.ts";
import { path, Transport, type Wait } from "../../src/transport.ts";
import { type Answer, refusal, startLoopback } from "../support/loopback.ts";

const closers: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0)) await close();
});

async function loopback(...answers: Answer[]) {
  let turn = 0;
  const next = () => answers[Math.min(turn++, answers.length - 1)] as Answer;
  const server = await startLoopback({ "GET /v1/thing": next, "POST /v1/thing": next });
  closers.push(server.close);
  return server;
}

const get = { method: "GET", path: "/thing" } as const;
const post = { method: "POST", path: "/thing", body: { name: "a" } } as const;
const busy = (seconds: number) => ({
  ...refusal(503, "UNAVAILABLE", "Busy."),
  headers: { "retry-after": `${seconds}` },
});

describe("an answer", () => {
  test("is its JSON", async () => {
    const { url } = await loopback({ body: { a: 1 } });
    await expect(new Transport({ baseUrl: url }, {}).send(get)).resolves.toEqual({ a: 1 });
  });

  test("without a body is undefined", async () => {
    const { url } = await loopback({ status: 204 });
    await expect(new Transport({ baseUrl: url }, {}).send(get)).resolves.toBeUndefined();
  });

  test("that is no JSON is refused with a question about the address", async () => {
    const { url } = await loopback({ body: "<html>router login</html>" });
    const sent = new Transport({ baseUrl: url }, {}).send(get);
    await expect(sent).rejects.toMatchObject({
      code: "UNEXPECTED_ANSWER",
      message: expect.stringContaining("base URL"),
    });
  });

  test("that redirects is not followed, so the key stays where it was meant to go", async () => {
    const elsewhere = await loopback({ body: {} });
    const { url } = await loopback({ status: 302, headers: { location: `${elsewhere.url}/v1/thing` } });
    const sent = new Transport({ baseUrl: url }, { authorization: "Bearer x" }).send(get);
    await expect(sent).rejects.toMatchObject({ code: "UNEXPECTED_ANSWER" });
    expect(elsewhere.asked).toEqual([]);
  });
});

describe("a refusal", () => {
  test("carries code, status, reason, request id, operation, issues and missing context", async () => {
    const more = {
      reason: "missing_scope",
      issues: [{ path: "name", message: "too long" }],
      missingContext: ["projectId"],
      retryAfterSeconds: 7,
    };
    const { url } = await loopback(refusal(403, "FORBIDDEN", "No.", more));
    const error = await new Transport({ baseUrl: url }, {}).send(get).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(SazabiApiError);
    expect(error).toMatchObject({
      message: "No.",
      code: "FORBIDDEN",
      status: 403,
      requestId: "req-1",
      operationId: "test.operation",
      ...more,
    });
  });

  test("by something that explains nothing still has a status and a code", async () => {
    const { url } = await loopback({ status: 502, body: "<html>Bad Gateway</html>" });
    const sent = new Transport({ baseUrl: url }, {}).send(get);
    await expect(sent).rejects.toMatchObject({ status: 502, code: "UNEXPECTED_ANSWER" });
  });
});

describe("a busy service", () => {
  test("is asked again after the time it names, when the request only reads", async () => {
    const waits: Wait[] = [];
    const { url, asked } = await loopback(busy(0), busy(0), { body: { a: 1 } });
    const transport = new Transport({ baseUrl: url, onWait: (wait) => waits.push(wait) }, {});
    await expect(transport.send(get)).resolves.toEqual({ a: 1 });
    expect(asked).toHaveLength(3);
    expect(waits).toEqual([
      { status: 503, seconds: 0 },
      { status: 503, seconds: 0 },
    ]);
  });

  test("is not asked again when it wants more time than the budget", async () => {
    const { url, asked } = await loopback(busy(60));
    const sent = new Transport({ baseUrl: url, retryBudgetMs: 5000 }, {}).send(get);
    await expect(sent).rejects.toMatchObject({ retryAfterSeconds: 60 });
    expect(asked).toHaveLength(1);
  });

  test("that says 0 seconds for ever is given up on", async () => {
    const { url, asked } = await loopback(busy(0));
    const sent = new Transport({ baseUrl: url, retryBudgetMs: 1000 }, {}).send(get);
    await expect(sent).rejects.toBeInstanceOf(SazabiApiError);
    expect(asked.length).toBeLessThanOrEqual(11);
  });

  test("that names no time is not asked again", async () => {
    const { url, asked } = await loopback(refusal(503, "UNAVAILABLE", "Busy."));
    await expect(new Transport({ baseUrl: url }, {}).send(get)).rejects.toBeInstanceOf(SazabiApiError);
    expect(asked).toHaveLength(1);
  });

  test("never gets a POST twice, unless an idempotency key makes that safe", async () => {
    const first = await loopback(busy(0), { body: {} });
    await expect(new Transport({ baseUrl: first.url }, {}).send(post)).rejects.toMatchObject({ status: 503 });
    expect(first.asked).toHaveLength(1);
    expect(first.asked[0]?.headers["idempotency-key"]).toBeUndefined();

    const second = await loopback(busy(0), { body: {} });
    await new Transport({ baseUrl: second.url }, {}).send({ ...post, idempotencyKey: "k-1" });
    expect(second.asked.map(({ headers }) => headers["idempotency-key"])).toEqual(["k-1", "k-1"]);
  });

  test("is understood when it names a date", async () => {
    const { url } = await loopback({
      ...refusal(429, "RATE_LIMIT_EXCEEDED", "Slow down."),
      headers: { "retry-after": new Date(Date.now() + 90_000).toUTCString() },
    });
    const error = await new Transport({ baseUrl: url }, {}).send(get).catch((thrown: SazabiApiError) => thrown);
    expect((error as SazabiApiError).retryAfterSeconds).toBeGreaterThan(80);
  });

  test("is told by the end of the window where a 429 names no other time, by the clock of who answers", async () => {
    const tooMany = (headers: Record<string, string>) => ({
      ...refusal(429, "RATE_LIMIT_EXCEEDED", "Slow down."),
      headers,
    });
    const fromNow = (seconds: number) => Date.now() / 1000 + seconds;
    const cases = [
      [{ "x-ratelimit-reset": `${Math.ceil(fromNow(90))}` }, 90],
      // An hour off: what counts is how far the two are apart.
      [{ "x-ratelimit-reset": `${Math.ceil(fromNow(3690))}`, date: new Date(fromNow(3600) * 1000).toUTCString() }, 90],
      [{ "x-ratelimit-reset": "soon" }, undefined],
      [{}, undefined],
    ] as const;
    for (const [headers, seconds] of cases) {
      const { url } = await loopback(tooMany(headers));
      const error: unknown = await new Transport({ baseUrl: url, retryBudgetMs: 0 }, {}).send(get).catch((no) => no);
      const found = (error as SazabiApiError).retryAfterSeconds;
      if (seconds === undefined) expect(found).toBeUndefined();
      else expect(Math.abs((found ?? 0) - seconds)).toBeLessThanOrEqual(2);
    }
  });
});

describe("no answer", () => {
  test("names the address and keeps the cause", async () => {
    const { url, close } = await loopback({});
    await close();
    closers.length = 0;
    const error = await new Transport({ baseUrl: url }, {}).send(get).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(SazabiConnectionError);
    expect(error).not.toBeInstanceOf(SazabiTimeoutError);
    expect(error).toMatchObject({ address: url, cause: expect.anything() });
  });

  test("within the time allowed is told apart", async () => {
    const url = await silentServer();
    const sent = new Transport({ baseUrl: url, timeoutMs: 50 }, {}).send(get);
    await expect(sent).rejects.toMatchObject({ name: "SazabiTimeoutError", timeoutMs: 50, address: url });
  });

  test("is waited for no longer than the caller's signal allows", async () => {
    const url = await silentServer();
    const reason = new Error("enough");
    const sent = new Transport({ baseUrl: url }, {}).send({ ...get, signal: AbortSignal.abort(reason) });
    await expect(sent).rejects.toBe(reason);
  });

  test("ends a wait for a busy service when the caller's signal fires", async () => {
    const { url } = await loopback(busy(5));
    const controller = new AbortController();
    setTimeout(() => controller.abort(new Error("enough")), 50);
    const startedAt = Date.now();
    const sent = new Transport({ baseUrl: url }, {}).send({ ...get, signal: controller.signal });
    await expect(sent).rejects.toThrow("enough");
    expect(Date.now() - startedAt).toBeLessThan(3000);
  });

  async function silentServer(): Promise<string> {
    const sockets = new Set<{ destroy(): void }>();
    const server = createServer((socket) => sockets.add(socket));
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    closers.push(async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    });
    return `http://127.0.0.1:${(server.address() as { port: number }).port}`;
  }
});

describe("a path", () => {
  test("percent-encodes what is put into it", () => {
    expect(path`/secret-keys/${"a/b?c#d e"}/x`).toBe("/secret-keys/a%2Fb%3Fc%23d%20e/x");
  });

  test.each(["", ".", "..", "\ud800"])("refuses %j, which would change where it leads", (value) => {
    expect(() => path`/secret-keys/${value}`).toThrow(TypeError);
  });
});

describe("a base URL", () => {
  test.each([
    ["http://127.0.0.1:4600", "http://127.0.0.1:4600"],
    ["http://127.0.0.1:4600/", "http://127.0.0.1:4600"],
    ["https://api.sazabi.com/v1/", "https://api.sazabi.com"],
    ["https://example.com/sazabi/v1", "https://example.com/sazabi"],
    ["HTTP://LocalHost:80", "http://localhost"],
  ])("%s is taken as %s", (given, taken) => {
    expect(readBaseUrl(given)).toBe(taken);
  });

  test.each(["", "localhost:4600", "ftp://a", "http://user:pw@a", "http://a?key=1", "http://a#b", "not a url"])(
    "%j is refused",
    (given) => {
      expect(() => readBaseUrl(given)).toThrow(TypeError);
    },
  );
});
