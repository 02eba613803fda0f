/** Reads of tails that catch up: one at a time for each key, and a few for all, so that they leave connections free. */
export class ReadSlots {
  readonly #slots: number;
  readonly #running = new Set<string>();
  readonly #waiting: { readonly keyId: string; readonly start: () => void }[] = [];

  constructor(slots: number) {
    this.#slots = slots;
  }

  async run<T>(keyId: string, read: () => Promise<T>): Promise<T> {
    await new Promise<void>((start) => {
      this.#waiting.push({ keyId, start });
      this.#startNext();
    });
    try {
      return await read();
    } finally {
      this.#running.delete(keyId);
      this.#startNext();
    }
  }

  #startNext(): void {
    if (this.#running.size >= this.#slots) return;
    const next = this.#waiting.find(({ keyId }) => !this.#running.has(keyId));
    if (!next) return;
    this.#waiting.splice(this.#waiting.indexOf(next), 1);
    this.#running.add(next.keyId);
    next.start();
  }
}
