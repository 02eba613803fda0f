import type { KeyChange } from "../revocation/key-changes.ts";
import type { Forgetful } from "../revocation/lease.ts";
import type { CachedKey } from "./cached-key.ts";

/** What a fill has to show when it lands: how much had been forgotten when it began. */
export interface FillTicket {
  readonly generation: number;
  readonly processed: number;
}

const maxKeys = 100_000;
const maxRemembered = 10_000;
const maxUnknown = 10_000;
/** A new key is not announced, so a digest that was nobody's is believed to be nobody's for no longer than this. */
const unknownForMs = 1_000;

/**
 * Keys by the SHA-256 of what is sent; nothing in here says what a key is. There is no time to live: an entry is
 * right until it is forgotten, and may be used only while the lease is held. The exception are digests that are nobody's:
 * a key can be made at any time, so they are kept for a second, and until anything at all changes.
 *
 * A fill reads the database, and the key may change meanwhile. A fill that began before a change may not land after
 * it, or it would bring a revoked key back.
 */
export class KeyCache implements Forgetful {
  readonly #records = new Map<string, CachedKey>();
  /** A key has one digest, two while it is being rotated. */
  readonly #digestsByKey = new Map<string, string[]>();
  readonly #keysByOrganization = new Map<string, Set<string>>();
  /** The latest change of each key or organization; those of numbers up to `#allBefore` are not kept apart. */
  readonly #changes = new Map<string, number>();
  #allBefore = -1;
  #generation = 0;
  /** Digests that are nobody's, and until when that is believed; by a clock that never runs backwards. */
  readonly #unknownUntil = new Map<string, number>();

  get(digest: string): CachedKey | undefined {
    return this.#records.get(digest);
  }

  /** Take a ticket before asking the database. `processed` is the lease's, now. */
  ticket(processed: number): FillTicket {
    return { generation: this.#generation, processed };
  }

  /** True when nothing at all was forgotten since the ticket: what its fill finds is news to nobody. */
  isCurrent(ticket: FillTicket, processed: number): boolean {
    return ticket.generation === this.#generation && ticket.processed === processed;
  }

  /** Keeps what the database said, unless the key changed since the ticket was taken. */
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

  /** Whether the database said a moment ago that nobody has this key. */
  isUnknown(digest: string, nowMs: number): boolean {
    return (this.#unknownUntil.get(digest) ?? Number.NEGATIVE_INFINITY) > nowMs;
  }

  /** Keeps for a moment that the database knows no such key, unless anything changed since the ticket was taken. */
  fillUnknown(ticket: FillTicket, processed: number, digest: string, nowMs: number): void {
    if (!this.isCurrent(ticket, processed)) return;
    // Deleted first, so that the oldest comes first.
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
