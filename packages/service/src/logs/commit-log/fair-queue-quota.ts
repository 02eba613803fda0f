/**
 * The memory of a queue, shared by projects. While there is room everybody may use it; when it is full, a project that
 * holds less than its part may still come in, so that one that floods costs only itself. Never more than twice the room.
 */
export class FairQueueQuota {
  readonly #bytes: number;
  readonly #held = new Map<number, number>();
  #total = 0;

  /** `bytes` that may wait before anybody is refused. */
  constructor(bytes: number) {
    this.#bytes = bytes;
  }

  /** Bytes that wait. */
  get total(): number {
    return this.#total;
  }

  /** Takes room, or says that there is none. A single request larger than the room is let in when nothing waits. */
  take(projectNumber: number, bytes: number): boolean {
    const held = this.#held.get(projectNumber) ?? 0;
    const after = this.#total + bytes;
    if (this.#total > 0 && after > this.#bytes) {
      const projects = this.#held.size + (held === 0 ? 1 : 0);
      if (held + bytes > this.#bytes / projects || after > 2 * this.#bytes) return false;
    }
    this.#held.set(projectNumber, held + bytes);
    this.#total = after;
    return true;
  }

  give(projectNumber: number, bytes: number): void {
    const left = (this.#held.get(projectNumber) ?? 0) - bytes;
    if (left > 0) this.#held.set(projectNumber, left);
    else this.#held.delete(projectNumber);
    this.#total -= bytes;
  }
}
