import { setImmediate as nextRound } from "node:timers/promises";

let last: Promise<void> = Promise.resolve();

/**
 * Resolves for one caller in each round of the event loop. Requests that arrive together are ready together, and each
 * may take milliseconds: between two of them, what the database and others have answered meanwhile is seen to.
 */
export function inTurn(): Promise<void> {
  last = last.then(() => nextRound());
  return last;
}
