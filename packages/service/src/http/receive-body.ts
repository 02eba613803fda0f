import type { Readable } from "node:stream";
import { ApiError } from "../errors.ts";

/** A body has so long to begin with … */
const patienceMs = 10_000;
/** … and a millisecond more for each so many bytes of it that came: 64 KiB a second. */
const minimumBytesPerMs = 64 * 1.024;

/**
 * Hands over the chunks of a request body as they come. Where `onChunk` returns a promise, no more is read until it
 * resolves. Rejects with what `onChunk` throws, 408 when the body comes too slowly, and 400 when the connection ends
 * early. The stream is then left open and paused, so that the answer can still be sent on its connection.
 */
export function receiveBody(incoming: Readable, onChunk: (chunk: Buffer) => void | Promise<void>): Promise<void> {
  return new Promise((resolve, reject) => {
    const startedAt = performance.now();
    let received = 0;
    /** A chunk is being handled, and the sender waits for us. */
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
      // The connection may end later. That concerns nobody, but an error without a listener would end the process.
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
