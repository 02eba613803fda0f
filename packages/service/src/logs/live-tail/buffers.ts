/** Bytes that tails hold for readers: of all tails, and of the tails of one key. */
export const bufferLimits = {
  process: 32 * 1024 * 1024,
  key: 4 * 1024 * 1024,
  /** A small frame is never put off: 1,000 of them fit beside the rest. */
  small: 16 * 1024,
};

/** While others wait for room, a reader that has not taken what it was handed for so long is cut off. */
const patienceMs = 1_000;
const lookEveryMs = 100;

export interface BufferOwner {
  readonly keyId: string;
  /** Ends its connection: the reader takes nothing, so it is not told why. */
  evict(): void;
}

interface Held {
  bytes: number;
  /** When the reader was handed it; undefined while it is only reserved. */
  handedAt: number | undefined;
}

interface Waiter {
  readonly owner: BufferOwner;
  readonly bytes: number;
  readonly admit: () => void;
}

/**
 * The memory that tails share. Readers that take what they are handed release it at once; those that do not are cut off,
 * of the key that holds most first, when somebody else needs the room.
 */
export class TailBuffers {
  readonly #held = new Map<BufferOwner, Held>();
  readonly #ofKeys = new Map<string, number>();
  readonly #waiting = new Set<Waiter>();
  #bytes = 0;
  #timer: NodeJS.Timeout | undefined;

  get bytes(): number {
    return this.#bytes;
  }

  /** False when there is no room. */
  tryHold(owner: BufferOwner, bytes: number): boolean {
    if (!this.#fits(owner.keyId, bytes)) return false;
    this.#set(owner, { bytes, handedAt: performance.now() });
    return true;
  }

  /** Resolves when there is room and it is reserved, or when the owner released what it holds. */
  reserve(owner: BufferOwner, bytes: number): Promise<void> {
    return new Promise((admit) => {
      this.#waiting.add({ owner, bytes, admit });
      this.#admit();
    });
  }

  /** Now that the reader was handed something, so many bytes are held for it. */
  resize(owner: BufferOwner, bytes: number): void {
    if (this.#held.has(owner)) this.#set(owner, { bytes, handedAt: performance.now() });
    this.#admit();
  }

  release(owner: BufferOwner): void {
    this.#set(owner, undefined);
    for (const waiter of this.#waiting) {
      if (waiter.owner !== owner) continue;
      this.#waiting.delete(waiter);
      waiter.admit();
    }
    this.#admit();
  }

  #set(owner: BufferOwner, held: Held | undefined): void {
    const change = (held?.bytes ?? 0) - (this.#held.get(owner)?.bytes ?? 0);
    if (held) this.#held.set(owner, held);
    else this.#held.delete(owner);
    this.#bytes += change;
    const ofKey = this.#ofKey(owner.keyId) + change;
    if (ofKey > 0) this.#ofKeys.set(owner.keyId, ofKey);
    else this.#ofKeys.delete(owner.keyId);
  }

  #ofKey(keyId: string): number {
    return this.#ofKeys.get(keyId) ?? 0;
  }

  #fits(keyId: string, bytes: number): boolean {
    if (bytes <= bufferLimits.small) return true;
    return this.#fitsKey(keyId, bytes) && this.#bytes + bytes <= bufferLimits.process;
  }

  #fitsKey(keyId: string, bytes: number): boolean {
    return this.#ofKey(keyId) + bytes <= bufferLimits.key;
  }

  /** Those of the keys that hold least come first. */
  #admit(): void {
    if (this.#waiting.size === 0) return;
    const waiters = [...this.#waiting].sort((a, b) => this.#ofKey(a.owner.keyId) - this.#ofKey(b.owner.keyId));
    for (const waiter of waiters) {
      const { owner, bytes, admit } = waiter;
      if (!this.#fits(owner.keyId, bytes)) continue;
      this.#set(owner, { bytes, handedAt: undefined });
      this.#waiting.delete(waiter);
      admit();
    }
    if (this.#waiting.size === 0) return;
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.#evictOne();
      this.#admit();
    }, lookEveryMs).unref();
  }

  #evictOne(): void {
    const others = [...this.#waiting].filter(({ owner, bytes }) => this.#fitsKey(owner.keyId, bytes));
    // When each of those who wait has its own key to blame, that key makes room.
    const keys = others.length > 0 ? undefined : new Set([...this.#waiting].map(({ owner }) => owner.keyId));
    const now = performance.now();
    const stuck = [...this.#held]
      .filter(
        ([{ keyId }, { handedAt }]) =>
          handedAt !== undefined && now - handedAt >= patienceMs && (keys?.has(keyId) ?? true),
      )
      .sort(
        ([a, heldByA], [b, heldByB]) =>
          this.#ofKey(b.keyId) - this.#ofKey(a.keyId) || (heldByA.handedAt as number) - (heldByB.handedAt as number),
      );
    stuck[0]?.[0].evict();
  }
}
