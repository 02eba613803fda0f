import { mayBeImportedKey } from "@sazabi/sdk/protocol";
import type { Queryable } from "../../db/database.ts";
import { listImportedPrefixes } from "../../keys/store/keys.ts";
import { decodings, hideImported } from "../../redaction/key-redaction.ts";
import { PrefixSet } from "../../redaction/prefix-set.ts";

/**
 * How imported keys begin: the only texts besides our own keys that are worth a look into the database. Known by
 * heart, and read again after a change to keys.
 */
export class ImportedPrefixes {
  readonly #db: Queryable;
  #known: PrefixSet | undefined;
  #reading: Promise<PrefixSet> | undefined;
  /** As they were when they were last read. */
  #lastKnown = new PrefixSet([]);

  constructor(db: Queryable) {
    this.#db = db;
  }

  /** Call when any organization's keys changed. Reads the prefixes again: texts and URLs are looked through for them. */
  forget(): void {
    this.#known = undefined;
    this.#reading = undefined;
    void this.open();
  }

  /** Whether the text may be an imported key. A promise only when the prefixes have to be read. */
  match(text: string): boolean | Promise<boolean> {
    if (!mayBeImportedKey(text)) return false;
    return this.#known ? this.#known.isAt(text, 0) : this.#read().then((prefixes) => prefixes.isAt(text, 0));
  }

  /** Whether a URL may hold an imported key somewhere, by what was last read. */
  mayBeIn(url: string): boolean {
    if (this.#lastKnown.size === 0) return false;
    return decodings(url)
      .flatMap(wordsOf)
      .some((word) => this.#lastKnown.isAt(word, 0) || this.#lastKnown.isAt(bare(word), 0));
  }

  /** Reads them ahead of the first who asks. */
  async open(): Promise<void> {
    await this.#read().catch(() => {});
  }

  /** One question for all who ask at the same time. What was read before a change is not kept after it. */
  #read(): Promise<PrefixSet> {
    if (this.#reading) return this.#reading;
    const reading = listImportedPrefixes(this.#db).then((prefixes) => new PrefixSet(prefixes));
    this.#reading = reading;
    const done = (prefixes?: PrefixSet) => {
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

/** Where a key can begin in a URL: behind whatever is no part of a prefix. */
function wordsOf(url: string): readonly string[] {
  return url.split(/[^\w.-]+/);
}

/** As keys are found in texts, without the marks around them. */
function bare(word: string): string {
  return word.replace(/^[.-]+/, "");
}
