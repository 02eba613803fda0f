/** A set of prefixes whose look-up time does not depend on its size. */
export class PrefixSet {
  readonly #prefixes: ReadonlySet<string>;
  /** Length of the shortest prefix. The first characters of all prefixes, cut to it, rule out most texts. */
  readonly #headLength: number;
  readonly #heads: ReadonlySet<string>;
  /** Distinct lengths of the prefixes, ascending. */
  readonly #lengths: readonly number[];

  constructor(prefixes: readonly string[]) {
    this.#prefixes = new Set(prefixes);
    this.#lengths = [...new Set(prefixes.map(({ length }) => length))].sort((a, b) => a - b);
    const headLength = this.#lengths[0] ?? 0;
    this.#headLength = headLength;
    this.#heads = new Set(prefixes.map((prefix) => prefix.slice(0, headLength)));
  }

  get size(): number {
    return this.#prefixes.size;
  }

  /** Returns the lengths of the prefixes that `text` has at `start`. */
  lengthsAt(text: string, start: number): readonly number[] {
    if (!this.#mayBeAt(text, start)) return [];
    return this.#lengths.filter((length) => this.#prefixes.has(text.slice(start, start + length)));
  }

  isAt(text: string, start: number): boolean {
    return this.lengthsAt(text, start).length > 0;
  }

  #mayBeAt(text: string, start: number): boolean {
    const end = start + this.#headLength;
    return end <= text.length && this.#heads.has(text.slice(start, end));
  }
}
