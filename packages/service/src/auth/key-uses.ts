import { log } from "../log.ts";
import { hideKeys } from "../misplaced-keys.ts";
import type { Database } from "../store/database.ts";
import { addKeyUses } from "../store/key-uses.ts";
import type { KeyRecord } from "../store/keys.ts";

const flushEveryMs = 1_000;

/** What one secret of a key did since the last write. */
interface Count {
  readonly keyId: string;
  readonly generation: number;
  readonly minuteSeconds: number;
  accepted: number;
  refused: number;
  lastUsedAtMs: number;
  address: string;
  agent: string | undefined;
}

/**
 * Every use of every key: counted in memory, written once a second in one statement, so that no request waits for a write.
 * Written on stop too; what a killed process had not written is lost, at most a second of counts.
 */
export class KeyUses {
  readonly #db: Database;
  readonly #now: () => number;
  #counts = new Map<string, Count>();
  #flushing: Promise<void> = Promise.resolve();
  readonly #timer: NodeJS.Timeout;

  /** `now` in Unix milliseconds, by a clock that all processes share. */
  constructor(db: Database, now: () => number) {
    this.#db = db;
    this.#now = now;
    this.#timer = setInterval(() => this.#flushSoon(), flushEveryMs);
    this.#timer.unref();
  }

  record({ id, generation }: KeyRecord, accepted: boolean, address: string, agent: string | undefined): void {
    const now = this.#now();
    const name = `${id}${generation}`;
    let count = this.#counts.get(name);
    if (!count) {
      const minuteSeconds = Math.floor(now / 60_000) * 60;
      count = { keyId: id, generation, minuteSeconds, accepted: 0, refused: 0, lastUsedAtMs: now, address, agent };
      this.#counts.set(name, count);
    }
    if (accepted) count.accepted += 1;
    else count.refused += 1;
    count.lastUsedAtMs = now;
    count.address = address;
    count.agent = agent;
  }

  /** Writes what is held and stops. */
  async close(): Promise<void> {
    clearInterval(this.#timer);
    this.#flushSoon();
    await this.#flushing;
  }

  #flushSoon(): void {
    this.#flushing = this.#flushing.then(() => this.#flush());
  }

  async #flush(): Promise<void> {
    if (this.#counts.size === 0) return;
    const counts = this.#counts;
    this.#counts = new Map();
    try {
      await addKeyUses(
        this.#db,
        [...counts.values()].map(({ lastUsedAtMs, agent, ...count }) => ({
          ...count,
          lastUsedAt: new Date(lastUsedAtMs),
          agent: agent && hideKeys(agent).slice(0, 200),
        })),
      );
    } catch (error) {
      this.#keep(counts);
      log.warn("key uses not written yet", { keys: counts.size, error });
    }
  }

  /** Counts that could not be written are added to those that came since. */
  #keep(unwritten: ReadonlyMap<string, Count>): void {
    for (const [name, old] of unwritten) {
      const newer = this.#counts.get(name);
      if (newer) {
        newer.accepted += old.accepted;
        newer.refused += old.refused;
      } else {
        this.#counts.set(name, old);
      }
    }
  }
}
