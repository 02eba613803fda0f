import type { KeyUse } from "./store.ts";

/**
 * Uses of keys that are not written yet, one row per secret and minute. Beyond `maxRows` rows, minutes
 * of one secret are merged: its total and its latest use stay exact. A secret without any row is then
 * dropped.
 */
export class UnwrittenUses {
  readonly #maxRows: number;
  /** By key and generation. The minutes of each are in insertion order. */
  #bySecret = new Map<string, KeyUse[]>();
  #rows = 0;
  #dropped = 0;

  constructor(maxRows = 50_000) {
    this.#maxRows = maxRows;
  }

  get rows(): number {
    return this.#rows;
  }

  /** Returns the number of rows dropped since the last call. */
  takeDropped(): number {
    const dropped = this.#dropped;
    this.#dropped = 0;
    return dropped;
  }

  addAll(uses: readonly KeyUse[]): void {
    for (const use of uses) this.add(use);
  }

  add(use: KeyUse): void {
    const secret = `${use.keyId}/${use.generation}`;
    const minutes = this.#bySecret.get(secret);
    const same = minutes?.findLastIndex(({ minuteSeconds }) => minuteSeconds === use.minuteSeconds) ?? -1;
    const isFull = this.#rows >= this.#maxRows;
    if (minutes && (same >= 0 || isFull)) {
      const index = same >= 0 ? same : minutes.length - 1;
      minutes[index] = sumOf(minutes[index] as KeyUse, use);
      return;
    }
    if (isFull) {
      this.#dropped += 1;
      return;
    }
    if (minutes) minutes.push(use);
    else this.#bySecret.set(secret, [use]);
    this.#rows += 1;
  }

  /** Removes the rows of these keys and returns them. */
  takeOf(keyIds: ReadonlySet<string>): KeyUse[] {
    const uses: KeyUse[] = [];
    for (const [secret, minutes] of this.#bySecret) {
      if (!keyIds.has((minutes[0] as KeyUse).keyId)) continue;
      this.#bySecret.delete(secret);
      this.#rows -= minutes.length;
      uses.push(...minutes);
    }
    return uses;
  }

  /** Removes all rows and returns them. */
  take(): KeyUse[] {
    const uses = [...this.#bySecret.values()].flat();
    this.#bySecret = new Map();
    this.#rows = 0;
    return uses;
  }
}

/** Returns the sum, in the minute of `one`. */
function sumOf(one: KeyUse, other: KeyUse): KeyUse {
  const { lastUsedAtMs, address, agent } = other.lastUsedAtMs >= one.lastUsedAtMs ? other : one;
  const validTimes = [one, other].flatMap(({ lastValidAtMs }) => lastValidAtMs ?? []);
  return {
    ...one,
    accepted: one.accepted + other.accepted,
    refused: one.refused + other.refused,
    lastUsedAtMs,
    lastValidAtMs: validTimes.length > 0 ? Math.max(...validTimes) : undefined,
    address,
    agent,
  };
}
