import { log } from "../logger.ts";
import { type BodyHolders, holderLevels, pathsOf } from "./body-budget.ts";

/** Maximum bytes of all large responses that are being sent. */
const defaultLimitBytes = 128 * 1024 * 1024;

/** Memory that a response uses until the client has read it. */
export interface UnsentAnswer {
  /** Records that the client has read this many bytes. */
  sent(bytes: number): void;
  /** Releases all of it. Repeated calls have no effect. */
  release(): void;
}

interface Held {
  /** The organization, the project and the key, as paths. */
  readonly holders: readonly string[];
  readonly cutOff: () => void;
  bytes: number;
}

/**
 * Tracks the memory of large responses that are being sent. When it exceeds the limit, one response is
 * cut off. It is chosen from the organization that uses most, then its largest project, then that
 * project's largest key: the response without progress for the longest time.
 */
export class UnsentAnswers {
  readonly #limitBytes: number;
  /** Ordered by their last progress, oldest first. */
  readonly #answers = new Set<Held>();
  readonly #heldBy = new Map<string, number>();
  #bytes = 0;
  #cutOff = 0;

  constructor(limitBytes = defaultLimitBytes) {
    this.#limitBytes = limitBytes;
  }

  /** `cutOff`: number of responses cut off since startup. */
  gauges() {
    return { bytes: this.#bytes, cutOff: this.#cutOff };
  }

  /** `cutOff` closes the connection of the response. */
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
