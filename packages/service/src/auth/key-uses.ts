import { log } from "../log.ts";
import { hideKeys } from "../misplaced-keys.ts";
import type { Database } from "../store/database.ts";
import { addKeyUses, type KeyUse } from "../store/key-uses.ts";
import type { KnownKey } from "./known-key.ts";

const writeEveryMs = 1_000;
/** Writing takes at most a twentieth of the time: with very many keys it happens less often. */
const restFactor = 20;
const longestRestMs = 10_000;
const minuteMs = 60_000;

/** What one secret of a key did within one minute, since the last write. */
export class KeyUseCount {
  readonly keyId: string;
  readonly generation: number;
  /** Unix time in minutes. */
  minute = 0;
  accepted = 0;
  refused = 0;
  lastUsedAtMs = 0;
  address = "";
  agent: string | undefined;

  constructor({ id, generation }: Pick<KnownKey, "id" | "generation">) {
    this.keyId = id;
    this.generation = generation;
  }
}

/**
 * Every use of every key: counted in memory, written about once a second in one statement, so that no request waits for a write.
 * Written on stop too; what a killed process had not written is lost, at most ten seconds of counts.
 */
export class KeyUses {
  readonly #db: Database;
  /** Those with something to write. */
  #counts: KeyUseCount[] = [];
  /** Of minutes that are over, and what could not be written before. */
  #closed: KeyUse[] = [];
  #writing: Promise<void> = Promise.resolve();
  #timer: NodeJS.Timeout | undefined;

  constructor(db: Database) {
    this.#db = db;
    this.#writeAfter(writeEveryMs);
  }

  /** `nowMs` in Unix milliseconds, by a clock that all processes share. */
  record(key: KnownKey, accepted: boolean, nowMs: number, address: string, agent: string | undefined): void {
    const count = this.#countOf(key, Math.floor(nowMs / minuteMs));
    if (accepted) count.accepted += 1;
    else count.refused += 1;
    count.lastUsedAtMs = nowMs;
    count.address = address;
    count.agent = agent;
  }

  #countOf(key: KnownKey, minute: number): KeyUseCount {
    key.count ??= new KeyUseCount(key);
    const { count } = key;
    const isEmpty = count.accepted + count.refused === 0;
    if (count.minute === minute && !isEmpty) return count;
    if (isEmpty) this.#counts.push(count);
    else this.#closed.push(taken(count));
    count.minute = minute;
    return count;
  }

  /** Writes what is held and stops. */
  async close(): Promise<void> {
    clearTimeout(this.#timer);
    await this.#writing;
    clearTimeout(this.#timer);
    await this.#write();
  }

  #writeAfter(ms: number): void {
    this.#timer = setTimeout(() => {
      const startedAt = performance.now();
      this.#writing = this.#write().then(() => {
        const tookMs = performance.now() - startedAt;
        this.#writeAfter(Math.min(Math.max(writeEveryMs, tookMs * restFactor), longestRestMs));
      });
    }, ms);
    this.#timer.unref();
  }

  async #write(): Promise<void> {
    const uses = [...this.#closed, ...this.#counts.map(taken)];
    if (uses.length === 0) return;
    this.#counts = [];
    this.#closed = [];
    try {
      await addKeyUses(this.#db, uses);
    } catch (error) {
      this.#closed.push(...uses);
      log.warn("key uses not written yet", { keys: uses.length, error });
    }
  }
}

/** What was counted, in a form to be written; counting begins anew. */
function taken(count: KeyUseCount): KeyUse {
  const { keyId, generation, minute, accepted, refused, lastUsedAtMs, address, agent } = count;
  count.accepted = 0;
  count.refused = 0;
  return {
    keyId,
    generation,
    minuteSeconds: minute * 60,
    accepted,
    refused,
    lastUsedAtMs,
    address,
    agent: agent && hideKeys(agent).slice(0, 200),
  };
}
