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
 * The lease under which a process may answer from its cache (docs/decisions/0002-revocation-by-lease.md).
 *
 * Safety rests on one fact: a lease is counted from before its renewal was sent, and a renewal that does not know
 * of a change was sent before that change was committed. So `leaseMs` after a commit, by anybody's clock that does
 * not run backwards, every process has either forgotten the key or stopped using its cache.
 */
export const leaseMs = 6_000;
const renewEveryMs = 2_000;
/** Taken off our own lease: clocks of two machines may run at different speeds, by far less than this. */
const marginMs = 500;
const statementTimeoutMs = 2_000;
const reconnectAfterMs = 250;

/** What the lease protects. */
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

/** Holds the lease of this process, forgets what others change, and waits for others to forget what we change. */
export class Lease {
  readonly #options: LeaseOptions;
  readonly #clock: LeaseClock;
  readonly #acknowledgements: ReplicaAcks;
  readonly #closing = new AbortController();
  #session: Session | undefined;
  /** The id of a session that ended and may still have its row. */
  #left: string | undefined;
  #running: Promise<void> = Promise.resolve();
  #validUntil = { monotonic: Number.NEGATIVE_INFINITY, wall: Number.NEGATIVE_INFINITY };
  /** Every change up to this one is forgotten here. */
  #processed = -1;
  /** The database's clock minus our monotonic one. */
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
   * Whether the cache may be used now. By both clocks: the monotonic one stands still while a machine sleeps, the
   * other one can be set back.
   */
  get held(): boolean {
    return this.heldAt();
  }

  heldAt(monotonic = this.#clock.monotonic()): boolean {
    return monotonic < this.#validUntil.monotonic && this.#clock.wall() < this.#validUntil.wall;
  }

  /** Our own clock. What is read of it may be given to `heldAt` and `now`, at once. */
  monotonic(): number {
    return this.#clock.monotonic();
  }

  /** Every change up to this one is forgotten here: what a cache fill has to be newer than. */
  get processed(): number {
    return this.#processed;
  }

  /** Unix milliseconds by the database's clock, the one clock all replicas share, and never behind it. Our own before the first lease. */
  now(monotonic = this.#clock.monotonic()): number {
    return this.#databaseOffsetMs === undefined ? this.#clock.wall() : monotonic + this.#databaseOffsetMs;
  }

  /** Call with what the database says of its clock: `now` is not behind it from then on. */
  notBehind(databaseTimeMs: number): void {
    if (this.now() < databaseTimeMs) this.#databaseOffsetMs = databaseTimeMs - this.#clock.monotonic();
  }

  /**
   * Call when change `seq` is committed: resolves when no process can accept what it changed any more. That is
   * when all have acknowledged it, and at the latest when every lease that did not know of it has run out.
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
      // The cache is empty now: nobody has to wait for the session before.
      await this.#leave();
    } catch (error) {
      log.warn("no lease: keys are checked in the database", { error });
    }
  }

  /** Takes a row of ours away that others would wait for. Only when the cache is empty or used no more. */
  async #leave(): Promise<void> {
    const id = this.#left;
    this.#left = undefined;
    if (id) await deleteReplica(this.#options.db, id).catch(() => undefined);
  }

  /** A new session knows nothing of what happened meanwhile, so it begins with an empty cache. */
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
        if (!renewal) return; // Our row is gone: we were taken for dead.
        await this.#catchUp(session, renewal.head);
        // Others take a replica for dead a second after its lease ran out. One that comes back later than its own
        // lease cannot know whether they still waited for it: it begins anew, with an empty cache.
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

  /** Brings us up to `head` where notifications have not. */
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
    // First the number: a fill that lands in between must find itself too old.
    this.#processed = change.seq;
    this.#options.cache.forget(change);
  }

  #extend(sentAt: { monotonic: number; wall: number }, { databaseTimeMs }: Renewal): void {
    const lastsMs = leaseMs - marginMs;
    this.#validUntil = { monotonic: sentAt.monotonic + lastsMs, wall: sentAt.wall + lastsMs };
    // The database read its clock after we sent. Taking that for the same moment, we are never behind it: a secret may
    // end here early by the time a renewal takes, and never late.
    this.#databaseOffsetMs = databaseTimeMs - sentAt.monotonic;
  }

  #stamp() {
    return { monotonic: this.#clock.monotonic(), wall: this.#clock.wall() };
  }

  /** Rows of processes that ended without a word, long after their leases. */
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

/** One connection's worth of being a replica. A new connection is a new replica. */
class Session {
  readonly id = randomUUID();
  readonly #lost = new AbortController();
  #listener: Listener | undefined;
  #acknowledged = -1;
  #acknowledging: Promise<void> | undefined;

  static async open(url: string, events: SessionEvents): Promise<Session> {
    const session = new Session();
    // What is announced before we are entered is in `head` already; what comes after waits its turn here.
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

  /** Changes that come while one acknowledgement is on its way are acknowledged together by the next. */
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
