import { EventEmitter, once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import type { Queryable } from "../../db/database.ts";
import { listReplicas, type ReplicaState } from "./key-changes.ts";

/** Polling interval for the rows, in case a notification was missed. */
const pollEveryMs = 200;
/** A row that was not renewed for this long belongs to a process that no longer uses it. */
const longDeadMs = 60_000;

/** Tracks the other replicas: the latest change each has acknowledged, and whether it still renews its lease. */
export class ReplicaAcks {
  readonly #leaseMs: number;
  readonly #monotonic: () => number;
  readonly #heard = new Map<string, number>();
  readonly #renewals = new Map<string, { readonly count: number; readonly seenAt: number }>();
  readonly #news = new EventEmitter().setMaxListeners(0);

  /** `leaseMs`: time after a commit until no process can hold a lease that does not include it. */
  constructor(leaseMs: number, monotonic: () => number) {
    this.#leaseMs = leaseMs;
    this.#monotonic = monotonic;
  }

  /** Records that a replica has acknowledged all changes up to `seq`. */
  heard(replica: string, seq: number): void {
    if (seq > (this.#heard.get(replica) ?? -1)) this.#heard.set(replica, seq);
    this.#news.emit("heard");
  }

  /** Records the rows of all replicas. Call it regularly: a replica that does not renew its lease is losing it. */
  observe(replicas: readonly ReplicaState[]): void {
    const now = this.#monotonic();
    for (const { id, renewals } of replicas) {
      if (this.#renewals.get(id)?.count !== renewals) this.#renewals.set(id, { count: renewals, seenAt: now });
    }
    const present = new Set(replicas.map(({ id }) => id));
    for (const id of this.#renewals.keys()) if (!present.has(id)) this.#renewals.delete(id);
    for (const id of this.#heard.keys()) if (!present.has(id)) this.#heard.delete(id);
  }

  longDead(): readonly string[] {
    const before = this.#monotonic() - longDeadMs;
    return [...this.#renewals].filter(([, { seenAt }]) => seenAt < before).map(([id]) => id);
  }

  /**
   * Resolves when every replica that may hold a lease has acknowledged `seq`, at the latest one lease
   * after the call. By then every lease that does not include `seq` has expired. Call it after the
   * commit.
   */
  async wait(db: Queryable, seq: number): Promise<void> {
    const deadline = this.#monotonic() + this.#leaseMs;
    for (;;) {
      const waitMs = Math.min(pollEveryMs, deadline - this.#monotonic());
      if (waitMs <= 0) return;
      const behind = await this.#behind(db, seq, waitMs);
      if (behind?.length === 0) return;
      await this.#untilHeard(behind, seq, waitMs);
    }
  }

  /**
   * Returns the replicas that may hold a lease and have not acknowledged `seq`, or undefined when the
   * database is unavailable.
   */
  async #behind(db: Queryable, seq: number, withinMs: number): Promise<readonly string[] | undefined> {
    const patience = new AbortController();
    try {
      const replicas = await Promise.race([listReplicas(db), sleep(withinMs, undefined, { signal: patience.signal })]);
      if (!replicas) return undefined;
      this.observe(replicas);
      const deadBefore = this.#monotonic() - this.#leaseMs;
      return replicas
        .filter(({ acknowledged, id }) => Math.max(acknowledged, this.#heard.get(id) ?? -1) < seq)
        .filter(({ id }) => (this.#renewals.get(id)?.seenAt ?? 0) >= deadBefore)
        .map(({ id }) => id);
    } catch {
      return undefined;
    } finally {
      patience.abort();
    }
  }

  async #untilHeard(behind: readonly string[] | undefined, seq: number, waitMs: number): Promise<void> {
    const end = this.#monotonic() + waitMs;
    while (!behind || behind.some((id) => (this.#heard.get(id) ?? -1) < seq)) {
      const leftMs = end - this.#monotonic();
      if (leftMs <= 0) return;
      await once(this.#news, "heard", { signal: AbortSignal.timeout(Math.ceil(leftMs)) }).catch(() => undefined);
    }
  }
}
