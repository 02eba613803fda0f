import { Readable } from "node:stream";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { receiveBody } from "../../src/http/receive-body.ts";

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] });
});
afterEach(() => {
  vi.useRealTimers();
});

const newStream = () => new Readable({ read() {} });
const nextRound = () => new Promise((resolve) => setImmediate(resolve));

test("a body that does not come is given up after ten seconds, and its stream stays open", async () => {
  const stream = newStream();
  const refused = expect(receiveBody(stream, () => {})).rejects.toMatchObject({ code: "REQUEST_TIMEOUT", status: 408 });
  await vi.advanceTimersByTimeAsync(10_001);
  await refused;
  expect(stream.destroyed).toBe(false);
});

test("what came buys a second for each 64 KiB", async () => {
  const stream = newStream();
  let received = 0;
  let isRefused = false;
  const receiving = receiveBody(stream, (chunk) => {
    received += chunk.length;
  }).catch(() => {
    isRefused = true;
  });
  stream.push(Buffer.alloc(640 * 1024));
  await nextRound();
  expect(received).toBe(640 * 1024);
  await vi.advanceTimersByTimeAsync(19_000);
  expect(isRefused).toBe(false);
  await vi.advanceTimersByTimeAsync(2_100);
  await receiving;
  expect(isRefused).toBe(true);
});

test("while a chunk is handled nothing more is read, and the sender is not blamed", async () => {
  const stream = newStream();
  let goOn = () => {};
  const chunks: string[] = [];
  const receiving = receiveBody(stream, (chunk) => {
    chunks.push(chunk.toString());
    return new Promise<void>((resolve) => {
      goOn = resolve;
    });
  });
  stream.push("a");
  await nextRound();
  stream.push("b");
  await nextRound();
  expect(chunks).toEqual(["a"]);
  await vi.advanceTimersByTimeAsync(15_000);
  goOn();
  await nextRound();
  expect(chunks).toEqual(["a", "b"]);
  stream.push(null);
  goOn();
  await receiving;
});

test("a connection that ends early is a refusal, whatever its error is called", async () => {
  const stream = newStream();
  const refused = expect(receiveBody(stream, () => {})).rejects.toMatchObject({ code: "VALIDATION_ERROR" });
  stream.destroy(Object.assign(new Error("aborted"), { code: "ECONNRESET" }));
  await refused;
  await expect(receiveBody(stream, () => {})).rejects.toMatchObject({ code: "VALIDATION_ERROR" });
});

test("what a chunk's handler throws ends it, and the stream stays open", async () => {
  const stream = newStream();
  const receiving = receiveBody(stream, () => {
    throw new Error("too large");
  });
  stream.push("a");
  await expect(receiving).rejects.toThrow("too large");
  expect(stream.destroyed).toBe(false);
});
