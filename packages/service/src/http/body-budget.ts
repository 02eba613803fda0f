import { ApiError } from "../errors.ts";
import { subscriberBlock } from "../net/ip-ranges.ts";

export interface BodyBudgetLimits {
  /** Bytes of bodies of requests with a key in their headers. */
  readonly keyedBytes: number;
  /** Bytes of bodies of requests without a key in their headers. */
  readonly keylessBytes: number;
}

const defaultLimits: BodyBudgetLimits = { keyedBytes: 128 * 1024 * 1024, keylessBytes: 16 * 1024 * 1024 };

/** The owners of a memory reservation: the organization, the project and the key of a request. */
export type BodyHolders = readonly [organizationId: string, projectId: string, keyId: string];

export const holderLevels = 3;

/** Memory reserved for the body of one request. */
export interface BodyReservation {
  /** Reserves more bytes. Throws 429 when the sender exceeds its share, 503 when the budget is used up. */
  grow(bytes: number): void;
  /** Releases the whole reservation. Repeated calls have no effect. */
  release(): void;
}

/**
 * Memory budget of all request bodies in this process, compressed and decompressed. Requests without a
 * key have a separate budget, so that they cannot use up the memory for requests with a key.
 */
export class BodyBudget {
  readonly #keyed: Budget;
  readonly #keyless: Budget;

  constructor({ keyedBytes, keylessBytes }: BodyBudgetLimits = defaultLimits) {
    this.#keyed = new Budget(keyedBytes, ["organization", "project", "key"]);
    this.#keyless = new Budget(keylessBytes, ["address"]);
  }

  /** `holders` is undefined until the request is associated with a key. */
  reserve(holders: BodyHolders | undefined, address: string): BodyReservation {
    return holders
      ? new Reservation(this.#keyed, pathsOf(holders))
      : new Reservation(this.#keyless, [subscriberBlock(address)]);
  }

  /** Returns the current values, for metrics. */
  gauges() {
    return { keyed: this.#keyed.gauges(), keyless: this.#keyless.gauges() };
  }
}

/** Returns the path of each level, including its parents, so that names on different levels stay distinct. */
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
 * Shares bytes by dynamic thresholds (Choudhury and Hahne, 1998): a holder may use as many bytes as
 * are free. One holder gets at most half, two get a third each, and there is always room for another.
 * Holders form levels: the projects of an organization share its part in the same way, as do the keys
 * of a project.
 */
class Budget {
  readonly #limit: number;
  /** The name of each level, for messages. */
  readonly #levels: readonly string[];
  readonly #held = new Map<string, number>();
  #total = 0;
  #refused = 0;

  constructor(limit: number, levels: readonly string[]) {
    this.#limit = limit;
    this.#levels = levels;
  }

  /** `holders` has one name per level. */
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
