import { createHash } from "node:crypto";
import type { QueryNode } from "@sazabi/sdk/protocol";
import type { ApiError } from "../../errors.ts";
import type { StoredLog } from "../log-store.ts";
import type { BufferOwner, TailBuffers } from "./buffers.ts";
import type { ReadLog } from "./evaluation.ts";
import { storeFilter } from "./store-filter.ts";

/** One reader of what is being committed in a project. */
export interface Tail {
  /** Every entry up to here was handed out, or does not match. */
  readonly position: bigint;
  /** Aborted when the reader takes nothing and its memory is needed: its connection has to be destroyed. */
  readonly cutOff: AbortSignal;
  /**
   * The next entries, ascending by id, as soon as they are committed; undefined when the tail was closed. Nothing is
   * read before it is asked for: a slow reader costs one batch of memory, and catches up. Throws when the query took more
   * steps than it may.
   */
  next(): Promise<readonly StoredLog[] | undefined>;
  /** Says how many bytes are buffered for the reader beside the entries it was handed. */
  setBuffered(bytes: number): void;
  close(): void;
}

/** What a tail asks of the feed of its project. */
interface TailSource {
  /** What the tail missed; undefined when it missed nothing, and is handed what comes. */
  readMissed(tail: FeedTail): Promise<readonly ReadLog[] | undefined>;
  leave(tail: FeedTail): void;
}

interface FeedTailOptions {
  readonly keyId: string;
  readonly query: QueryNode;
  /** Equal for equal queries. */
  readonly queryText: string;
  readonly position: bigint;
  readonly source: TailSource;
  readonly buffers: TailBuffers;
}

/** `behind`: there is no room for what comes; the tail has to read it by itself when there is. */
type Handed = readonly ReadLog[] | "behind" | undefined;

export class FeedTail implements Tail, BufferOwner {
  readonly keyId: string;
  readonly query: QueryNode;
  readonly filter: QueryNode;
  readonly queryHash: string;
  position: bigint;
  readonly #source: TailSource;
  readonly #buffers: TailBuffers;
  readonly #closing = new AbortController();
  readonly #cuttingOff = new AbortController();
  #hand: ((handed: Handed) => void) | undefined;
  #handedBytes = 0;
  #failure: ApiError | undefined;

  constructor({ keyId, query, queryText, position, source, buffers }: FeedTailOptions) {
    this.keyId = keyId;
    this.query = query;
    this.filter = storeFilter(query);
    this.queryHash = createHash("sha256").update(queryText).digest("base64");
    this.position = position;
    this.#source = source;
    this.#buffers = buffers;
  }

  get closed(): AbortSignal {
    return this.#closing.signal;
  }

  get cutOff(): AbortSignal {
    return this.#cuttingOff.signal;
  }

  async next(): Promise<readonly StoredLog[] | undefined> {
    this.#buffers.release(this);
    while (!this.closed.aborted) {
      const coming = new Promise<Handed>((resolve) => {
        this.#hand = resolve;
      });
      const missed = await this.#source.readMissed(this);
      if (missed) this.#holdHanded(missed);
      const logs = missed ?? (await coming);
      if (logs !== undefined && logs !== "behind" && !this.closed.aborted) return logs.map(({ stored }) => stored);
    }
    if (this.#failure) throw this.#failure;
    return undefined;
  }

  /** Hands over what the reader waits for, unless there is no room for it: then it reads it later. */
  hand(logs: readonly ReadLog[], position: bigint): void {
    if (this.#buffers.tryHold(this, bytesOf(logs))) {
      this.#handedBytes = bytesOf(logs);
      this.position = position;
      this.#hand?.(logs);
    } else {
      this.#hand?.("behind");
    }
  }

  setBuffered(bytes: number): void {
    this.#buffers.resize(this, this.#handedBytes + bytes);
  }

  fail(error: ApiError): void {
    this.#failure ??= error;
    this.close();
  }

  evict(): void {
    this.#cuttingOff.abort();
    this.close();
  }

  close(): void {
    if (this.closed.aborted) return;
    this.#closing.abort();
    this.#buffers.release(this);
    this.#source.leave(this);
    this.#hand?.(undefined);
  }

  #holdHanded(logs: readonly ReadLog[]): void {
    this.#handedBytes = bytesOf(logs);
    this.#buffers.resize(this, this.#handedBytes);
  }
}

function bytesOf(logs: readonly ReadLog[]): number {
  return logs.reduce((sum, { bytes }) => sum + bytes, 0);
}
