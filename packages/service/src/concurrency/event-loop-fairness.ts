import { setImmediate as nextRound } from "node:timers/promises";

let last: Promise<void> = Promise.resolve();

/**
 * Resolves for one caller per iteration of the event loop. Requests that arrive together become ready
 * together, and each may take milliseconds. Database responses and other requests are handled between
 * them.
 */
export function inTurn(): Promise<void> {
  last = last.then(() => nextRound());
  return last;
}

/** Maximum milliseconds for which one piece of work may block the event loop. A single step is not interrupted. */
const sliceMs = 4;
/** Amount of work between two reads of the clock; a read costs as much as some of the work. */
const workPerLook = 4 * 1024;

/** Divides long work into slices, between which other requests are handled. */
export class TimeSlices {
  #work = 0;
  #startedAt = performance.now();

  /**
   * Call it between the steps of the work. Returns a promise to await when the slice is used up,
   * otherwise undefined. `work` is the size of the previous step in characters.
   */
  spend(work: number): Promise<void> | undefined {
    this.#work += work;
    if (this.#work < workPerLook) return undefined;
    this.#work = 0;
    return performance.now() - this.#startedAt < sliceMs ? undefined : this.next();
  }

  /** Starts a new slice, in turn with other callers. */
  async next(): Promise<void> {
    await inTurn();
    this.#startedAt = performance.now();
  }
}

/**
 * Admits one caller at a time. Waiting callers alternate by holder, so that a holder with many callers
 * delays only itself.
 */
export class FairGate {
  /** Waiting callers by holder, in the order of their turns. */
  readonly #waiting = new Map<string, (() => void)[]>();
  #isTaken = false;

  /** Resolves to a function that the caller calls once when it leaves. */
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
