import { type Database, isRefusedData } from "../../db/database.ts";
import { log } from "../../logger.ts";
import { hideKeys } from "../../redaction/key-redaction.ts";
import { addKeyUses, type KeyUse } from "./store.ts";
import { UnwrittenUses } from "./unwritten-uses.ts";

const writeEveryMs = 1_000;
/** Writing takes at most a twentieth of the time, so it is less frequent with very many keys. */
const restFactor = 20;
const longestRestMs = 10_000;
const minuteMs = 60_000;
/** Maximum rows per statement, so that each ends well within its time limit. */
const maxBatch = 10_000;

/** `dead`: the secret is dead. `refused`: rejected for any other reason. */
export type UseVerdict = "accepted" | "refused" | "dead";

/** Uses of one secret of a key within one minute, since the last write. All numbers are small integers. */
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
 * Counts every use of every key in memory and writes the counts about once a second in one statement,
 * so that no request waits for a write. Also writes on shutdown. A killed process loses at most ten
 * seconds of counts.
 */
export class KeyUses {
  readonly #db: Database;
  /** Counters with unwritten uses. */
  #counts: UseCount[] = [];
  #lastAgent: string | undefined;
  #lastAgentKept: string | undefined;
  /** Uses of completed minutes, and uses from failed writes. */
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

  /** Number of unwritten counts. */
  get held(): number {
    return this.#counts.length + this.#unwritten.rows;
  }

  /** `nowMs`: Unix milliseconds by a clock that all processes share. */
  record(count: UseCount, verdict: UseVerdict, nowMs: number, address: string, agent: string | undefined): void {
    const minute = Math.floor(nowMs / minuteMs);
    this.#open(count, minute);
    if (verdict === "accepted") count.accepted += 1;
    else count.refused += 1;
    if (verdict !== "dead") count.wasValid = true;
    count.lastUsedInMinuteMs = Math.floor(nowMs - minute * minuteMs);
    // Each request has its own copies of these strings. Storing an equal copy would retain memory of the
    // request.
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

  /** Returns the agent in its stored form. Keys used by the same program share one copy. */
  #kept(agent: string | undefined): string | undefined {
    if (this.#lastAgent !== agent) {
      this.#lastAgent = agent;
      // Cut first: searching 16 KiB for keys takes milliseconds.
      this.#lastAgentKept = agent && hideKeys(agent.slice(0, 600)).slice(0, 200);
    }
    return this.#lastAgentKept;
  }

  /**
   * Writes the uses of one key, so that a report about it is exact. Runs one statement at a time:
   * concurrent calls share the next one. Never rejects; uses that the database does not accept stay in
   * memory.
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
    // A write in progress may contain some of the uses.
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

  /** Writes all uses and stops. */
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

  /** Never rejects. Uses that the database cannot accept now stay in memory for the next write. */
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

  /**
   * Returns false and keeps the uses when the database is unavailable. Drops uses that the database
   * rejects as invalid.
   */
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

/** Returns the counted uses in the form to be written, and resets the counter. */
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
