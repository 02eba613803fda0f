import { randomInt } from "node:crypto";

const wordsInDigest = 8;
const fewestSlots = 1_024;

/**
 * A map whose keys are digests of 256 bits, each as eight numbers of 32. To look one up takes no text: a `Map` would want one
 * made, hashed and compared for each request.
 *
 * Open addressing with linear probing, at most half full. A digest is random already, so its first two numbers say where it
 * stands; they are mixed with random factors, because whoever imports keys chooses digests, and must not be able to crowd
 * one place with them. Who only sends keys puts nothing in here: a digest comes in with what the database said of it.
 */
export class DigestTable<T extends object> {
  #bits = Math.log2(fewestSlots);
  #words = new Int32Array(fewestSlots * wordsInDigest);
  /** What the digest in each slot stands for; undefined where there is none. */
  #values = emptySlots<T>(fewestSlots);
  #size = 0;
  readonly #factor = oddFactor();
  readonly #otherFactor = oddFactor();

  get size(): number {
    return this.#size;
  }

  get(digest: Int32Array): T | undefined {
    return this.#values[this.#slotOf(digest)];
  }

  set(digest: Int32Array, value: T): void {
    const slot = this.#slotOf(digest);
    if (this.#values[slot] === undefined) this.#size += 1;
    this.#put(slot, digest, value);
    if (this.#size * 2 > this.#values.length) this.#grow();
  }

  delete(digest: Int32Array): void {
    const slot = this.#slotOf(digest);
    if (this.#values[slot] === undefined) return;
    this.#values[slot] = undefined;
    this.#size -= 1;
    this.#closeGap(slot);
  }

  clear(): void {
    this.#values.fill(undefined);
    this.#size = 0;
  }

  /** Where `digest` is, or would be put. */
  #slotOf(digest: Int32Array): number {
    const mixed = Math.imul(digest[0] as number, this.#factor) + Math.imul(digest[1] as number, this.#otherFactor);
    let slot = mixed >>> (32 - this.#bits);
    while (this.#values[slot] !== undefined && !this.#isAt(slot, digest)) slot = this.#after(slot);
    return slot;
  }

  #isAt(slot: number, digest: Int32Array): boolean {
    for (let index = 0; index < wordsInDigest; index++) {
      if (this.#words[slot * wordsInDigest + index] !== digest[index]) return false;
    }
    return true;
  }

  #after(slot: number): number {
    return (slot + 1) & (this.#values.length - 1);
  }

  #put(slot: number, digest: Int32Array, value: T): void {
    this.#words.set(digest, slot * wordsInDigest);
    this.#values[slot] = value;
  }

  /** What stands behind a gap may stand there only because the gap was none: put anew, or it is not found again. */
  #closeGap(gap: number): void {
    for (let slot = this.#after(gap); this.#values[slot] !== undefined; slot = this.#after(slot)) {
      const digest = digestIn(this.#words, slot);
      const value = this.#values[slot] as T;
      this.#values[slot] = undefined;
      this.#put(this.#slotOf(digest), digest, value);
    }
  }

  #grow(): void {
    const words = this.#words;
    const values = this.#values;
    this.#bits += 1;
    this.#words = new Int32Array(words.length * 2);
    this.#values = emptySlots(values.length * 2);
    for (const [slot, value] of values.entries()) {
      if (value === undefined) continue;
      const digest = digestIn(words, slot);
      this.#put(this.#slotOf(digest), digest, value);
    }
  }
}

function digestIn(words: Int32Array, slot: number): Int32Array {
  return words.slice(slot * wordsInDigest, (slot + 1) * wordsInDigest);
}

function emptySlots<T>(count: number): (T | undefined)[] {
  return Array<T | undefined>(count).fill(undefined);
}

function oddFactor(): number {
  return randomInt(2 ** 31) * 2 + 1;
}
