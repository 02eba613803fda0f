import { ApiError } from "../errors.ts";
import { subscriberBlock } from "../net/ip-ranges.ts";

export interface BodyBudgetLimits {
  /** Bytes of bodies that came with a key in their headers. */
  readonly keyedBytes: number;
  /** Bytes of bodies that came without one. */
  readonly keylessBytes: number;
}

const defaultLimits: BodyBudgetLimits = { keyedBytes: 128 * 1024 * 1024, keylessBytes: 16 * 1024 * 1024 };

/** Who holds memory: the organization, the project and the key of a request. */
export type BodyHolders = readonly [organizationId: string, projectId: string, keyId: string];

export const holderLevels = 3;

/** Memory that one request holds for its body. */
export interface BodyReservation {
  /** Takes more. Throws 429 when the sender holds more than its share, 503 when the budget is used up. */
  grow(bytes: number): void;
  /** Gives everything back. It may be called again. */
  release(): void;
}

/**
 * The memory of all request bodies that this process has in hand, as they came and decompressed. Bodies without a key
 * have a budget of their own, so that a stranger takes nothing from those who have one.
 */
export class BodyBudget {
  readonly #keyed: Budget;
  readonly #keyless: Budget;

  constructor({ keyedBytes, keylessBytes }: BodyBudgetLimits = defaultLimits) {
    this.#keyed = new Budget(keyedBytes, ["organization", "project", "key"]);
    this.#keyless = new Budget(keylessBytes, ["address"]);
  }

  /** `holders` is undefined while a request has shown no key. */
  reserve(holders: BodyHolders | undefined, address: string): BodyReservation {
    return holders
      ? new Reservation(this.#keyed, pathsOf(holders))
      : new Reservation(this.#keyless, [subscriberBlock(address)]);
  }

  /** Current figures, for metrics. */
  gauges() {
    return { keyed: this.#keyed.gauges(), keyless: this.#keyless.gauges() };
  }
}

/** Each with those around it, so that names of different levels are not mixed up. */
export function pathsOf(holders: readonly string[]): readonly string[] {
  return holders.map((_, level) => holders.slice(0, level + 1).join(" "));
}

class Reservation implements BodyReservation {
  readonly #budget: Budget;
  readonly #holders: readonly string[];
  #bytes = 0;

  constructor(budget: Budget, holders: readonly string[]) {
    this.#budget = budget;
    this.#holders = holders;
  }

  grow(bytes: number): void {
    this.#budget.take(this.#holders, bytes);
    this.#bytes += bytes;
  }

  release(): void {
    if (this.#bytes > 0) this.#budget.give(this.#holders, this.#bytes);
    this.#bytes = 0;
  }
}

/**
 * Bytes shared by dynamic thresholds (Choudhury and Hahne, 1998): a holder may have as many as are left free. So one
 * gets half at most, two a third each, and there is always room for one more. Holders are in levels: what is left free
 * of an organization's part is shared by its projects in the same way, and of a project's by its keys.
 */
class Budget {
  readonly #limit: number;
  /** What the holders of each level are called. */
  readonly #levels: readonly string[];
  readonly #held = new Map<string, number>();
  #total = 0;
  #refused = 0;

  constructor(limit: number, levels: readonly string[]) {
    this.#limit = limit;
    this.#levels = levels;
  }

  /** `holders`: one of each level. */
  take(holders: readonly string[], bytes: number): void {
    let free = this.#limit - this.#total - bytes;
    if (free < 0) throw this.#refuse("UNAVAILABLE", "The service has as many request bodies in hand as it can hold.");
    for (const [level, holder] of holders.entries()) {
      free -= this.#heldBy(holder) + bytes;
      if (free < 0) {
        const name = this.#levels[level];
        throw this.#refuse("RATE_LIMIT_EXCEEDED", `This ${name} has too many request bodies under way at once.`);
      }
    }
    for (const holder of holders) this.#held.set(holder, this.#heldBy(holder) + bytes);
    this.#total += bytes;
  }

  give(holders: readonly string[], bytes: number): void {
    for (const holder of holders) {
      const left = this.#heldBy(holder) - bytes;
      if (left > 0) this.#held.set(holder, left);
      else this.#held.delete(holder);
    }
    this.#total -= bytes;
  }

  #heldBy(holder: string): number {
    return this.#held.get(holder) ?? 0;
  }

  gauges() {
    return { bytes: this.#total, limitBytes: this.#limit, refused: this.#refused };
  }

  #refuse(code: "UNAVAILABLE" | "RATE_LIMIT_EXCEEDED", reason: string): ApiError {
    this.#refused += 1;
    return new ApiError(
      code,
      `${reason} Nothing of this one was stored. Send it again in a second, or send less at once.`,
      {
        retryAfterSeconds: 1,
      },
    );
  }
}
