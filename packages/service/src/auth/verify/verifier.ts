import { parseKey } from "@sazabi/sdk/protocol";
import type { Keyring } from "../../crypto/keyring.ts";
import type { Queryable } from "../../db/database.ts";
import { digestsOf, digestsOfImported } from "../../keys/generate.ts";
import { findKeysByDigest, rehashSecret } from "../../keys/store/keys.ts";
import { log } from "../../logger.ts";
import type { FailedAttempts } from "../rate-limit/failed-attempts.ts";
import type { KeyChange } from "../revocation/key-changes.ts";
import { type Forgetful, Lease, type LeaseClock } from "../revocation/lease.ts";
import { type FillTicket, KeyCache } from "./cache.ts";
import { CachedKey } from "./cached-key.ts";
import { digestOf } from "./digest.ts";
import { ImportedPrefixes } from "./imported-prefixes.ts";
import { KeyLoader } from "./loader.ts";

export interface KeyVerifierOptions {
  readonly url: string;
  readonly db: Queryable;
  readonly pepper: Keyring;
  readonly clock?: LeaseClock;
  /** Limits failed look-ups per address; undefined for no limit. */
  readonly failures?: FailedAttempts;
  /** Called when any process announces a change of this key. */
  readonly onKeyChange?: (keyId: string) => void;
}

/** Keys that were valid before. They are looked up even when their address is over the limit of failures. */
const maxRecentlySeen = 100_000;

/** Maximum number of texts per request that are looked up as imported keys. */
const maxImportedCandidates = 16;
/** Number of texts per look-up statement. */
const textsAtOnce = 500;

interface Flight {
  readonly ticket: FillTicket;
  readonly record: Promise<CachedKey | undefined>;
}

/** Resolves a key to its record: from the cache while the lease is held, otherwise from the database. */
export class KeyVerifier implements Forgetful {
  readonly #db: Queryable;
  readonly #pepper: Keyring;
  readonly #cache = new KeyCache();
  readonly #lease: Lease;
  readonly #flights = new Map<string, Flight>();
  readonly #failures: FailedAttempts | undefined;
  readonly #onKeyChange: ((keyId: string) => void) | undefined;
  readonly #recentlySeen = new Set<string>();
  readonly #importedPrefixes: ImportedPrefixes;
  readonly #loader: KeyLoader;

  constructor({ url, db, pepper, clock, failures, onKeyChange }: KeyVerifierOptions) {
    this.#db = db;
    this.#pepper = pepper;
    this.#failures = failures;
    this.#onKeyChange = onKeyChange;
    this.#importedPrefixes = new ImportedPrefixes(db);
    this.#loader = new KeyLoader(db);
    this.#lease = new Lease({ url, db, cache: this, ...(clock && { clock }) });
  }

  async open(): Promise<void> {
    await Promise.all([this.#lease.open(), this.#importedPrefixes.open()]);
  }

  close(): Promise<void> {
    return this.#lease.close();
  }

  /** True while keys are verified without querying the database. */
  get leaseHeld(): boolean {
    return this.#lease.held;
  }

  /**
   * Returns the clock that the other methods read by default: monotonic milliseconds. Reading it has a
   * measurable cost.
   */
  monotonic(): number {
    return this.#lease.monotonic();
  }

  /** Returns Unix milliseconds by the clock of the database, which decides expiry on all replicas. */
  now(monotonic?: number): number {
    return this.#lease.now(monotonic);
  }

  /**
   * Returns the key from the cache, or undefined when it is not cached or the lease is not held. The
   * text needs no validation first.
   */
  known(key: string, monotonic?: number): CachedKey | undefined {
    return this.#knownBy(digestOf(key), monotonic);
  }

  /**
   * Returns the key, live or dead, or undefined when it does not exist. Returns a promise only when the
   * key is not cached. The promise rejects when the database is unavailable, and with 429 when `address`
   * sent too many unknown keys.
   */
  find(key: string, address = "unknown"): CachedKey | Promise<CachedKey | undefined> {
    const digest = digestOf(key);
    return this.#knownBy(digest) ?? this.#ask(digest, key, address);
  }

  /** Returns the key, live or dead, as seen by a transaction. Neither reads nor fills the cache. */
  findIn(tx: Queryable, key: string): Promise<CachedKey | undefined> {
    return this.#read(key, new KeyLoader(tx));
  }

  /** Returns whether a text that is not one of our own keys may be an imported key. */
  mayBeImported(text: string): boolean | Promise<boolean> {
    return this.#importedPrefixes.match(text);
  }

  /** Returns whether a URL may contain an imported key, by recently read prefixes, without I/O. */
  mayHoldImported(url: string): boolean {
    return this.#importedPrefixes.mayBeIn(url);
  }

  /**
   * Returns the first text that is a key imported by the organization, live or dead. Queries the
   * database once, for at most 16 texts, so that a request cannot cause large queries.
   */
  async importedAmong(organizationId: string, texts: readonly string[]): Promise<string | undefined> {
    const possible: string[] = [];
    for (const text of texts) {
      if (possible.length < maxImportedCandidates && (await this.mayBeImported(text))) possible.push(text);
    }
    return this.#firstImported(this.#db, organizationId, possible);
  }

  /** As `importedAmong`, but inside the transaction of a change and for every text. Used for texts that are stored. */
  async importedAmongStored(
    tx: Queryable,
    organizationId: string,
    texts: readonly string[],
  ): Promise<string | undefined> {
    const possible: string[] = [];
    for (const text of texts) if (await this.mayBeImported(text)) possible.push(text);
    for (let start = 0; start < possible.length; start += textsAtOnce) {
      const found = await this.#firstImported(tx, organizationId, possible.slice(start, start + textsAtOnce));
      if (found !== undefined) return found;
    }
    return undefined;
  }

  async #firstImported(
    db: Queryable,
    organizationId: string,
    possible: readonly string[],
  ): Promise<string | undefined> {
    if (possible.length === 0) return undefined;
    const digests = possible.map((text) => digestsOfImported(this.#pepper, text).map(({ digest }) => digest));
    const found = await findKeysByDigest(db, digests.flat());
    const isTheirs = (digest: Buffer) => found.get(digest.toString("base64"))?.record.organizationId === organizationId;
    return possible.find((_, index) => digests[index]?.some(isTheirs));
  }

  forget(change: KeyChange): void {
    this.#cache.forget(change);
    if ("organizationId" in change) this.#importedPrefixes.forget();
    else this.#onKeyChange?.(change.keyId);
  }

  forgetAll(): void {
    this.#cache.forgetAll();
    this.#importedPrefixes.forget();
  }

  /** Resolves when no process can use the state before key change `seq`. Call it after the commit. */
  awaitForgotten(seq: number): Promise<void> {
    return this.#lease.awaitForgotten(seq);
  }

  #knownBy(digest: string, monotonic?: number): CachedKey | undefined {
    return this.#lease.heldAt(monotonic) ? this.#cache.get(digest) : undefined;
  }

  async #ask(digest: string, key: string, address: string): Promise<CachedKey | undefined> {
    if (!this.#recentlySeen.has(digest)) this.#failures?.refuseTooMany(address);
    const record = await this.#lookUp(digest, key);
    if (record) this.#noteSeen(digest);
    else this.#failures?.countUnknown(address);
    return record;
  }

  #lookUp(digest: string, key: string): Promise<CachedKey | undefined> | undefined {
    if (!this.#lease.held) return this.#read(key);
    return this.#cache.isUnknown(digest, performance.now()) ? undefined : this.#load(digest, key);
  }

  #noteSeen(digest: string): void {
    this.#recentlySeen.add(digest);
    if (this.#recentlySeen.size > maxRecentlySeen)
      this.#recentlySeen.delete(this.#recentlySeen.keys().next().value as string);
  }

  /** Shares one database query among concurrent callers, unless a cache entry was invalidated meanwhile. */
  #load(digest: string, key: string): Promise<CachedKey | undefined> {
    const underway = this.#flights.get(digest);
    if (underway && this.#cache.isCurrent(underway.ticket, this.#lease.processed)) return underway.record;
    const ticket = this.#cache.ticket(this.#lease.processed);
    const flight: Flight = { ticket, record: this.#read(key) };
    this.#flights.set(digest, flight);
    const landed = flight.record.then((record) => {
      if (record) this.#cache.fill(ticket, digest, record);
      else this.#cache.fillUnknown(ticket, this.#lease.processed, digest, performance.now());
      return record;
    });
    const leave = () => {
      if (this.#flights.get(digest) === flight) this.#flights.delete(digest);
    };
    landed.then(leave, leave);
    return landed;
  }

  async #read(key: string, loader = this.#loader): Promise<CachedKey | undefined> {
    const digests = parseKey(key) ? digestsOf(this.#pepper, key) : digestsOfImported(this.#pepper, key);
    const found = await loader.find(digests);
    if (!found) return undefined;
    // The clock that judges this result must not be behind it, since the last renewal may be long ago.
    this.#lease.notBehind(found.databaseTimeMs);
    if (found.pepperVersion !== this.#pepper.current.version) this.#rehash(digests, found.pepperVersion);
    return new CachedKey(found.record);
  }

  /** Re-hashes a secret stored under a retired pepper, or none, with the current pepper on first use. */
  #rehash(digests: ReturnType<typeof digestsOf>, storedVersion: number): void {
    const stored = digests.find(({ pepperVersion }) => pepperVersion === storedVersion);
    const current = digests[0];
    if (!stored || !current) return;
    rehashSecret(this.#db, stored.digest, current).catch((error) => log.warn("key not re-hashed yet", { error }));
  }
}
