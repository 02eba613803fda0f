import { log } from "../../logger.ts";
import type { Sample } from "../../metrics/metrics.ts";
import type { CachedKey } from "./cached-key.ts";

/** Reason why a key, or one of its secrets, is no longer valid. */
export type DeadReason = "revoked" | "expired" | "rotated";

const lineEveryMs = 60_000;
const flushEveryMs = 10_000;
const maxKeys = 1_000;

interface DeadKey {
  readonly fields: Readonly<Record<string, string>>;
  address: string;
  /** Uses since the last log line. */
  times: number;
  writtenAt: number;
}

type Write = (fields: Readonly<Record<string, unknown>>) => void;

/**
 * Logs uses of revoked, expired or rotated keys, which indicate a leaked key or a client that was not
 * updated. It writes one line per key and reason each minute, with the number of uses. It tracks at
 * most 1,000 keys at a time individually.
 */
export class DeadKeyUses {
  readonly #keys = new Map<string, DeadKey>();
  readonly #totals: Record<DeadReason, number> = { revoked: 0, expired: 0, rotated: 0 };
  readonly #timer = setInterval(() => this.flush(), flushEveryMs).unref();
  readonly #write: Write;
  readonly #now: () => number;
  /** Uses of keys beyond the maximum, since the last log line about them. */
  #others = 0;
  #othersWrittenAt = Number.NEGATIVE_INFINITY;

  constructor(
    write: Write = (fields) => log.each("warn", "a key that is no longer valid was used", fields),
    now: () => number = () => performance.now(),
  ) {
    this.#write = write;
    this.#now = now;
  }

  record({ keyId, kind, organizationId }: CachedKey, reason: DeadReason, address: string): void {
    this.#totals[reason] += 1;
    const id = `${keyId} ${reason}`;
    const known = this.#keys.get(id);
    if (known) {
      known.times += 1;
      known.address = address;
      return;
    }
    if (this.#keys.size >= maxKeys) {
      this.#others += 1;
      return;
    }
    const key: DeadKey = {
      fields: { keyId, kind, organizationId, reason },
      address,
      times: 1,
      writtenAt: Number.NEGATIVE_INFINITY,
    };
    this.#keys.set(id, key);
    this.#flushKey(id, key);
  }

  samples(): readonly Sample[] {
    return Object.entries(this.#totals).map(([reason, value]) => ({ labels: { reason }, value }));
  }

  /** Writes the lines that are due. Drops keys that were not used for one minute. */
  flush(): void {
    for (const [id, key] of this.#keys) this.#flushKey(id, key);
    if (this.#others > 0 && this.#now() - this.#othersWrittenAt >= lineEveryMs) {
      this.#write({ keyId: "others", times: this.#others });
      this.#others = 0;
      this.#othersWrittenAt = this.#now();
    }
  }

  close(): void {
    clearInterval(this.#timer);
  }

  #flushKey(id: string, key: DeadKey): void {
    const now = this.#now();
    if (now - key.writtenAt < lineEveryMs) return;
    if (key.times === 0) {
      this.#keys.delete(id);
      return;
    }
    this.#write({ ...key.fields, times: key.times, address: key.address });
    key.times = 0;
    key.writtenAt = now;
  }
}
