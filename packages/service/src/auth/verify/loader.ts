import type { Queryable } from "../../db/database.ts";
import { type KeyDigest, noPepper } from "../../keys/generate.ts";
import { type FoundKey, findKeysByDigest } from "../../keys/store/keys.ts";

/** Maximum number of concurrent queries. Further look-ups are batched into the next one. */
const questionsAtOnce = 4;
const digestsInOne = 500;

interface Wanted {
  readonly digests: readonly KeyDigest[];
  readonly resolve: (found: FoundKey | undefined) => void;
  readonly reject: (error: unknown) => void;
}

/** Looks up keys in the database. Concurrent look-ups are batched into one query. */
export class KeyLoader {
  readonly #db: Queryable;
  readonly #waiting: Wanted[] = [];
  #asking = 0;

  constructor(db: Queryable) {
    this.#db = db;
  }

  /** Returns the key that has a secret with one of these digests, as of some moment after this call. */
  find(digests: readonly KeyDigest[]): Promise<FoundKey | undefined> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ digests, resolve, reject });
      this.#askNext();
    });
  }

  #askNext(): void {
    if (this.#asking >= questionsAtOnce || this.#waiting.length === 0) return;
    this.#asking += 1;
    void this.#ask(this.#waiting.splice(0, digestsInOne)).finally(() => {
      this.#asking -= 1;
      this.#askNext();
    });
  }

  async #ask(wanted: readonly Wanted[]): Promise<void> {
    try {
      const found = await findKeysByDigest(
        this.#db,
        wanted.flatMap(({ digests }) => digests.map(({ digest }) => digest)),
      );
      for (const { digests, resolve } of wanted) resolve(bestOf(digests, found));
    } catch (error) {
      for (const { reject } of wanted) reject(error);
    }
  }
}

/** Prefers a key issued by this service: importing the digest of such a key does not take it over. */
function bestOf(digests: readonly KeyDigest[], found: ReadonlyMap<string, FoundKey>): FoundKey | undefined {
  let imported: FoundKey | undefined;
  for (const { digest } of digests) {
    const key = found.get(digest.toString("base64"));
    if (key && key.pepperVersion !== noPepper) return key;
    imported ??= key;
  }
  return imported;
}
