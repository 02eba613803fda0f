import { log } from "../logger.ts";
import { type BodyHolders, holderLevels, pathsOf } from "./body-budget.ts";

/** Bytes of all large answers that are being sent. */
const defaultLimitBytes = 128 * 1024 * 1024;

/** What an answer holds until its reader has taken it. */
export interface UnsentAnswer {
  /** So many bytes of it were taken. */
  sent(bytes: number): void;
  /** Gives everything back. It may be called again. */
  release(): void;
}

interface Held {
  /** The organization, the project and the key, as paths. */
  readonly holders: readonly string[];
  readonly cutOff: () => void;
  bytes: number;
}

/**
 * The memory of large answers that are being sent. When they hold more than the limit, one is cut off: of the organization
 * that holds most, of its project that holds most, of that one's key that holds most, the one of which nothing was taken
 * for longest.
 */
export class UnsentAnswers {
  readonly #limitBytes: number;
  /** In the order in which something of them was taken last. */
  readonly #answers = new Set<Held>();
  readonly #heldBy = new Map<string, number>();
  #bytes = 0;
  #cutOff = 0;

  constructor(limitBytes = defaultLimitBytes) {
    this.#limitBytes = limitBytes;
  }

  /** `cutOff`: how many were cut off since the start. */
  gauges() {
    return { bytes: this.#bytes, cutOff: this.#cutOff };
  }

  /** `cutOff` closes the connection of the answer. */
  hold(holders: BodyHolders, bytes: number, cutOff: () => void): UnsentAnswer {
    const held: Held = { holders: pathsOf(holders), cutOff, bytes: 0 };
    this.#change(held, bytes);
    this.#answers.add(held);
    while (this.#bytes > this.#limitBytes) this.#cutOffOne();
    return {
      sent: (sentBytes) => {
        if (!this.#answers.delete(held)) return;
        this.#answers.add(held);
        this.#change(held, -sentBytes);
      },
      release: () => this.#release(held),
    };
  }

  #change(held: Held, bytes: number): void {
    held.bytes += bytes;
    this.#bytes += bytes;
    for (const holder of held.holders) {
      const sum = (this.#heldBy.get(holder) ?? 0) + bytes;
      if (sum > 0) this.#heldBy.set(holder, sum);
      else this.#heldBy.delete(holder);
    }
  }

  #release(held: Held): void {
    if (this.#answers.delete(held)) this.#change(held, -held.bytes);
  }

  #cutOffOne(): void {
    let answers = [...this.#answers];
    for (let level = 0; level < holderLevels; level++) {
      const bytesOf = ({ holders }: Held) => this.#heldBy.get(holders[level] as string) ?? 0;
      const most = Math.max(...answers.map(bytesOf));
      answers = answers.filter((held) => bytesOf(held) === most);
    }
    const held = answers[0] as Held;
    this.#release(held);
    held.cutOff();
    this.#cutOff += 1;
    log.warn("answer cut off: all unread answers hold too much memory", {
      keyId: held.holders.at(-1)?.split(" ").at(-1),
      cutOffSinceStart: this.#cutOff,
    });
  }
}
