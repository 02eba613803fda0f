import { setTimeout as sleep } from "node:timers/promises";
import { anyOf, everything, type QueryNode } from "@sazabi/sdk/protocol";
import { ApiError } from "../../errors.ts";
import { log } from "../../logger.ts";
import type { LogStore } from "../log-store.ts";
import type { TailBuffers } from "./buffers.ts";
import { type Evaluation, type ReadLog, readLogs } from "./evaluation.ts";
import type { ReadSlots } from "./read-slots.ts";
import { type StepBudgets, stepLimits } from "./step-budgets.ts";
import { FeedTail, type Tail } from "./tail.ts";

/** What the feeds of all projects share. */
export interface FeedResources {
  readonly store: LogStore;
  readonly buffers: TailBuffers;
  readonly budgets: StepBudgets;
  readonly evaluation: Evaluation;
  readonly slots: ReadSlots;
}

interface JoinRequest {
  readonly keyId: string;
  readonly query: QueryNode;
  readonly queryText: string;
  readonly position: bigint;
  readonly onLeave: () => void;
}

const retryAfterErrorMs = 1_000;
const entriesAtOnce = 200;
/** Of texts. A single entry may be larger. */
const batchBytes = 512 * 1024;
/** What a batch takes until it is known: its texts, and their JSON as a text and as bytes. */
const reservedBytes = 3 * batchBytes;
/** For more queries than this together the store is not asked to filter: all entries are read, once. */
const maxFilters = 8;
/** After a filtered read took too long, the store is asked for all entries for this time. */
const readsAllMs = 60_000;

/** Tails with the same query: it is evaluated once for all of them. */
interface Group {
  readonly query: QueryNode;
  readonly tails: readonly FeedTail[];
  readonly from: bigint;
  readonly matching: ReadLog[];
}

/** The tails of one project. What is new is read once for those that wait; those that are behind read by themselves. */
export class Feed {
  readonly projectNumber: number;
  readonly #resources: FeedResources;
  readonly #tails = new Set<FeedTail>();
  /** Those that have seen all there was, and wait for more. */
  readonly #waiting = new Set<FeedTail>();
  /** Up to here entries were handed to those that waited. */
  #position: bigint;
  #reading = false;
  #readsAllUntil = 0;

  constructor(projectNumber: number, head: bigint, resources: FeedResources) {
    this.projectNumber = projectNumber;
    this.#position = head;
    this.#resources = resources;
  }

  get isEmpty(): boolean {
    return this.#tails.size === 0;
  }

  get isWatched(): boolean {
    return this.#waiting.size > 0;
  }

  join({ onLeave, ...request }: JoinRequest): Tail {
    const source = {
      readMissed: (tail: FeedTail) => this.#readMissed(tail),
      leave: (tail: FeedTail) => {
        this.#tails.delete(tail);
        this.#waiting.delete(tail);
        onLeave();
      },
    };
    const tail = new FeedTail({ ...request, source, buffers: this.#resources.buffers });
    this.#tails.add(tail);
    return tail;
  }

  close(): void {
    for (const tail of [...this.#tails]) tail.close();
  }

  /** Reads once for all that wait what is between their position and `head`. */
  advanceTo(head: bigint): void {
    if (this.#reading || head <= this.#position) return;
    this.#reading = true;
    this.#advance()
      .catch(async (error) => {
        log.warn("a tail waits for the log store", { error });
        await sleep(retryAfterErrorMs);
      })
      .finally(() => {
        this.#reading = false;
      });
  }

  async #advance(): Promise<void> {
    let more = true;
    // A tail that began to wait while others read is behind them.
    while (this.#waiting.size > 0 && (more || this.#someoneIsBehind())) {
      const groups = groupsOf([...this.#waiting]);
      const found = await this.#readFor(groups);
      if (found.position > this.#position) this.#position = found.position;
      more = found.more;
      await this.#evaluate(groups, found.logs);
      for (const { tails, matching } of groups) {
        for (const tail of tails) this.#handTo(tail, matching, found.position);
      }
    }
  }

  #handTo(tail: FeedTail, matching: readonly ReadLog[], position: bigint): void {
    if (!this.#waiting.has(tail)) return;
    const logs = matching.filter((log) => log.position > tail.position);
    if (logs.length > 0) {
      this.#waiting.delete(tail);
      tail.hand(logs, position);
    } else if (position > tail.position) {
      tail.position = position;
    }
  }

  async #evaluate(groups: readonly Group[], logs: readonly ReadLog[]): Promise<void> {
    const { evaluation } = this.#resources;
    for (const log of logs) {
      for (const group of groups) {
        if (log.position <= group.from || !group.tails.some((tail) => this.#waiting.has(tail))) continue;
        if (evaluation.isDue) await evaluation.turn();
        const { matches, steps } = evaluation.run(group.query, log);
        const tails = group.tails.filter((tail) => this.#waiting.has(tail) && log.position > tail.position);
        if (matches === undefined) for (const tail of tails) tail.fail(tooManySteps(log));
        else if (matches) group.matching.push(log);
        this.#charge(tails, steps);
      }
    }
  }

  /** Tails of one key pay once for what is evaluated once. */
  #charge(tails: readonly FeedTail[], steps: number): void {
    for (const keyId of new Set(tails.map((tail) => tail.keyId))) {
      if (this.#resources.budgets.charge(keyId, steps)) continue;
      for (const tail of tails) if (tail.keyId === keyId) tail.fail(noStepsLeft());
    }
  }

  #someoneIsBehind(): boolean {
    for (const { position } of this.#waiting) if (position < this.#position) return true;
    return false;
  }

  async #readMissed(tail: FeedTail): Promise<readonly ReadLog[] | undefined> {
    const { buffers, budgets, slots } = this.#resources;
    while (tail.position < this.#position && !tail.closed.aborted) {
      await budgets.untilSteps(tail.keyId, tail.closed);
      // Not before: a tail that waits for steps holds no memory that others need.
      await buffers.reserve(tail, reservedBytes);
      const logs = await slots.run(tail.keyId, () => this.#readNext(tail));
      if (logs.length > 0) return logs;
      buffers.release(tail);
    }
    if (!tail.closed.aborted) this.#waiting.add(tail);
    return undefined;
  }

  /** The next batch of one tail. A tail that is closed meanwhile gets nothing. */
  async #readNext(tail: FeedTail): Promise<readonly ReadLog[]> {
    const { budgets, evaluation } = this.#resources;
    if (tail.closed.aborted) return [];
    const found = await this.#follow(tail.filter, tail.position);
    const matching: ReadLog[] = [];
    for (const log of found.logs) {
      if (evaluation.isDue) await evaluation.turn();
      if (tail.closed.aborted) return [];
      const { matches, steps } = evaluation.run(tail.query, log);
      // A tail that is behind does not end when the steps are used up: it reads more slowly.
      budgets.charge(tail.keyId, steps);
      if (matches === undefined) tail.fail(tooManySteps(log));
      else if (matches) matching.push(log);
    }
    if (tail.closed.aborted) return [];
    tail.position = found.position;
    return matching;
  }

  #readFor(groups: readonly Group[]) {
    const filters = groups.map(({ tails }) => (tails[0] as FeedTail).filter);
    return this.#follow(
      filters.length > maxFilters ? everything : anyOf(filters),
      least(groups.map(({ from }) => from)),
    );
  }

  /** What was committed after that id. */
  async #follow(filter: QueryNode, after: bigint) {
    const { projectNumber } = this;
    // Committed before we ask.
    const known = this.#position;
    const followed = await this.#ask(filter, after);
    const reached = followed.after.get(projectNumber) ?? after;
    return {
      logs: readLogs(followed.logs),
      // When nothing more comes, what is between is past its retention and is passed over.
      position: !followed.more && reached < known ? known : reached,
      more: followed.more,
    };
  }

  async #ask(filter: QueryNode, after: bigint) {
    const { projectNumber } = this;
    const ask = (query: QueryNode) =>
      this.#resources.store.follow({
        projectNumbers: [projectNumber],
        query,
        after: new Map([[projectNumber, after]]),
        limit: entriesAtOnce,
        maxBytes: batchBytes,
      });
    if (performance.now() < this.#readsAllUntil) return ask(everything);
    try {
      return await ask(filter);
    } catch (error) {
      if (!(error instanceof ApiError) || error.code !== "TIMEOUT") throw error;
      this.#readsAllUntil = performance.now() + readsAllMs;
      return ask(everything);
    }
  }
}

function groupsOf(tails: readonly FeedTail[]): readonly Group[] {
  const alike = new Map<string, FeedTail[]>();
  for (const tail of tails) {
    const others = alike.get(tail.queryHash);
    if (others) others.push(tail);
    else alike.set(tail.queryHash, [tail]);
  }
  return [...alike.values()].map((group) => {
    const from = least(group.map(({ position }) => position));
    return { query: (group[0] as FeedTail).query, tails: group, from, matching: [] };
  });
}

function least(positions: readonly bigint[]): bigint {
  // biome-ignore lint/complexity/useMathMinMax: Math.min takes no bigint.
  return positions.reduce((lowest, position) => (position < lowest ? position : lowest));
}

const advice = "Use simpler expressions and fewer wildcards, or narrow the query by level or service.";

function tooManySteps({ stored }: ReadLog): ApiError {
  const steps = stepLimits.perEntry.toLocaleString("en");
  return ended(`The tail ended: its query takes more than ${steps} steps on entry ${stored.position.id}. ${advice}`);
}

function noStepsLeft(): ApiError {
  return ended(`The tail ended: the tails of this key used up their steps. ${advice}`);
}

function ended(message: string): ApiError {
  return new ApiError("RATE_LIMIT_EXCEEDED", message, { reason: "tail_budget_exceeded" });
}
