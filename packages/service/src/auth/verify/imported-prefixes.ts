import { mayBeImportedKey } from "@sazabi/sdk/protocol";
import type { Queryable } from "../../db/database.ts";
import { listImportedPrefixes } from "../../keys/store/keys.ts";
import { decodings, hideImported } from "../../redaction/key-redaction.ts";
import { PrefixSet } from "../../redaction/prefix-set.ts";

/**
 * Caches the prefixes of imported keys. Apart from keys issued by this service, only texts with such a
 * prefix are looked up in the database. The prefixes are read again after a change to keys.
 */
export class ImportedPrefixes {
  readonly #db: Queryable;
  #known: PrefixSet | undefined;
  #reading: Promise<PrefixSet> | undefined;
  /** The prefixes from the last read. */
  #lastKnown = new PrefixSet([]);

  constructor(db: Queryable) {
    this.#db = db;
  }

  /**
   * Reads the prefixes again, since texts and URLs are searched for them. Call it when the keys of any
   * organization changed.
   */
  forget(): void {
    this.#known = undefined;
    this.#reading = undefined;
    void this.open();
  }

  /** Returns whether the text may be an imported key. Returns a promise only when the prefixes must be read. */
  match(text: string): boolean | Promise<boolean> {
    if (!mayBeImportedKey(text)) return false;
    return this.#known ? this.#known.isAt(text, 0) : this.#read().then((prefixes) => prefixes.isAt(text, 0));
  }

  /** Returns whether a URL may contain an imported key, by the prefixes from the last read. */
  mayBeIn(url: string): boolean {
    if (this.#lastKnown.size === 0) return false;
    return decodings(url)
      .flatMap(wordsOf)
      .some((word) => this.#lastKnown.isAt(word, 0) || this.#lastKnown.isAt(bare(word), 0));
  }

  /** Reads the prefixes before the first request needs them. */
  async open(): Promise<void> {
    await this.#read().catch(() => {});
  }

  /** Shares one query among concurrent callers. A result that was read before a change is discarded after it. */
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

/** Returns the parts of a URL at which a key can begin: after any character that cannot be part of a prefix. */
function wordsOf(url: string): readonly string[] {
  return url.split(/[^\w.-]+/);
}

/** Removes leading dots and dashes, as the search for keys in texts does. */
function bare(word: string): string {
  return word.replace(/^[.-]+/, "");
}
