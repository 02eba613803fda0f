import type { Readable } from "node:stream";
import { ApiError } from "../errors.ts";

/** Initial time limit of a body in milliseconds. */
const patienceMs = 10_000;
/** The time limit grows by one millisecond for this many received bytes: 64 KiB a second. */
const minimumBytesPerMs = 64 * 1.024;

/**
 * Passes the chunks of a request body to `onChunk` as they arrive. When `onChunk` returns a promise,
 * reading pauses until it resolves. Rejects with the error of `onChunk`, 408 when the body arrives too
 * slowly, and 400 when the connection ends early. The stream then stays open and paused, so that the
 * response can still be sent.
 */
export function receiveBody(incoming: Readable, onChunk: (chunk: Buffer) => void | Promise<void>): Promise<void> {
  return new Promise((resolve, reject) => {
    const startedAt = performance.now();
    let received = 0;
    /** True while a chunk is being processed and the sender has to wait. */
    let isHandling = false;
    let timer = setTimeout(checkPace, patienceMs);

    function checkPace(): void {
      const leftMs = patienceMs + received / minimumBytesPerMs - (performance.now() - startedAt);
      if (leftMs <= 0 && !isHandling) fail(tooSlow());
      else timer = setTimeout(checkPace, Math.max(leftMs, 1_000));
    }

    function onData(chunk: Buffer): void {
      received += chunk.length;
      try {
        const handled = onChunk(chunk);
        if (handled) wait(handled);
      } catch (error) {
        fail(error);
      }
    }

    function wait(handled: Promise<void>): void {
      isHandling = true;
      incoming.pause();
      handled.then(() => {
        isHandling = false;
        incoming.resume();
      }, fail);
    }

    function onEnd(): void {
      stop();
      resolve();
    }

    function onClose(): void {
      fail(cutOff());
    }

    function fail(error: unknown): void {
      stop();
      incoming.pause();
      // Ignores later errors of the connection: without a listener, an error would end the process.
      incoming.on("error", () => {});
      reject(error);
    }

    function stop(): void {
      clearTimeout(timer);
      incoming.off("data", onData).off("end", onEnd).off("error", onClose).off("close", onClose);
    }

    if (incoming.destroyed) return fail(cutOff());
    incoming.on("data", onData).on("end", onEnd).on("error", onClose).on("close", onClose);
  });
}

function tooSlow(): ApiError {
  return new ApiError(
    "REQUEST_TIMEOUT",
    `The body came too slowly. It has ${patienceMs / 1000} seconds, and one more for each 64 KiB of it.`,
  );
}

function cutOff(): ApiError {
  return new ApiError("VALIDATION_ERROR", "The connection ended before the body did.");
}
