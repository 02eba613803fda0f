import { ApiError } from "../errors.ts";
import type { LogStore } from "./store.ts";

/** So many seconds' worth may come at once. */
const burstSeconds = 10;
const sweepEveryMs = 60_000;

/**
 * Bytes of log entries a second for each project, on average; for one process. A request is let in while the project is
 * not behind, and then counted whole, so that one that is larger than the burst is not refused for ever.
 */
export class ByteMeter {
  readonly #bytesPerMs: number;
  readonly #now: () => number;
  /** When each project will have made up for what it sent. */
  readonly #evenAt = new Map<number, number>();
  #sweptAt: number;

  /** `now` in milliseconds, monotonic. */
  constructor(bytesPerSecond: number, now: () => number = () => performance.now()) {
    this.#bytesPerMs = bytesPerSecond / 1000;
    this.#now = now;
    this.#sweptAt = now();
  }

  /** Counts the bytes and returns 0, or counts nothing and returns the seconds to wait. */
  take(projectNumber: number, bytes: number): number {
    const now = this.#now();
    if (now - this.#sweptAt > sweepEveryMs) this.#sweep(now);
    const evenAt = Math.max(now, this.#evenAt.get(projectNumber) ?? now);
    const waitMs = evenAt - now - burstSeconds * 1000;
    if (waitMs > 0) return Math.ceil(waitMs / 1000);
    this.#evenAt.set(projectNumber, evenAt + bytes / this.#bytesPerMs);
    return 0;
  }

  #sweep(now: number): void {
    this.#sweptAt = now;
    for (const [project, evenAt] of this.#evenAt) if (evenAt <= now) this.#evenAt.delete(project);
  }
}

/** The store, that takes so many bytes a second of a project and no more. */
export function metered(store: LogStore, meter: ByteMeter): LogStore {
  return {
    ...store,
    async append(batch) {
      const waitSeconds = meter.take(batch.projectNumber, batch.bytes);
      if (waitSeconds === 0) return store.append(batch);
      throw new ApiError(
        "RATE_LIMIT_EXCEEDED",
        `This project sends more than the service takes of one. Nothing of this request was stored; send it again in ${waitSeconds} s.`,
        { retryAfterSeconds: waitSeconds },
      );
    },
  };
}
