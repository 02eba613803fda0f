import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";
import { bearer, readMetric, send, startTestService, type TestService } from "./support/index.ts";

let service: TestService;
const sockets: Socket[] = [];

beforeAll(async () => {
  service = await startTestService({ metrics: { host: "127.0.0.1", port: 0 } });
});
afterAll(async () => {
  for (const socket of sockets) socket.destroy();
  await service.close();
});

async function open(localAddress = "127.0.0.1"): Promise<Socket> {
  const socket = connect({ port: Number(new URL(service.url).port), host: "127.0.0.1", localAddress });
  socket.on("error", () => {});
  sockets.push(socket);
  await once(socket, "connect");
  return socket;
}

const metric = (name: string) => readMetric(service, name);

/** The first line of the answer to a request on this connection; "closed" when there is none. */
async function ask(socket: Socket): Promise<string> {
  const answer = new Promise<string>((resolve) => {
    socket.once("data", (chunk) => resolve(String(chunk).split("\r\n", 1)[0] as string));
    socket.once("close", () => resolve("closed"));
  });
  socket.write("GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n");
  return answer;
}

test("an address may have 1,000 connections; one more is closed, another address is served, and room comes back", async () => {
  // Those of other tests' requests may still be open, and are the first address's, too.
  const left = 1_000 - (await metric("sazabi_connections_open"));
  const held: Socket[] = [];
  while (held.length < left) held.push(...(await Promise.all(Array.from({ length: 50 }, () => open()))));
  await expect.poll(() => metric("sazabi_connections_open")).toBe(1_000);
  expect(await ask(await open())).toBe("closed");
  expect(await metric("sazabi_connections_refused_total")).toBeGreaterThan(0);
  expect(await ask(await open("127.0.0.2"))).toBe("HTTP/1.1 200 OK");
  expect(await ask(held[0] as Socket)).toBe("HTTP/1.1 200 OK");
  for (const socket of held.slice(0, 10)) socket.destroy();
  await expect.poll(() => metric("sazabi_connections_open")).toBeLessThan(1_000);
  expect(await ask(await open())).toBe("HTTP/1.1 200 OK");
});

test("a tail whose reader takes nothing is closed when its key is revoked, with what waits in its buffer", async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  const { body: created } = await send(service, "POST /v1/secret-keys", {
    headers: bearer(service.secretKey),
    body: { name: "watcher" },
  });
  const { id, value } = created.secretKey;
  const reader = await open("127.0.0.3");
  reader.write(
    `GET /v1/tail?projectId=${service.projectId} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${value}\r\n\r\n`,
  );
  await once(reader, "data");
  reader.pause();
  const message = "x".repeat(9_000);
  for (let batch = 0; batch < 4; batch++) {
    const body = Array.from({ length: 1_000 }, () => ({ message }));
    const stored = await send(service, "POST /v1/logs", { headers: bearer(service.publicKey), body });
    expect(stored.status).toBe(202);
  }
  // More than the buffers of the connection hold: the tail waits for its reader.
  await expect.poll(() => metric("sazabi_tail_buffered_bytes")).toBeGreaterThan(1_000_000);
  const gone = await send(service, `DELETE /v1/secret-keys/${id}`, { headers: bearer(service.secretKey) });
  expect(gone.status).toBe(204);
  await expect.poll(() => metric("sazabi_tails_open")).toBe(0);
  await expect.poll(() => metric("sazabi_tail_buffered_bytes")).toBe(0);
  // All that is left is what the operating system had taken before: no end of the answer follows it.
  let rest = "";
  reader.on("data", (chunk) => {
    rest += chunk;
  });
  const closed = once(reader, "close");
  reader.resume();
  await closed;
  expect(rest.endsWith("0\r\n\r\n")).toBe(false);
});
