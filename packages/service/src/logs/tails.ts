import { setTimeout as sleep } from "node:timers/promises";
import { anyOf, evaluate, levels, type QueryNode } from "@sazabi/sdk/protocol";
import { ApiError } from "../errors.ts";
import { log } from "../log.ts";
import type { LogStore, StoredLog } from "./store.ts";

export interface TailRequest {
  readonly keyId: string;
  readonly projectNumber: number;
  readonly query: QueryNode;
  /** The last id that was seen; undefined: only what is committed from now on. */
  readonly after: bigint | undefined;
}

/** One reader of what is being committed in a project. */
export interface Tail {
  /** Every entry up to here was handed out, or is none that was asked for. */
  readonly position: bigint;
  /**
   * The next entries, ascending by id, as soon as they are committed; undefined when the tail was closed. Nothing is
   * read while nobody asks: a slow reader costs one answer of memory, and catches up.
   */
  next(): Promise<readonly StoredLog[] | undefined>;
  close(): void;
}

/** How often the store is asked whether there is anything new, once for all tails of the process. */
const lookEveryMs = 100;
const lookAgainAfterErrorMs = 1_000;
const entriesAtOnce = 200;
/** A process has one thread: this many readers of one busy project still get every entry in time. */
const tailsInAll = 1_000;
const tailsOfKey = 20;
/** More conditions than this are not sent to the store: then all entries are read, once. */
const queriesAtOnce = 8;

/** All tails of this process: what is new is read once for each project, however many watch it. */
export class LogTails {
  readonly #store: LogStore;
  readonly #feeds = new Map<number, Feed>();
  readonly #tailsByKey = new Map<string, number>();
  #count = 0;
  #timer: NodeJS.Timeout | undefined;
  #closed = false;
  #storeAway = false;

  constructor(store: LogStore) {
    this.#store = store;
  }

  /** How many are open. */
  get count(): number {
    return this.#count;
  }

  /** Throws 429 when the key, or the process, has as many tails as it may have, 503 when the process is stopping. */
  async open({ keyId, projectNumber, query, after }: TailRequest): Promise<Tail> {
    const leave = this.#enter(keyId);
    try {
      const head = (await this.#store.heads([projectNumber])).get(projectNumber) ?? 0n;
      if (this.#closed) throw stopping();
      const feed = this.#feeds.get(projectNumber) ?? new Feed(this.#store, projectNumber, head);
      this.#feeds.set(projectNumber, feed);
      // A cursor from beyond the end is of a database that was set back: what comes next has smaller ids.
      const from = after === undefined || after > head ? head : after;
      const tail = feed.join(query, from, () => {
        if (feed.isEmpty) this.#feeds.delete(projectNumber);
        leave();
      });
      this.#look();
      return tail;
    } catch (error) {
      leave();
      throw error;
    }
  }

  /** Ends every tail; their readers come back, to another process. */
  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    for (const feed of [...this.#feeds.values()]) feed.close();
  }

  #enter(keyId: string): () => void {
    if (this.#closed) throw stopping();
    const ofKey = this.#tailsByKey.get(keyId) ?? 0;
    if (ofKey >= tailsOfKey) throw tooMany(`A key may have ${tailsOfKey} tails at once. Close one of them.`);
    if (this.#count >= tailsInAll) throw tooMany("The service has as many tails as it can serve. Try again.");
    this.#count += 1;
    this.#tailsByKey.set(keyId, ofKey + 1);
    let left = false;
    return () => {
      if (left) return;
      left = true;
      this.#count -= 1;
      const others = (this.#tailsByKey.get(keyId) as number) - 1;
      if (others > 0) this.#tailsByKey.set(keyId, others);
      else this.#tailsByKey.delete(keyId);
    };
  }

  #look(): void {
    if (this.#timer || this.#closed) return;
    this.#timer = setTimeout(
      () =>
        void this.#lookOnce().finally(() => {
          this.#timer = undefined;
          if (this.#feeds.size > 0) this.#look();
        }),
      this.#storeAway ? lookAgainAfterErrorMs : lookEveryMs,
    );
  }

  async #lookOnce(): Promise<void> {
    try {
      const watched = [...this.#feeds.values()]
        .filter((feed) => feed.isWatched)
        .map(({ projectNumber }) => projectNumber);
      if (watched.length > 0) {
        for (const [number, head] of await this.#store.heads(watched)) this.#feeds.get(number)?.advanceTo(head);
      }
      this.#storeAway = false;
    } catch (error) {
      if (!this.#storeAway) log.warn("tails wait for the log store", { error });
      this.#storeAway = true;
    }
  }
}

/** The tails of one project. */
class Feed {
  readonly projectNumber: number;
  readonly #store: LogStore;
  readonly #tails = new Set<FeedTail>();
  /** Those that have seen all there was, and wait for more. */
  readonly #waiting = new Set<FeedTail>();
  /** Up to here entries were handed to those who waited; who is behind it catches up alone. */
  #position: bigint;
  #reading = false;

  constructor(store: LogStore, projectNumber: number, head: bigint) {
    this.#store = store;
    this.projectNumber = projectNumber;
    this.#position = head;
  }

  get isEmpty(): boolean {
    return this.#tails.size === 0;
  }

  get isWatched(): boolean {
    return this.#waiting.size > 0;
  }

  join(query: QueryNode, from: bigint, onLeave: () => void): Tail {
    const tail = new FeedTail(query, from, {
      read: (reader) => this.#read(reader),
      leave: (reader) => {
        this.#tails.delete(reader);
        this.#waiting.delete(reader);
        onLeave();
      },
    });
    this.#tails.add(tail);
    return tail;
  }

  close(): void {
    for (const tail of [...this.#tails]) tail.close();
  }

  /** Reads once for all who wait what lies between where they are and `head`. */
  advanceTo(head: bigint): void {
    if (this.#reading || head <= this.#position) return;
    this.#reading = true;
    this.#advance()
      .catch(async (error) => {
        log.warn("a tail waits for the log store", { error });
        await sleep(lookAgainAfterErrorMs);
      })
      .finally(() => {
        this.#reading = false;
      });
  }

  async #advance(): Promise<void> {
    let more = true;
    // Who began to wait while we read is behind those who waited before.
    while (this.#waiting.size > 0 && (more || this.#someoneIsBehind())) {
      const readers = [...this.#waiting];
      const from = leastOf(readers);
      const found = await this.#follow(unionOf(readers), from, this.#position);
      if (found.position > this.#position) this.#position = found.position;
      more = found.more;
      for (const reader of readers) {
        if (!this.#waiting.has(reader)) continue;
        const logs = found.logs.filter(
          ({ position, entry }) => position > reader.position && evaluate(reader.query, entry),
        );
        if (found.position > reader.position) reader.position = found.position;
        if (logs.length === 0) continue;
        this.#waiting.delete(reader);
        reader.hand(logs.map(({ stored }) => stored));
      }
    }
  }

  #someoneIsBehind(): boolean {
    for (const { position } of this.#waiting) if (position < this.#position) return true;
    return false;
  }

  /** For one reader: what it missed, or, when it missed nothing, undefined: then it gets what comes. */
  async #read(reader: FeedTail): Promise<readonly StoredLog[] | undefined> {
    while (reader.position < this.#position) {
      const found = await this.#follow(reader.query, reader.position, this.#position);
      reader.position = found.position;
      if (found.logs.length > 0) return found.logs.map(({ stored }) => stored);
    }
    if (this.#tails.has(reader)) this.#waiting.add(reader);
    return undefined;
  }

  /** What was committed after that id; `known` is one that was committed before we ask. */
  async #follow(query: QueryNode, after: bigint, known: bigint) {
    const { projectNumber } = this;
    const followed = await this.#store.follow({
      projectNumbers: [projectNumber],
      query,
      after: new Map([[projectNumber, after]]),
      limit: entriesAtOnce,
    });
    const reached = followed.after.get(projectNumber) ?? after;
    return {
      logs: followed.logs.map((stored) => ({ stored, entry: toQueried(stored), position: BigInt(stored.position.id) })),
      // Where nothing more comes, what lies between is past its retention, and is passed over.
      position: !followed.more && reached < known ? known : reached,
      more: followed.more,
    };
  }
}

interface FeedOfTail {
  read(tail: FeedTail): Promise<readonly StoredLog[] | undefined>;
  leave(tail: FeedTail): void;
}

class FeedTail implements Tail {
  readonly query: QueryNode;
  /** Equal for equal queries. */
  readonly queryText: string;
  position: bigint;
  readonly #feed: FeedOfTail;
  #hand: ((logs: readonly StoredLog[] | undefined) => void) | undefined;
  #closed = false;

  constructor(query: QueryNode, position: bigint, feed: FeedOfTail) {
    this.query = query;
    this.queryText = JSON.stringify(query);
    this.position = position;
    this.#feed = feed;
  }

  async next(): Promise<readonly StoredLog[] | undefined> {
    if (this.#closed) return undefined;
    const handed = new Promise<readonly StoredLog[] | undefined>((resolve) => {
      this.#hand = resolve;
    });
    const missed = await this.#feed.read(this);
    return this.#closed ? undefined : (missed ?? handed);
  }

  hand(logs: readonly StoredLog[]): void {
    this.#hand?.(logs);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#feed.leave(this);
    this.#hand?.(undefined);
  }
}

function leastOf(readers: readonly FeedTail[]): bigint {
  let least = readers[0]?.position as bigint;
  for (const { position } of readers) if (position < least) least = position;
  return least;
}

function unionOf(readers: readonly FeedTail[]): QueryNode {
  const queries = new Map(readers.map(({ queryText, query }) => [queryText, query]));
  return queries.size > queriesAtOnce ? { kind: "everything" } : anyOf([...queries.values()]);
}

function toQueried({ level, ...stored }: StoredLog) {
  return { ...stored, level: levels.indexOf(level) };
}

function tooMany(message: string): ApiError {
  return new ApiError("RATE_LIMIT_EXCEEDED", message, { retryAfterSeconds: 5 });
}

function stopping(): ApiError {
  return new ApiError("UNAVAILABLE", "The service is stopping. Try again.", { retryAfterSeconds: 1 });
}
