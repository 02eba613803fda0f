import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";
import { addressList } from "../src/addresses.ts";
import { bearer, send, startTestService, type TestService } from "./support/index.ts";

/* What an address without a key may hold and do. */

let service: TestService;
beforeAll(async () => {
  service = await startTestService();
});
afterAll(() => service.close());

const otlp = { "content-type": "application/json" };

function open(url: string): Promise<Socket> {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  socket.on("error", () => {});
  return once(socket, "connect").then(() => socket);
}

/** How many of them the service has closed by the time it has answered a request. */
async function closedOf(sockets: readonly Socket[]): Promise<number> {
  const isClosed = new Set<Socket>();
  for (const socket of sockets) socket.resume().once("close", () => isClosed.add(socket));
  await new Promise((resolve) => setTimeout(resolve, 500));
  return isClosed.size;
}

test("an address has a thousand connections, and gets others when it closes some; a trusted proxy has more", async () => {
  const behindProxy = await startTestService({ trustedProxies: addressList(["127.0.0.0/8"]) });
  try {
    const sockets = await Promise.all(Array.from({ length: 1_050 }, () => open(service.url)));
    expect(await closedOf(sockets)).toBe(50);
    for (const socket of sockets) socket.destroy();
    const proxied = await Promise.all(Array.from({ length: 1_050 }, () => open(behindProxy.url)));
    expect(await closedOf(proxied)).toBe(0);
    for (const socket of proxied) socket.destroy();
    expect(await send(service, "GET /v1/me", { headers: bearer(service.secretKey) })).toMatchObject({ status: 200 });
  } finally {
    await behindProxy.close();
  }
});

test("an address that sends bodies without a key is refused before they are read; a key in a header is not", async () => {
  const body = { resourceLogs: [] };
  const statuses: number[] = [];
  // Ten a second are forgotten meanwhile: on a slow machine it takes more of them.
  for (let count = 0; count < 1_000 && statuses.at(-1) !== 429; count++) {
    statuses.push((await send(service, "POST /v1/logs", { headers: otlp, body })).status);
  }
  expect(statuses.slice(0, 100)).toEqual(Array(100).fill(401));
  expect(statuses.at(-1)).toBe(429);
  const withKey = { headers: { "x-sazabi-key": service.publicKey }, body: { message: "m" } };
  expect(await send(service, "POST /v1/logs", withKey)).toMatchObject({ status: 202 });
});
