import type { QueryNode } from "@sazabi/sdk/protocol";
import { ApiError } from "../../errors.ts";
import { log } from "../../logger.ts";
import type { LogStore } from "../log-store.ts";
import { TailBuffers } from "./buffers.ts";
import { Evaluation } from "./evaluation.ts";
import { Feed, type FeedResources } from "./feed.ts";
import { TailQuotas } from "./quotas.ts";
import { ReadSlots } from "./read-slots.ts";
import { StepBudgets } from "./step-budgets.ts";
import type { Tail } from "./tail.ts";

export interface TailRequest {
  readonly keyId: string;
  readonly organizationId: string;
  readonly projectNumber: number;
  readonly query: QueryNode;
  /** The last id that was seen; undefined: only what is committed from now on. */
  readonly after: bigint | undefined;
}

/** How often the store is asked whether there is anything new, once for all tails of the process. */
const pollEveryMs = 100;
const pollAfterErrorMs = 1_000;
/** Reads of tails that are behind, at once. */
const readSlots = 2;

/** All tails of this process: what is new is read once for each project, however many tails follow it. */
export class LogTails {
  readonly #resources: FeedResources;
  readonly #feeds = new Map<number, Feed>();
  readonly #quotas = new TailQuotas();
  #timer: NodeJS.Timeout | undefined;
  #closed = false;
  #storeAway = false;

  /** `now` in milliseconds, for the refill of steps. */
  constructor(store: LogStore, now?: () => number) {
    this.#resources = {
      store,
      buffers: new TailBuffers(),
      budgets: new StepBudgets(now),
      evaluation: new Evaluation(),
      slots: new ReadSlots(readSlots),
    };
  }

  /** For metrics: tails that are open, and bytes that are held for their readers. */
  gauges(): { readonly open: number; readonly bufferedBytes: number } {
    return { open: this.#quotas.tails, bufferedBytes: this.#resources.buffers.bytes };
  }

  /** Throws 429 when there are too many tails or the key has no steps left, 503 when the process is stopping. */
  async open({ projectNumber, query, after, ...owner }: TailRequest): Promise<Tail> {
    if (this.#closed) throw stopping();
    this.#requireSteps(owner.keyId);
    const queryText = JSON.stringify(query);
    const leave = this.#quotas.take({ ...owner, projectNumber }, queryText.length);
    try {
      const { store } = this.#resources;
      const head = (await store.heads([projectNumber])).get(projectNumber) ?? 0n;
      if (this.#closed) throw stopping();
      const feed = this.#feeds.get(projectNumber) ?? new Feed(projectNumber, head, this.#resources);
      this.#feeds.set(projectNumber, feed);
      // A cursor from beyond the end is of a database that was set back: what comes next has smaller ids.
      const position = after === undefined || after > head ? head : after;
      const onLeave = () => {
        if (feed.isEmpty) this.#feeds.delete(projectNumber);
        leave();
      };
      const tail = feed.join({ keyId: owner.keyId, query, queryText, position, onLeave });
      this.#pollLater();
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

  #requireSteps(keyId: string): void {
    const seconds = this.#resources.budgets.secondsUntilSteps(keyId);
    if (seconds === 0) return;
    throw new ApiError(
      "RATE_LIMIT_EXCEEDED",
      "The tails of this key used up their steps. Wait, or use simpler queries.",
      {
        retryAfterSeconds: seconds,
      },
    );
  }

  #pollLater(): void {
    if (this.#timer || this.#closed) return;
    this.#timer = setTimeout(
      () =>
        void this.#poll().finally(() => {
          this.#timer = undefined;
          if (this.#feeds.size > 0) this.#pollLater();
        }),
      this.#storeAway ? pollAfterErrorMs : pollEveryMs,
    );
  }

  async #poll(): Promise<void> {
    try {
      const watched = [...this.#feeds.values()]
        .filter((feed) => feed.isWatched)
        .map(({ projectNumber }) => projectNumber);
      if (watched.length > 0) {
        const heads = await this.#resources.store.heads(watched);
        for (const [number, head] of heads) this.#feeds.get(number)?.advanceTo(head);
      }
      this.#storeAway = false;
    } catch (error) {
      if (!this.#storeAway) log.warn("tails wait for the log store", { error });
      this.#storeAway = true;
    }
  }
}

function stopping(): ApiError {
  return new ApiError("UNAVAILABLE", "The service is stopping. Try again.", { retryAfterSeconds: 1 });
}
