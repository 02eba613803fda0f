import { ApiError } from "../errors.ts";

interface Line {
  running: number;
  readonly waiting: (() => void)[];
}

/**
 * Lets each organization run `atOnce` searches, and `waiting` more stand in line, so that the slow searches of one do
 * not take every reader from the others.
 */
export class Turns {
  readonly #lines = new Map<string, Line>();
  readonly #limits: { readonly atOnce: number; readonly waiting: number };

  constructor(limits: { readonly atOnce: number; readonly waiting: number }) {
    this.#limits = limits;
  }

  get running(): number {
    return [...this.#lines.values()].reduce((sum, { running }) => sum + running, 0);
  }

  get waiting(): number {
    return [...this.#lines.values()].reduce((sum, { waiting }) => sum + waiting.length, 0);
  }

  /** Runs `work` when it is its turn. Throws 429 when the line is full. */
  async take<T>(organizationId: string, work: () => Promise<T>): Promise<T> {
    const line = this.#lines.get(organizationId) ?? { running: 0, waiting: [] };
    this.#lines.set(organizationId, line);
    if (line.running < this.#limits.atOnce) {
      line.running += 1;
    } else {
      if (line.waiting.length >= this.#limits.waiting) throw tooMany();
      // Whoever ends hands its place on, so `running` stays as it is.
      await new Promise<void>((resolve) => line.waiting.push(resolve));
    }
    try {
      return await work();
    } finally {
      const next = line.waiting.shift();
      if (next) next();
      else line.running -= 1;
      if (line.running === 0) this.#lines.delete(organizationId);
    }
  }
}

function tooMany(): ApiError {
  return new ApiError("RATE_LIMIT_EXCEEDED", "Too many searches at once. Wait for one of them to end.", {
    retryAfterSeconds: 1,
  });
}
