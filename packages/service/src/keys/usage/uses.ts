import { type Database, isRefusedData } from "../../db/database.ts";
import { log } from "../../logger.ts";
import { hideKeys } from "../../redaction/key-redaction.ts";
import { addKeyUses, type KeyUse } from "./store.ts";
import { UnwrittenUses } from "./unwritten-uses.ts";

const writeEveryMs = 1_000;
/** Writing takes at most a twentieth of the time: with very many keys it happens less often. */
const restFactor = 20;
const longestRestMs = 10_000;
const minuteMs = 60_000;
/** Rows of one statement, so that each ends well within its time limit. */
const maxBatch = 10_000;

/** `refused`: for another reason than that the secret is dead, which is `dead`. */
export type UseVerdict = "accepted" | "refused" | "dead";

/** What one secret of a key did within one minute, since the last write. All numbers are small and whole. */
export interface UseCount {
  readonly keyId: string;
  readonly generation: number;
  /** Unix time in minutes. */
  minute: number;
  accepted: number;
  refused: number;
  /** Whether one of the uses was of a valid secret. */
  wasValid: boolean;
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
  readonly #unwritten = new UnwrittenUses();
  #writing: Promise<void> = Promise.resolve();
  /** Keys that wait for `#flushing` to end. */
  #toFlush = new Set<string>();
  #flushing: Promise<void> = Promise.resolve();
  #timer: NodeJS.Timeout | undefined;

  constructor(db: Database) {
    this.#db = db;
    this.#writeAfter(writeEveryMs);
  }

  /** Counts that are not written yet. */
  get held(): number {
    return this.#counts.length + this.#unwritten.rows;
  }

  /** `nowMs` in Unix milliseconds, by a clock that all processes share. */
  record(count: UseCount, verdict: UseVerdict, nowMs: number, address: string, agent: string | undefined): void {
    const minute = Math.floor(nowMs / minuteMs);
    this.#open(count, minute);
    if (verdict === "accepted") count.accepted += 1;
    else count.refused += 1;
    if (verdict !== "dead") count.wasValid = true;
    count.lastUsedInMinuteMs = Math.floor(nowMs - minute * minuteMs);
    // Each request brings a copy of its own of these: to keep that would keep it from being collected with the request.
    if (count.address !== address) count.address = address;
    if (count.agent !== agent) count.agent = this.#kept(agent);
  }

  #open(count: UseCount, minute: number): void {
    const isEmpty = count.accepted + count.refused === 0;
    if (count.minute === minute && !isEmpty) return;
    if (isEmpty) this.#counts.push(count);
    else this.#unwritten.add(taken(count));
    count.minute = minute;
  }

  /** An agent as it is written down. Many keys are used by one program: they share one copy of its name. */
  #kept(agent: string | undefined): string | undefined {
    if (this.#lastAgent !== agent) {
      this.#lastAgent = agent;
      // Cut first: to look for keys in 16 KiB takes milliseconds.
      this.#lastAgentKept = agent && hideKeys(agent.slice(0, 600)).slice(0, 200);
    }
    return this.#lastAgentKept;
  }

  /**
   * Writes what is held of one key, so that a report about it is exact. Runs one statement at a time: keys that are asked
   * for meanwhile share the next. Never rejects; what the database does not take stays held.
   */
  async flush(keyId: string): Promise<void> {
    this.#toFlush.add(keyId);
    await this.#flushing;
    if (this.#toFlush.has(keyId)) {
      this.#flushing = this.#writeOf(this.#toFlush);
      this.#toFlush = new Set();
    }
    await this.#flushing;
  }

  async #writeOf(keyIds: ReadonlySet<string>): Promise<void> {
    // A write under way may hold some of it.
    await this.#writing;
    const uses = this.#unwritten.takeOf(keyIds);
    const others: UseCount[] = [];
    for (const count of this.#counts) {
      if (keyIds.has(count.keyId)) uses.push(taken(count));
      else others.push(count);
    }
    this.#counts = others;
    if (uses.length > 0) await this.#store(uses);
  }

  /** Writes what is held and stops. */
  async close(): Promise<void> {
    clearTimeout(this.#timer);
    await Promise.all([this.#writing, this.#flushing]);
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

  /** Never rejects. What the database cannot take now stays for the next time. */
  async #write(): Promise<void> {
    const uses = this.#unwritten.take();
    for (const count of this.#counts) uses.push(taken(count));
    this.#counts = [];
    let isAway = false;
    for (let start = 0; start < uses.length; start += maxBatch) {
      const batch = uses.slice(start, start + maxBatch);
      if (isAway) this.#unwritten.addAll(batch);
      else isAway = !(await this.#store(batch));
    }
    const dropped = this.#unwritten.takeDropped();
    if (dropped > 0) log.error("key uses dropped: too many could not be written", { rows: dropped });
  }

  /** Keeps the uses when the database is away, and is false then. Drops those that the database refuses for what they are. */
  async #store(uses: readonly KeyUse[]): Promise<boolean> {
    try {
      await addKeyUses(this.#db, uses);
      return true;
    } catch (error) {
      if (isRefusedData(error)) return this.#storeApart(uses, error);
      this.#unwritten.addAll(uses);
      log.warn("key uses not written yet", { rows: this.#unwritten.rows, error });
      return false;
    }
  }

  async #storeApart(uses: readonly KeyUse[], error: unknown): Promise<boolean> {
    if (uses.length === 1) {
      log.warn("key use dropped: the database refuses it", { keyId: uses[0]?.keyId, error });
      return true;
    }
    const [first, second] = [uses.slice(0, uses.length >> 1), uses.slice(uses.length >> 1)];
    if (await this.#store(first)) return this.#store(second);
    this.#unwritten.addAll(second);
    return false;
  }
}

/** What was counted, in a form to be written; counting begins anew. */
function taken(count: UseCount): KeyUse {
  const { keyId, generation, minute, accepted, refused, wasValid, lastUsedInMinuteMs, address, agent } = count;
  const lastUsedAtMs = minute * minuteMs + lastUsedInMinuteMs;
  count.accepted = 0;
  count.refused = 0;
  count.wasValid = false;
  return {
    keyId,
    generation,
    minuteSeconds: minute * 60,
    accepted,
    refused,
    lastUsedAtMs,
    lastValidAtMs: wasValid ? lastUsedAtMs : undefined,
    address,
    agent,
  };
}
