import { log } from "../log.ts";
import { hideKeys } from "../misplaced-keys.ts";
import type { Database } from "../store/database.ts";
import { addKeyUses, type KeyUse } from "../store/key-uses.ts";

const writeEveryMs = 1_000;
/** Writing takes at most a twentieth of the time: with very many keys it happens less often. */
const restFactor = 20;
const longestRestMs = 10_000;
const minuteMs = 60_000;

/** What one secret of a key did within one minute, since the last write. All numbers are small and whole. */
export interface UseCount {
  readonly keyId: string;
  readonly generation: number;
  /** Unix time in minutes. */
  minute: number;
  accepted: number;
  refused: number;
  lastUsedInMinuteMs: number;
  address: string;
  agent: string | undefined;
}

/**
 * Every use of every key: counted in memory, written about once a second in one statement, so that no request waits for a write.
 * Written on stop too; what a killed process had not written is lost, at most ten seconds of counts.
 */
export class KeyUses {
  readonly #db: Database;
  /** Those with something to write. */
  #counts: UseCount[] = [];
  #lastAgent: string | undefined;
  #lastAgentKept: string | undefined;
  /** Of minutes that are over, and what could not be written before. */
  #closed: KeyUse[] = [];
  #writing: Promise<void> = Promise.resolve();
  #timer: NodeJS.Timeout | undefined;

  constructor(db: Database) {
    this.#db = db;
    this.#writeAfter(writeEveryMs);
  }

  /** Counts that are not written yet. */
  get held(): number {
    return this.#counts.length + this.#closed.length;
  }

  /** `nowMs` in Unix milliseconds, by a clock that all processes share. */
  record(count: UseCount, accepted: boolean, nowMs: number, address: string, agent: string | undefined): void {
    const minute = Math.floor(nowMs / minuteMs);
    this.#open(count, minute);
    if (accepted) count.accepted += 1;
    else count.refused += 1;
    count.lastUsedInMinuteMs = Math.floor(nowMs - minute * minuteMs);
    // Each request brings a copy of its own of these: to keep that would keep it from being collected with the request.
    if (count.address !== address) count.address = address;
    if (count.agent !== agent) count.agent = this.#kept(agent);
  }

  #open(count: UseCount, minute: number): void {
    const isEmpty = count.accepted + count.refused === 0;
    if (count.minute === minute && !isEmpty) return;
    if (isEmpty) this.#counts.push(count);
    else this.#closed.push(taken(count));
    count.minute = minute;
  }

  /** An agent as it is written down. Many keys are used by one program: they share one copy of its name. */
  #kept(agent: string | undefined): string | undefined {
    if (this.#lastAgent !== agent) {
      this.#lastAgent = agent;
      this.#lastAgentKept = agent && hideKeys(agent).slice(0, 200);
    }
    return this.#lastAgentKept;
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
function taken(count: UseCount): KeyUse {
  const { keyId, generation, minute, accepted, refused, lastUsedInMinuteMs, address, agent } = count;
  count.accepted = 0;
  count.refused = 0;
  return {
    keyId,
    generation,
    minuteSeconds: minute * 60,
    accepted,
    refused,
    lastUsedAtMs: minute * minuteMs + lastUsedInMinuteMs,
    address,
    agent,
  };
}
