import { log } from "../log.ts";
import { hideKeys } from "../misplaced-keys.ts";
import type { Database } from "../store/database.ts";
import { addKeyUses, type KeyUse } from "../store/key-uses.ts";
import type { KeyRecord } from "../store/keys.ts";

const writeEveryMs = 1_000;
/** Writing takes at most a twentieth of the time: with very many keys it happens less often. */
const restFactor = 20;
const longestRestMs = 10_000;
const minuteMs = 60_000;

/** What one secret of a key did within one minute, since the last write. */
interface Count {
  readonly keyId: string;
  readonly generation: number;
  readonly minuteMs: number;
  accepted: number;
  refused: number;
  lastUsedAtMs: number;
  address: string;
  agent: string | undefined;
}

/**
 * Every use of every key: counted in memory, written about once a second in one statement, so that no request waits for a write.
 * Written on stop too; what a killed process had not written is lost, at most ten seconds of counts.
 */
export class KeyUses {
  readonly #db: Database;
  readonly #now: () => number;
  /** By the record as it is in the cache: no name has to be made up for each request. */
  #counts = new Map<KeyRecord, Count>();
  /** Of minutes that are over, and what could not be written before. */
  #closed: Count[] = [];
  #writing: Promise<void> = Promise.resolve();
  #timer: NodeJS.Timeout | undefined;

  /** `now` in Unix milliseconds, by a clock that all processes share. */
  constructor(db: Database, now: () => number) {
    this.#db = db;
    this.#now = now;
    this.#writeAfter(writeEveryMs);
  }

  record(record: KeyRecord, accepted: boolean, address: string, agent: string | undefined): void {
    const now = this.#now();
    let count = this.#counts.get(record);
    if (!count || now >= count.minuteMs + minuteMs) {
      if (count) this.#closed.push(count);
      count = this.#newCount(record, now, address);
    }
    if (accepted) count.accepted += 1;
    else count.refused += 1;
    count.lastUsedAtMs = now;
    count.address = address;
    count.agent = agent;
  }

  /** Writes what is held and stops. */
  async close(): Promise<void> {
    clearTimeout(this.#timer);
    await this.#writing;
    clearTimeout(this.#timer);
    await this.#write();
  }

  #newCount(record: KeyRecord, now: number, address: string): Count {
    const { id: keyId, generation } = record;
    const minute = now - (now % minuteMs);
    const count: Count = {
      keyId,
      generation,
      minuteMs: minute,
      accepted: 0,
      refused: 0,
      lastUsedAtMs: now,
      address,
      agent: undefined,
    };
    this.#counts.set(record, count);
    return count;
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
    const uses = merged([...this.#closed, ...this.#counts.values()]);
    if (uses.length === 0) return;
    this.#counts = new Map();
    this.#closed = [];
    try {
      await addKeyUses(this.#db, uses.map(toUse));
    } catch (error) {
      this.#closed.push(...uses);
      log.warn("key uses not written yet", { keys: uses.length, error });
    }
  }
}

/** One for each secret and minute: a key that was forgotten and read again has two records. */
function merged(counts: readonly Count[]): Count[] {
  const byName = new Map<string, Count>();
  for (const count of counts) {
    const name = `${count.keyId} ${count.generation} ${count.minuteMs}`;
    const same = byName.get(name);
    if (!same) {
      byName.set(name, count);
      continue;
    }
    same.accepted += count.accepted;
    same.refused += count.refused;
    if (count.lastUsedAtMs < same.lastUsedAtMs) continue;
    const { lastUsedAtMs, address, agent } = count;
    Object.assign(same, { lastUsedAtMs, address, agent });
  }
  return [...byName.values()];
}

function toUse({ lastUsedAtMs, minuteMs, agent, ...count }: Count): KeyUse {
  return {
    ...count,
    minuteSeconds: minuteMs / 1000,
    lastUsedAt: new Date(lastUsedAtMs),
    agent: agent && hideKeys(agent).slice(0, 200),
  };
}
