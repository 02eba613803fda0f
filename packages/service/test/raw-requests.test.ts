import { randomBytes } from "node:crypto";
import { connect } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { bearer, send, startTestService, type TestService } from "./support/index.ts";

/*
 * Requests of the intake written by hand, byte for byte, as clients are reported to send them.
 */

let service: TestService;
beforeAll(async () => {
  service = await startTestService();
});
afterAll(() => service.close());

const unique = () => `m${randomBytes(6).toString("hex")}`;

interface Exchange {
  /** What is written first, and what after each answer that came. */
  readonly parts: readonly string[];
  /** The client closes its half once it has written everything. */
  readonly ends?: boolean;
}

/** What comes back until the service closes the connection. */
function exchange({ parts, ends = false }: Exchange): Promise<string> {
  const { hostname, port } = new URL(service.url);
  return new Promise((resolve, reject) => {
    const waiting = [...parts];
    let answer = "";
    const socket = connect(Number(port), hostname);
    const writeNext = () => {
      const part = waiting.shift();
      if (part !== undefined) socket.write(part, "latin1");
      if (ends && waiting.length === 0) socket.end();
    };
    socket.setEncoding("latin1");
    socket.on("data", (text) => {
      answer += text;
      writeNext();
    });
    socket.on("connect", writeNext);
    socket.on("end", () => resolve(answer));
    socket.on("close", () => resolve(answer));
    socket.on("error", reject);
  });
}

function head(lines: readonly string[], key = service.publicKey): string {
  const common = [
    "POST /v1/logs HTTP/1.1",
    "Host: localhost",
    `x-sazabi-key: ${key}`,
    "Content-Type: application/json",
  ];
  return `${[...common, ...lines].join("\r\n")}\r\n\r\n`;
}

const statuses = (answer: string) => [...answer.matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, status]) => Number(status));
const chunk = (text: string) => `${text.length.toString(16)}\r\n${text}\r\n`;

async function stored(message: string): Promise<number> {
  const body = { search: { query: message } };
  return (await send(service, "POST /v1/logs/query", { headers: bearer(service.secretKey), body })).body.data.length;
}

describe("Expect", () => {
  test("100-continue is answered before the body, and then the request", async () => {
    const message = unique();
    const body = `{"message":"${message}"}`;
    const first = head(["Expect: 100-continue", `Content-Length: ${body.length}`, "Connection: close"]);
    expect(statuses(await exchange({ parts: [first, body] }))).toEqual([100, 202]);
    expect(await stored(message)).toBe(1);
  });

  test("100-continue with a wrong key is refused", async () => {
    const first = head(["Expect: 100-continue", "Content-Length: 2", "Connection: close"], "pk_live_wrong");
    expect(statuses(await exchange({ parts: [first, "{}"] })).at(-1)).toBe(401);
  });

  test("another word is 417", async () => {
    const first = head(["Expect: a-miracle", "Content-Length: 2", "Connection: close"]);
    expect(statuses(await exchange({ parts: [first] }))).toEqual([417]);
  });
});

describe("a body in chunks", () => {
  const chunked = ["Transfer-Encoding: chunked", "Connection: close"];

  test("of one byte each, with an extension and a trailer, is stored whole", async () => {
    const message = unique();
    const chunks = [...`{"message":"${message}"}`].map(chunk).join("");
    const body = `${chunks.replace("1\r\n", "1;name=value\r\n")}0\r\nx-trailer: 1\r\n\r\n`;
    expect(statuses(await exchange({ parts: [head(chunked) + body] }))).toEqual([202]);
    expect(await stored(message)).toBe(1);
  });

  test.each([
    ["before its last chunk", (body: string) => chunk(body)],
    ["inside a chunk", (body: string) => chunk(body).slice(0, -10)],
    ["between two lines", (body: string) => chunk(`${body}\n`)],
  ])("that stops %s is stored neither whole nor in part", async (_, write) => {
    const message = unique();
    const answer = await exchange({ parts: [head(chunked) + write(`{"message":"${message}"}`)], ends: true });
    expect(statuses(answer).filter((status) => status < 400)).toEqual([]);
    expect(await stored(message)).toBe(0);
  });
});

test("requests that come at once on one connection are answered in their order", async () => {
  const message = unique();
  const request = (body: string, close = false) =>
    head([`Content-Length: ${body.length}`, ...(close ? ["Connection: close"] : [])]) + body;
  const good = `{"message":"${message}"}`;
  const parts = [request(good) + request("{") + request(good) + request("5") + request(good, true)];
  expect(statuses(await exchange({ parts }))).toEqual([202, 400, 202, 400, 202]);
  expect(await stored(message)).toBe(3);
});

test("a connection that is kept says for how long, and it is longer than proxies keep theirs", async () => {
  const { headers } = await send(service, "GET /healthz");
  expect(Number(/^timeout=(\d+)/.exec(headers.get("keep-alive") ?? "")?.[1])).toBeGreaterThan(60);
});

test("a proxy is told not to gather the answer of a tail", async () => {
  const leaving = new AbortController();
  const answer = await fetch(new URL("/v1/tail", service.url), {
    headers: bearer(service.secretKey),
    signal: leaving.signal,
  });
  expect(answer.headers.get("x-accel-buffering")).toBe("no");
  expect(answer.headers.get("content-type")).toMatch(/^text\/event-stream/);
  leaving.abort();
});
