import type { KeyChange } from "../revocation/key-changes.ts";
import type { Forgetful } from "../revocation/lease.ts";
import type { CachedKey } from "./cached-key.ts";

/** State of the cache when a fill started, checked when the fill completes. */
export interface FillTicket {
  readonly generation: number;
  readonly processed: number;
}

const maxKeys = 100_000;
const maxRemembered = 10_000;
const maxUnknown = 10_000;
/** New keys are not announced, so a digest is considered unknown for at most this long. */
const unknownForMs = 1_000;

/**
 * Caches keys by the SHA-256 of the text that is sent, so it contains no usable key. Entries have no
 * time to live: an entry is valid until it is invalidated, and may be used only while the lease is
 * held. Unknown digests are the exception: a key can be created at any time, so they are cached for
 * one second, or until any change.
 *
 * A fill reads the database, and the key may change meanwhile. A fill that started before a change
 * must not complete after it, since it would restore a revoked key.
 */
export class KeyCache implements Forgetful {
  readonly #records = new Map<string, CachedKey>();
  /** A key has one digest, or two during a rotation. */
  readonly #digestsByKey = new Map<string, string[]>();
  readonly #keysByOrganization = new Map<string, Set<string>>();
  /** The latest change of each key or organization. Changes up to `#allBefore` are not stored individually. */
  readonly #changes = new Map<string, number>();
  #allBefore = -1;
  #generation = 0;
  /** Unknown digests and the time until which they are considered unknown, by a monotonic clock. */
  readonly #unknownUntil = new Map<string, number>();

  get(digest: string): CachedKey | undefined {
    return this.#records.get(digest);
  }

  /** Returns a ticket. Call it before querying the database. `processed` is the current value of the lease. */
  ticket(processed: number): FillTicket {
    return { generation: this.#generation, processed };
  }

  /** Returns true when nothing was invalidated since the ticket was issued, so the fill can be shared. */
  isCurrent(ticket: FillTicket, processed: number): boolean {
    return ticket.generation === this.#generation && ticket.processed === processed;
  }

  /** Stores the result of a query, unless the key changed since the ticket was issued. */
  fill(ticket: FillTicket, digest: string, record: CachedKey): boolean {
    if (ticket.generation !== this.#generation || ticket.processed < this.#allBefore) return false;
    if (this.#changedSince(ticket, record.keyId) || this.#changedSince(ticket, record.organizationId)) return false;
    if (this.#records.size >= maxKeys) this.#evictOldest();
    this.#records.set(digest, record);
    const digests = this.#digestsByKey.get(record.keyId);
    if (!digests) this.#digestsByKey.set(record.keyId, [digest]);
    else if (!digests.includes(digest)) digests.push(digest);
    this.#keysOf(record.organizationId).add(record.keyId);
    return true;
  }

  /** Returns whether a recent query found that the key does not exist. */
  isUnknown(digest: string, nowMs: number): boolean {
    return (this.#unknownUntil.get(digest) ?? Number.NEGATIVE_INFINITY) > nowMs;
  }

  /** Caches for a short time that the key does not exist, unless anything changed since the ticket was issued. */
  fillUnknown(ticket: FillTicket, processed: number, digest: string, nowMs: number): void {
    if (!this.isCurrent(ticket, processed)) return;
    // Delete first, so that entries are ordered by age.
    this.#unknownUntil.delete(digest);
    this.#unknownUntil.set(digest, nowMs + unknownForMs);
    if (this.#unknownUntil.size > maxUnknown)
      this.#unknownUntil.delete(this.#unknownUntil.keys().next().value as string);
  }

  forget(change: KeyChange): void {
    this.#unknownUntil.clear();
    const name = "keyId" in change ? change.keyId : change.organizationId;
    this.#changes.delete(name);
    this.#changes.set(name, change.seq);
    if (this.#changes.size > maxRemembered) this.#mergeOldestChange();
    if ("keyId" in change) {
      this.#forgetKey(change.keyId);
    } else {
      for (const keyId of [...(this.#keysByOrganization.get(change.organizationId) ?? [])]) this.#forgetKey(keyId);
    }
  }

  forgetAll(): void {
    this.#generation += 1;
    this.#records.clear();
    this.#unknownUntil.clear();
    this.#digestsByKey.clear();
    this.#keysByOrganization.clear();
    this.#changes.clear();
  }

  #changedSince({ processed }: FillTicket, name: string): boolean {
    return (this.#changes.get(name) ?? -1) > processed;
  }

  #forgetKey(keyId: string): void {
    for (const digest of this.#digestsByKey.get(keyId) ?? []) {
      const record = this.#records.get(digest);
      this.#records.delete(digest);
      if (record) this.#leaveOrganization(record);
    }
    this.#digestsByKey.delete(keyId);
  }

  #evictOldest(): void {
    const oldest = this.#digestsByKey.keys().next().value;
    if (oldest !== undefined) this.#forgetKey(oldest);
  }

  #keysOf(organizationId: string): Set<string> {
    const known = this.#keysByOrganization.get(organizationId);
    if (known) return known;
    const keys = new Set<string>();
    this.#keysByOrganization.set(organizationId, keys);
    return keys;
  }

  #leaveOrganization({ keyId, organizationId }: CachedKey): void {
    const keys = this.#keysByOrganization.get(organizationId);
    keys?.delete(keyId);
    if (keys?.size === 0) this.#keysByOrganization.delete(organizationId);
  }

  #mergeOldestChange(): void {
    const oldest = this.#changes.entries().next().value;
    if (!oldest) return;
    this.#changes.delete(oldest[0]);
    this.#allBefore = Math.max(this.#allBefore, oldest[1]);
  }
}
