import { ApiError } from "../../errors.ts";

/** So many seconds' worth may come at once. */
const burstSeconds = 10;
const sweepEveryMs = 60_000;

/**
 * Bytes of bodies a second for each project, decompressed, on average; for one process. A request is let in while the
 * project is not behind, and then counted whole, so that one that is larger than the burst is not refused for ever.
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

  /** Counts the bytes; or throws 429 and counts nothing. */
  take(projectNumber: number, bytes: number): void {
    const now = this.#now();
    if (now - this.#sweptAt > sweepEveryMs) this.#sweep(now);
    const waitMs = (this.#evenAt.get(projectNumber) ?? now) - now - burstSeconds * 1000;
    if (waitMs > 0) throw tooFast(Math.ceil(waitMs / 1000));
    this.add(projectNumber, bytes);
  }

  /** Counts more bytes of a request that was let in. */
  add(projectNumber: number, bytes: number): void {
    const now = this.#now();
    const evenAt = Math.max(now, this.#evenAt.get(projectNumber) ?? now);
    this.#evenAt.set(projectNumber, evenAt + bytes / this.#bytesPerMs);
  }

  #sweep(now: number): void {
    this.#sweptAt = now;
    for (const [project, evenAt] of this.#evenAt) if (evenAt <= now) this.#evenAt.delete(project);
  }
}

function tooFast(waitSeconds: number): ApiError {
  return new ApiError(
    "RATE_LIMIT_EXCEEDED",
    `This project sends more than the service takes of one. Nothing of this request was stored; send it again in ${waitSeconds} s.`,
    { retryAfterSeconds: waitSeconds },
  );
}
