import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { type Listener, openListener, type Queryable } from "../../db/database.ts";
import { log } from "../../logger.ts";
import {
  acknowledgeKeyChanges,
  acknowledgementChannel,
  deleteReplica,
  insertReplica,
  type KeyChange,
  keyChangeChannel,
  listKeyChanges,
  listReplicas,
  parseKeyChange,
  type Renewal,
  renewReplica,
} from "./key-changes.ts";
import { ReplicaAcks } from "./replica-acks.ts";

/*
 * Duration of the lease under which a process may answer from its cache
 * (docs/decisions/0002-revocation-by-lease.md).
 *
 * A lease starts before its renewal is sent, and a renewal that does not include a change was sent
 * before that change was committed. Therefore, `leaseMs` after a commit, by any clock that does not
 * run backwards, every process has either dropped the key or stopped using its cache.
 */
export const leaseMs = 6_000;
const renewEveryMs = 2_000;
/** Safety margin subtracted from the local lease: clocks of two machines may differ in speed, by far less than this. */
const marginMs = 500;
const statementTimeoutMs = 2_000;
const reconnectAfterMs = 250;

/** The cache that the lease protects. */
export interface Forgetful {
  forget(change: KeyChange): void;
  forgetAll(): void;
}

export interface LeaseClock {
  /** Milliseconds; never runs backwards. */
  monotonic(): number;
  /** Unix milliseconds; may jump. */
  wall(): number;
}

const systemClock: LeaseClock = { monotonic: () => performance.now(), wall: () => Date.now() };

export interface LeaseOptions {
  readonly url: string;
  readonly db: Queryable;
  readonly cache: Forgetful;
  readonly clock?: LeaseClock;
}

/**
 * Holds the lease of this process, drops cache entries that other processes change, and waits for
 * other processes to drop entries that this one changes.
 */
export class Lease {
  readonly #options: LeaseOptions;
  readonly #clock: LeaseClock;
  readonly #acknowledgements: ReplicaAcks;
  readonly #closing = new AbortController();
  #session: Session | undefined;
  /** The id of a closed session that may still have a row. */
  #left: string | undefined;
  #running: Promise<void> = Promise.resolve();
  #validUntil = { monotonic: Number.NEGATIVE_INFINITY, wall: Number.NEGATIVE_INFINITY };
  /** The latest change that this process has processed. */
  #processed = -1;
  /** Clock of the database minus the local monotonic clock, in milliseconds. */
  #databaseOffsetMs: number | undefined;

  constructor(options: LeaseOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#acknowledgements = new ReplicaAcks(leaseMs + marginMs, () => this.#clock.monotonic());
  }

  /** Resolves when the lease is held for the first time. */
  async open(): Promise<void> {
    this.#session = await this.#connect();
    this.#running = this.#run();
  }

  /**
   * Whether the cache may be used now. Both clocks are checked: the monotonic clock may stop while a
   * machine sleeps, and the wall clock can be set back.
   */
  get held(): boolean {
    return this.heldAt();
  }

  heldAt(monotonic = this.#clock.monotonic()): boolean {
    return monotonic < this.#validUntil.monotonic && this.#clock.wall() < this.#validUntil.wall;
  }

  /** Returns the local monotonic clock in milliseconds. The value may be passed to `heldAt` and `now` immediately. */
  monotonic(): number {
    return this.#clock.monotonic();
  }

  /** The latest change that this process has processed. A cache fill must be newer. */
  get processed(): number {
    return this.#processed;
  }

  /**
   * Returns Unix milliseconds by the clock of the database, which all replicas share, and never behind
   * it. Before the first lease, returns the local wall clock.
   */
  now(monotonic = this.#clock.monotonic()): number {
    return this.#databaseOffsetMs === undefined ? this.#clock.wall() : monotonic + this.#databaseOffsetMs;
  }

  /** Records a reading of the database clock: `now` never returns an earlier time afterwards. */
  notBehind(databaseTimeMs: number): void {
    if (this.now() < databaseTimeMs) this.#databaseOffsetMs = databaseTimeMs - this.#clock.monotonic();
  }

  /**
   * Resolves when no process can accept the state before change `seq`. Call it after the commit. It
   * resolves when all replicas have acknowledged the change, at the latest when every lease that does
   * not include it has expired.
   */
  async awaitForgotten(seq: number): Promise<void> {
    await this.#acknowledgements.wait(this.#options.db, seq);
  }

  async close(): Promise<void> {
    this.#closing.abort();
    this.#validUntil = { monotonic: Number.NEGATIVE_INFINITY, wall: Number.NEGATIVE_INFINITY };
    await this.#running;
  }

  async #run(): Promise<void> {
    while (!this.#closing.signal.aborted) {
      const session = this.#session;
      if (session) {
        await this.#renewUntilLost(session);
        this.#session = undefined;
        this.#left = session.id;
        await session.close();
      } else {
        await pause(reconnectAfterMs, this.#closing.signal);
        if (!this.#closing.signal.aborted) await this.#reconnect();
      }
    }
    await this.#session?.close();
    await this.#leave();
  }

  async #reconnect(): Promise<void> {
    try {
      this.#session = await this.#connect();
      // The cache is empty now, so no process has to wait for the previous session.
      await this.#leave();
    } catch (error) {
      log.warn("no lease: keys are checked in the database", { error });
    }
  }

  /**
   * Deletes the row of the previous session, for which other processes would wait. Call it only when the
   * cache is empty or no longer used.
   */
  async #leave(): Promise<void> {
    const id = this.#left;
    this.#left = undefined;
    if (id) await deleteReplica(this.#options.db, id).catch(() => undefined);
  }

  /** Opens a session. A new session does not know the changes made in between, so it starts with an empty cache. */
  async #connect(): Promise<Session> {
    const sentAt = this.#stamp();
    return Session.open(this.#options.url, {
      onChange: (session, change) => this.#onChange(session, change),
      onAcknowledgement: (replica, seq) => this.#acknowledgements.heard(replica, seq),
      onRenewal: (renewal) => {
        this.#options.cache.forgetAll();
        this.#processed = renewal.head;
        this.#extend(sentAt, renewal);
      },
    });
  }

  async #renewUntilLost(session: Session): Promise<void> {
    while (!session.lost.aborted && !this.#closing.signal.aborted) {
      await pause(renewEveryMs, AbortSignal.any([session.lost, this.#closing.signal]));
      if (session.lost.aborted || this.#closing.signal.aborted) return;
      try {
        const sentAt = this.#stamp();
        const renewal = await renewReplica(session.listener, session.id);
        if (!renewal) return; // The row was deleted: this replica was considered dead.
        await this.#catchUp(session, renewal.head);
        // Other processes consider a replica dead one second after its lease expires. A replica that returns
        // after its lease has expired cannot know whether they waited for it, so it starts a new session with
        // an empty cache.
        if (!this.held) return;
        this.#extend(sentAt, renewal);
        this.#acknowledgements.observe(await listReplicas(session.listener));
        await this.#forgetTheDead(session);
      } catch (error) {
        if (!this.#closing.signal.aborted) log.warn("lease not renewed", { error });
        return;
      }
    }
  }

  #onChange(session: Session, change: KeyChange): void {
    if (change.seq === this.#processed + 1) this.#forget(change);
    else if (change.seq > this.#processed) void this.#catchUp(session, change.seq).catch(() => session.abandon());
    session.acknowledge(this.#processed);
  }

  /** Processes the changes up to `head` that were not received as notifications. */
  async #catchUp(session: Session, head: number): Promise<void> {
    if (head <= this.#processed) return;
    const changes = await listKeyChanges(session.listener, this.#processed);
    if (changes) {
      for (const change of changes) if (change.seq === this.#processed + 1) this.#forget(change);
    }
    if (this.#processed < head) {
      this.#options.cache.forgetAll();
      this.#processed = head;
    }
    session.acknowledge(this.#processed);
  }

  #forget(change: KeyChange): void {
    // Set the number first, so that a cache fill that completes in between is detected as stale.
    this.#processed = change.seq;
    this.#options.cache.forget(change);
  }

  #extend(sentAt: { monotonic: number; wall: number }, { databaseTimeMs }: Renewal): void {
    const lastsMs = leaseMs - marginMs;
    this.#validUntil = { monotonic: sentAt.monotonic + lastsMs, wall: sentAt.wall + lastsMs };
    // The database read its clock after the request was sent. Treating both as the same moment keeps this
    // clock from running behind: a secret may expire early here by the duration of a renewal, but never
    // late.
    this.#databaseOffsetMs = databaseTimeMs - sentAt.monotonic;
  }

  #stamp() {
    return { monotonic: this.#clock.monotonic(), wall: this.#clock.wall() };
  }

  /** Deletes rows of crashed processes, long after their leases expired. */
  async #forgetTheDead(session: Session): Promise<void> {
    for (const id of this.#acknowledgements.longDead()) {
      await deleteReplica(session.listener, id);
    }
  }
}

interface SessionEvents {
  readonly onChange: (session: Session, change: KeyChange) => void;
  readonly onAcknowledgement: (replica: string, seq: number) => void;
  readonly onRenewal: (renewal: Renewal) => void;
}

/** A replica session on one database connection. A new connection is a new replica. */
class Session {
  readonly id = randomUUID();
  readonly #lost = new AbortController();
  #listener: Listener | undefined;
  #acknowledged = -1;
  #acknowledging: Promise<void> | undefined;

  static async open(url: string, events: SessionEvents): Promise<Session> {
    const session = new Session();
    // Changes announced before registration are included in `head`; later ones are queued here.
    const early: KeyChange[] = [];
    let entered = false;
    session.#listener = await openListener({
      url,
      channels: [keyChangeChannel, acknowledgementChannel],
      timeoutMs: statementTimeoutMs,
      onEnd: () => session.abandon(),
      onNotification(channel, payload) {
        if (channel === keyChangeChannel) {
          const change = parseKeyChange(payload);
          if (change && entered) events.onChange(session, change);
          else if (change) early.push(change);
        } else {
          const heard = parseAcknowledgement(payload);
          if (heard) events.onAcknowledgement(heard.replica, heard.seq);
        }
      },
    });
    const renewal = await insertReplica(session.#listener, session.id).catch(async (error) => {
      await session.close();
      throw error;
    });
    session.#acknowledged = renewal.head;
    events.onRenewal(renewal);
    entered = true;
    for (const change of early) events.onChange(session, change);
    return session;
  }

  get listener(): Listener {
    return this.#listener as Listener;
  }

  get lost(): AbortSignal {
    return this.#lost.signal;
  }

  abandon(): void {
    this.#lost.abort();
  }

  /** Acknowledges `seq`. Changes that arrive during one acknowledgement are acknowledged together by the next. */
  acknowledge(seq: number): void {
    if (seq <= this.#acknowledged) return;
    this.#acknowledged = seq;
    this.#acknowledging ??= this.#sendAcknowledgements().finally(() => {
      this.#acknowledging = undefined;
    });
  }

  async #sendAcknowledgements(): Promise<void> {
    try {
      let sent: number;
      do {
        sent = this.#acknowledged;
        await acknowledgeKeyChanges(this.listener, this.id, sent);
      } while (sent < this.#acknowledged);
    } catch {
      this.abandon();
    }
  }

  async close(): Promise<void> {
    await this.listener.close();
  }
}

function parseAcknowledgement(payload: string): { replica: string; seq: number } | undefined {
  try {
    const { replica, seq } = JSON.parse(payload);
    return typeof replica === "string" && Number.isSafeInteger(seq) ? { replica, seq } : undefined;
  } catch {
    return undefined;
  }
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal }).catch(() => undefined);
}
