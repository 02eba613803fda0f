/** An evaluation took more steps than it may. */
export class StepLimitError extends Error {
  override readonly name = "StepLimitError";
}

/**
 * Counts what the evaluation of queries costs, in steps: a step is to look at one character of a text with one
 * condition, 4 to 10 nanoseconds. Texts that the JavaScript engine searches by itself count less.
 */
export class StepMeter {
  readonly limit: number;
  steps = 0;

  constructor(limit = Number.POSITIVE_INFINITY) {
    this.limit = limit;
  }

  /** Throws `StepLimitError` when the limit is passed. */
  spend(steps: number): void {
    this.steps += steps;
    if (this.steps > this.limit) throw new StepLimitError(`The evaluation takes more than ${this.limit} steps.`);
  }
}

/** Characters that the JavaScript engine looks at in a step, where it searches by itself. */
const charactersPerNativeStep = 64;

export function nativeSteps(characters: number): number {
  return 1 + Math.ceil(characters / charactersPerNativeStep);
}

export const unlimitedSteps = new StepMeter();
