import { setImmediate as nextRound } from "node:timers/promises";

let last: Promise<void> = Promise.resolve();

/**
 * Resolves for one caller in each round of the event loop. Requests that arrive together are ready together, and each
 * may take milliseconds: between two of them the answers of the database and other requests are handled.
 */
export function inTurn(): Promise<void> {
  last = last.then(() => nextRound());
  return last;
}

/** How long one piece of work may hold the event loop, in milliseconds. A single step is as long as it is. */
const sliceMs = 4;
/** So much work is done between two looks at the clock, which costs as much as some work itself. */
const workPerLook = 4 * 1024;

/** Divides long work into slices, between which other requests are handled. */
export class TimeSlices {
  #work = 0;
  #startedAt = performance.now();

  /**
   * Call it between the steps of the work. Returns a promise to wait for when the slice is used up, and undefined
   * otherwise. `work` is the size of the step before, in characters.
   */
  spend(work: number): Promise<void> | undefined {
    this.#work += work;
    if (this.#work < workPerLook) return undefined;
    this.#work = 0;
    return performance.now() - this.#startedAt < sliceMs ? undefined : this.next();
  }

  /** Begins a new slice, in turn with others. */
  async next(): Promise<void> {
    await inTurn();
    this.#startedAt = performance.now();
  }
}

/** Lets one caller in at a time. Those who wait take turns by holder, so that one with many callers delays only itself. */
export class FairGate {
  /** Waiting callers by holder; the holder whose turn is next is first. */
  readonly #waiting = new Map<string, (() => void)[]>();
  #isTaken = false;

  /** Resolves to the function by which the caller leaves, once. */
  async enter(holder: string): Promise<() => void> {
    if (this.#isTaken) {
      await new Promise<void>((resolve) => {
        const queue = this.#waiting.get(holder);
        if (queue) queue.push(resolve);
        else this.#waiting.set(holder, [resolve]);
      });
    }
    this.#isTaken = true;
    return () => this.#leave();
  }

  #leave(): void {
    const [next] = this.#waiting;
    if (!next) {
      this.#isTaken = false;
      return;
    }
    const [holder, queue] = next;
    this.#waiting.delete(holder);
    const enter = queue.shift();
    if (queue.length > 0) this.#waiting.set(holder, queue);
    enter?.();
  }
}
