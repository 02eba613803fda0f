import { mayBeImportedKey } from "@sazabi/sdk/protocol";
import { hideImported } from "../misplaced-keys.ts";
import type { Queryable } from "../store/database.ts";
import { listImportedPrefixes } from "../store/keys.ts";

/**
 * How imported keys begin: the only texts besides our own keys that are worth a look into the database. Known by
 * heart, and read again after a change to keys.
 */
export class ImportedPrefixes {
  readonly #db: Queryable;
  #known: readonly string[] | undefined;
  #reading: Promise<readonly string[]> | undefined;
  /** As they were when they were last read. */
  #lastKnown: readonly string[] = [];

  constructor(db: Queryable) {
    this.#db = db;
  }

  /** Call when any organization's keys changed. */
  forget(): void {
    this.#known = undefined;
    this.#reading = undefined;
  }

  /** Whether the text may be an imported key. A promise only when the prefixes have to be read. */
  match(text: string): boolean | Promise<boolean> {
    if (!mayBeImportedKey(text)) return false;
    const begins = (prefixes: readonly string[]) => prefixes.some((prefix) => text.startsWith(prefix));
    return this.#known ? begins(this.#known) : this.#read().then(begins);
  }

  /** Whether the text may hold an imported key somewhere, by what was last read. */
  mayHold(text: string): boolean {
    return this.#lastKnown.some((prefix) => text.includes(prefix));
  }

  /** Reads them ahead of the first who asks. */
  async open(): Promise<void> {
    await this.#read().catch(() => {});
  }

  /** One question for all who ask at the same time. What was read before a change is not kept after it. */
  #read(): Promise<readonly string[]> {
    if (this.#reading) return this.#reading;
    const reading = listImportedPrefixes(this.#db);
    this.#reading = reading;
    const done = (prefixes?: readonly string[]) => {
      if (this.#reading !== reading) return;
      this.#known = prefixes;
      this.#lastKnown = prefixes ?? this.#lastKnown;
      hideImported(this.#lastKnown);
      this.#reading = undefined;
    };
    reading.then(done, () => done());
    return reading;
  }
}
