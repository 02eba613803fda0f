import { hash } from "node:crypto";
import { log } from "../log.ts";
import type { Queryable } from "../store/database.ts";
import { findKeyByDigest, type KeyRecord, rehashSecret } from "../store/keys.ts";
import { type FillTicket, KeyCache } from "./key-cache.ts";
import { digestsOf } from "./key-material.ts";
import type { Keyring } from "./keyring.ts";
import { Lease, type LeaseClock } from "./lease.ts";

export interface KeyDirectoryOptions {
  readonly url: string;
  readonly db: Queryable;
  readonly pepper: Keyring;
  readonly clock?: LeaseClock;
}

interface Flight {
  readonly ticket: FillTicket;
  readonly record: Promise<KeyRecord | undefined>;
}

/** Says whose a key is: from memory under the lease, else from the database; never a guess. */
export class KeyDirectory {
  readonly #db: Queryable;
  readonly #pepper: Keyring;
  readonly #cache = new KeyCache();
  readonly #lease: Lease;
  readonly #flights = new Map<string, Flight>();

  constructor({ url, db, pepper, clock }: KeyDirectoryOptions) {
    this.#db = db;
    this.#pepper = pepper;
    this.#lease = new Lease({ url, db, cache: this.#cache, ...(clock && { clock }) });
  }

  open(): Promise<void> {
    return this.#lease.open();
  }

  close(): Promise<void> {
    return this.#lease.close();
  }

  /** True while keys are checked without asking the database. */
  get leaseHeld(): boolean {
    return this.#lease.held;
  }

  /** Unix milliseconds by the database's clock, by which keys expire on every replica alike. */
  now(): number {
    return this.#lease.now();
  }

  /**
   * The key that was sent, live or dead; undefined when nobody has it. A promise only where the database has to be
   * asked; it rejects when the database cannot answer.
   */
  find(key: string): KeyRecord | undefined | Promise<KeyRecord | undefined> {
    const digest = hash("sha256", key, "base64");
    if (!this.#lease.held) return this.#read(key);
    return this.#cache.get(digest) ?? this.#load(digest, key);
  }

  /** Call when key change `seq` is committed: resolves when no process can act on the state before it. */
  awaitForgotten(seq: number): Promise<void> {
    return this.#lease.awaitForgotten(seq);
  }

  /** One question to the database for all who ask at the same time, as long as nothing was forgotten meanwhile. */
  #load(digest: string, key: string): Promise<KeyRecord | undefined> {
    const underway = this.#flights.get(digest);
    if (underway && this.#cache.isCurrent(underway.ticket, this.#lease.processed)) return underway.record;
    const ticket = this.#cache.ticket(this.#lease.processed);
    const flight: Flight = { ticket, record: this.#read(key) };
    this.#flights.set(digest, flight);
    const landed = flight.record.then((record) => {
      if (record) this.#cache.fill(ticket, digest, record);
      return record;
    });
    const leave = () => {
      if (this.#flights.get(digest) === flight) this.#flights.delete(digest);
    };
    landed.then(leave, leave);
    return landed;
  }

  async #read(key: string): Promise<KeyRecord | undefined> {
    const digests = digestsOf(this.#pepper, key);
    const found = await findKeyByDigest(
      this.#db,
      digests.map(({ digest }) => digest),
    );
    if (found && found.pepperVersion !== this.#pepper.current.version) this.#rehash(digests, found.pepperVersion);
    return found?.record;
  }

  /** A key that was stored under a retired pepper moves to the current one the first time it is used. */
  #rehash(digests: ReturnType<typeof digestsOf>, storedVersion: number): void {
    const stored = digests.find(({ pepperVersion }) => pepperVersion === storedVersion);
    const current = digests[0];
    if (!stored || !current) return;
    rehashSecret(this.#db, stored.digest, current).catch((error) => log.warn("key not re-hashed yet", { error }));
  }
}
