import { evaluate, levels, type QueriedEntry, type QueryNode, StepLimitError, StepMeter } from "@sazabi/sdk/protocol";
import { inTurn } from "../../concurrency/event-loop-fairness.ts";
import type { Followed, StoredLog } from "../log-store.ts";
import { stepLimits } from "./step-budgets.ts";

/** After so many steps, which take a few milliseconds, the event loop serves others first. */
const stepsAtOnce = 500_000;

/** An entry that was read for tails. */
export interface ReadLog {
  readonly stored: StoredLog;
  readonly entry: QueriedEntry;
  readonly position: bigint;
  /** Roughly what it takes in memory: its texts, and its JSON as a text and as bytes. */
  readonly bytes: number;
}

export function readLogs(logs: Followed["logs"]): readonly ReadLog[] {
  return logs.map((stored) => {
    const { level, ...rest } = stored;
    return {
      stored,
      entry: { ...rest, level: levels.indexOf(level) },
      position: BigInt(stored.position.id),
      bytes: 3 * textLength(stored),
    };
  });
}

export interface Outcome {
  /** Undefined when the evaluation took more steps than it may. */
  readonly matches: boolean | undefined;
  readonly steps: number;
}

/** Evaluates queries, one at a time, for all tails of the process. */
export class Evaluation {
  #sinceTurn = 0;

  run(query: QueryNode, { entry }: ReadLog): Outcome {
    const meter = new StepMeter(stepLimits.perEntry);
    try {
      return { matches: evaluate(query, entry, meter), steps: meter.steps };
    } catch (error) {
      if (!(error instanceof StepLimitError)) throw error;
      return { matches: undefined, steps: meter.steps };
    } finally {
      this.#sinceTurn += meter.steps;
    }
  }

  /** Others are due: wait for the turn before the next evaluation. */
  get isDue(): boolean {
    return this.#sinceTurn >= stepsAtOnce;
  }

  async turn(): Promise<void> {
    this.#sinceTurn = 0;
    await inTurn();
  }
}

function textLength({ message, attributes }: StoredLog): number {
  let length = 200 + message.length;
  for (const [name, value] of Object.entries(attributes)) {
    length += name.length + (typeof value === "string" ? value.length : 8);
  }
  return length;
}
