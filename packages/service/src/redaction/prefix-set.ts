/** Prefixes of texts, looked up in a time that does not depend on how many there are. */
export class PrefixSet {
  readonly #prefixes: ReadonlySet<string>;
  /** Each once, ascending. */
  readonly #lengths: readonly number[];

  constructor(prefixes: readonly string[]) {
    this.#prefixes = new Set(prefixes);
    this.#lengths = [...new Set(prefixes.map(({ length }) => length))].sort((a, b) => a - b);
  }

  get size(): number {
    return this.#prefixes.size;
  }

  /** The lengths of the prefixes that `text` has at this place. */
  lengthsAt(text: string, start: number): readonly number[] {
    return this.#lengths.filter((length) => this.#prefixes.has(text.slice(start, start + length)));
  }

  isAt(text: string, start: number): boolean {
    return this.#lengths.some((length) => this.#prefixes.has(text.slice(start, start + length)));
  }
}
