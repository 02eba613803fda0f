import { ApiError } from "../errors.ts";

/** Native queries of all organizations that run at once in this process. */
const atOnce = 2;
const waiting = 16;
const longestWaitMs = 10_000;

/** Bounds the queries that run at once, and so the memory they take together. */
export class NativeSlots {
  #taken = 0;
  readonly #line = new Set<() => void>();
  #onIdle: (() => void) | undefined;

  /** Resolves with what gives the slot back. Throws 503 when there is none in time, the signal's reason when it is aborted. */
  async take(signal: AbortSignal | undefined): Promise<() => void> {
    signal?.throwIfAborted();
    if (this.#taken < atOnce) this.#taken += 1;
    else await this.#wait(signal);
    return () => this.#giveBack();
  }

  /** Runs work that holds memory no longer than it takes. */
  async run<T>(signal: AbortSignal | undefined, work: () => Promise<T>): Promise<T> {
    const release = await this.take(signal);
    try {
      return await work();
    } finally {
      release();
    }
  }

  /** Resolves when no slot is taken. */
  async close(): Promise<void> {
    if (this.#taken > 0) await new Promise<void>((resolve) => (this.#onIdle = resolve));
  }

  #wait(signal: AbortSignal | undefined): Promise<void> {
    if (this.#line.size >= waiting) throw tooMany();
    return new Promise((resolve, reject) => {
      const leave = (error: unknown) => {
        this.#line.delete(enter);
        stopWaiting();
        reject(error);
      };
      const onAbort = () => leave(signal?.reason);
      const timer = setTimeout(() => leave(tooMany()), longestWaitMs);
      const stopWaiting = () => {
        clearTimeout(timer);
        signal?.removeEventListener("abort", onAbort);
      };
      const enter = () => {
        stopWaiting();
        resolve();
      };
      signal?.addEventListener("abort", onAbort, { once: true });
      this.#line.add(enter);
    });
  }

  /** To the next in line, so that the number of those taken stays as it is. */
  #giveBack(): void {
    const [next] = this.#line;
    if (next) {
      this.#line.delete(next);
      next();
      return;
    }
    this.#taken -= 1;
    if (this.#taken === 0) this.#onIdle?.();
  }
}

function tooMany(): ApiError {
  return new ApiError("UNAVAILABLE", "Too many native queries run just now. Try again.", { retryAfterSeconds: 1 });
}
