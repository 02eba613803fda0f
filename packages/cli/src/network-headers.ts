/** Response headers, in the formats of Node and undici. */
export class AnswerHeaders {
  readonly #all: Readonly<Record<string, string | string[] | undefined>>;

  constructor(all: Readonly<Record<string, string | string[] | undefined>>) {
    this.#all = all;
  }

  get(name: string): string | null {
    const value = this.#all[name.toLowerCase()];
    return (Array.isArray(value) ? value[0] : value) ?? null;
  }

  *list(): Generator<readonly [name: string, value: string]> {
    for (const [name, value = []] of Object.entries(this.#all)) for (const one of [value].flat()) yield [name, one];
  }
}
