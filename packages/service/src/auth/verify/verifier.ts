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
  /** Bounds what one address can ask of the database; without it nothing is bounded. */
  readonly failures?: FailedAttempts;
  /** Called when a change of this key was announced, by whatever process. */
  readonly onKeyChange?: (keyId: string) => void;
}

/** Keys that named somebody once. They are looked up whatever else comes from their address. */
const maxRecentlySeen = 100_000;

/** Texts of one request that are looked up as imported keys. */
const maxImportedCandidates = 16;
/** Texts that one statement looks up. */
const textsAtOnce = 500;

interface Flight {
  readonly ticket: FillTicket;
  readonly record: Promise<CachedKey | undefined>;
}

/** Says whose a key is: from memory under the lease, else from the database; never a guess. */
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

  /** True while keys are checked without asking the database. */
  get leaseHeld(): boolean {
    return this.#lease.held;
  }

  /** The clock that the others read when they are not told: milliseconds that never run backwards. Reading it is not free. */
  monotonic(): number {
    return this.#lease.monotonic();
  }

  /** Unix milliseconds by the database's clock, by which keys expire on every replica alike. */
  now(monotonic?: number): number {
    return this.#lease.now(monotonic);
  }

  /** The key that was sent, where it is in memory and memory may be used: nothing else has to be known of the text. */
  known(key: string, monotonic?: number): CachedKey | undefined {
    return this.#knownBy(digestOf(key), monotonic);
  }

  /**
   * The key that was sent, live or dead; undefined when nobody has it. A promise only where it is not in memory;
   * it rejects when the database cannot answer, and with 429 when too many keys that nobody has came from `address`.
   */
  find(key: string, address = "unknown"): CachedKey | Promise<CachedKey | undefined> {
    const digest = digestOf(key);
    return this.#knownBy(digest) ?? this.#ask(digest, key, address);
  }

  /** The key that was sent, live or dead, as a transaction sees it; not from memory, and not kept there. */
  findIn(tx: Queryable, key: string): Promise<CachedKey | undefined> {
    return this.#read(key, new KeyLoader(tx));
  }

  /** Whether a text that is none of our own keys may be one that was imported. */
  mayBeImported(text: string): boolean | Promise<boolean> {
    return this.#importedPrefixes.match(text);
  }

  /** Whether a URL may hold an imported key: quick, and by prefixes that were read a moment ago. */
  mayHoldImported(url: string): boolean {
    return this.#importedPrefixes.mayBeIn(url);
  }

  /**
   * The first of the texts that is a key which the organization imported, live or dead. Asks the database once, about as
   * many texts as a mistake may hold: a request must not make it ask about more.
   */
  async importedAmong(organizationId: string, texts: readonly string[]): Promise<string | undefined> {
    const possible: string[] = [];
    for (const text of texts) {
      if (possible.length < maxImportedCandidates && (await this.mayBeImported(text))) possible.push(text);
    }
    return this.#firstImported(this.#db, organizationId, possible);
  }

  /** The same in the transaction of a change, about every text, for those that are stored. */
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

  /** Call when key change `seq` is committed: resolves when no process can act on the state before it. */
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

  /** One question to the database for all who ask at the same time, as long as nothing was forgotten meanwhile. */
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
    // What this answer is judged by must not be older than the answer: the last renewal may be long ago.
    this.#lease.notBehind(found.databaseTimeMs);
    if (found.pepperVersion !== this.#pepper.current.version) this.#rehash(digests, found.pepperVersion);
    return new CachedKey(found.record);
  }

  /** A key that was stored under a retired pepper, or none, moves to the current one the first time it is used. */
  #rehash(digests: ReturnType<typeof digestsOf>, storedVersion: number): void {
    const stored = digests.find(({ pepperVersion }) => pepperVersion === storedVersion);
    const current = digests[0];
    if (!stored || !current) return;
    rehashSecret(this.#db, stored.digest, current).catch((error) => log.warn("key not re-hashed yet", { error }));
  }
}
