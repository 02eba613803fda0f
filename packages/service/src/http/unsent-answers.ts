import { log } from "../logger.ts";

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
  readonly keyId: string;
  readonly cutOff: () => void;
  bytes: number;
}

/**
 * The memory of large answers that are being sent. When they hold more than the limit, an answer of the key that holds
 * most is cut off: the one of which nothing was taken for longest.
 */
export class UnsentAnswers {
  readonly #limitBytes: number;
  /** In the order in which something of them was taken last. */
  readonly #answers = new Set<Held>();
  readonly #ofKeys = new Map<string, number>();
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
  hold(keyId: string, bytes: number, cutOff: () => void): UnsentAnswer {
    const held: Held = { keyId, cutOff, bytes: 0 };
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
    const ofKey = (this.#ofKeys.get(held.keyId) ?? 0) + bytes;
    if (ofKey > 0) this.#ofKeys.set(held.keyId, ofKey);
    else this.#ofKeys.delete(held.keyId);
  }

  #release(held: Held): void {
    if (this.#answers.delete(held)) this.#change(held, -held.bytes);
  }

  #cutOffOne(): void {
    const most = Math.max(...this.#ofKeys.values());
    for (const held of this.#answers) {
      if (this.#ofKeys.get(held.keyId) !== most) continue;
      this.#release(held);
      held.cutOff();
      this.#cutOff += 1;
      const { keyId } = held;
      log.warn("answer cut off: all unread answers hold too much memory", { keyId, cutOffSinceStart: this.#cutOff });
      return;
    }
  }
}
