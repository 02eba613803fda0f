import { subscriberBlock } from "../addresses.ts";
import { ApiError } from "../errors.ts";

export interface BodyBudgetLimits {
  /** Bytes of bodies that came with a key in their headers. */
  readonly keyedBytes: number;
  /** Bytes of bodies that came without one. */
  readonly keylessBytes: number;
}

const defaultLimits: BodyBudgetLimits = { keyedBytes: 80 * 1024 * 1024, keylessBytes: 16 * 1024 * 1024 };

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
    this.#keyed = new Budget(keyedBytes, "key");
    this.#keyless = new Budget(keylessBytes, "address");
  }

  /** `keyId` is undefined while a request has shown no key. */
  reserve(keyId: string | undefined, address: string): BodyReservation {
    return keyId === undefined
      ? new Reservation(this.#keyless, subscriberBlock(address))
      : new Reservation(this.#keyed, keyId);
  }

  /** Current figures, for metrics. */
  gauges() {
    return { keyed: this.#keyed.gauges(), keyless: this.#keyless.gauges() };
  }
}

class Reservation implements BodyReservation {
  readonly #budget: Budget;
  readonly #holder: string;
  #bytes = 0;

  constructor(budget: Budget, holder: string) {
    this.#budget = budget;
    this.#holder = holder;
  }

  grow(bytes: number): void {
    this.#budget.take(this.#holder, bytes);
    this.#bytes += bytes;
  }

  release(): void {
    if (this.#bytes > 0) this.#budget.give(this.#holder, this.#bytes);
    this.#bytes = 0;
  }
}

/**
 * Bytes shared by dynamic thresholds (Choudhury and Hahne, 1998): a holder may have as many as are left free. So one
 * gets half at most, two a third each, and there is always room for one more.
 */
class Budget {
  readonly #limit: number;
  readonly #holderName: string;
  readonly #held = new Map<string, number>();
  #total = 0;
  #refused = 0;

  constructor(limit: number, holderName: string) {
    this.#limit = limit;
    this.#holderName = holderName;
  }

  take(holder: string, bytes: number): void {
    const held = (this.#held.get(holder) ?? 0) + bytes;
    const free = this.#limit - this.#total - bytes;
    if (free < 0) throw this.#refuse("UNAVAILABLE", "The service has as many request bodies in hand as it can hold.");
    if (held > free) {
      throw this.#refuse(
        "RATE_LIMIT_EXCEEDED",
        `This ${this.#holderName} has too many request bodies under way at once.`,
      );
    }
    this.#held.set(holder, held);
    this.#total += bytes;
  }

  give(holder: string, bytes: number): void {
    const left = (this.#held.get(holder) ?? 0) - bytes;
    if (left > 0) this.#held.set(holder, left);
    else this.#held.delete(holder);
    this.#total -= bytes;
  }

  gauges() {
    return { bytes: this.#total, limitBytes: this.#limit, holders: this.#held.size, refused: this.#refused };
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
