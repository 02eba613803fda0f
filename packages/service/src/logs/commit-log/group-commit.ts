import { TimeSlices } from "../../concurrency/event-loop-fairness.ts";
import { ApiError } from "../../errors.ts";
import type { AppendOptions, LogBatch, StoredResult } from "../log-store.ts";
import { FairQueueQuota } from "./fair-queue-quota.ts";

interface Size {
  readonly projectNumber: number;
  readonly bytes: number;
  readonly rows: number;
}

interface Pending<Work> extends Size {
  readonly work: Work;
  readonly assertStillAllowed: AppendOptions["assertStillAllowed"];
  readonly resolve: (result: StoredResult) => void;
  readonly reject: (error: unknown) => void;
}

/** What waits of one project. */
interface Queue<Work> {
  readonly requests: Pending<Work>[];
  rows: number;
}

interface UnderWay {
  readonly commits: number;
  /** Of the last one that began. */
  readonly rows: number;
}

export interface GroupCommitLimits {
  /** Commits at once. */
  readonly lanes: number;
  /** Rows in one commit, unless a single request brings more. */
  readonly rowsPerCommit: number;
  /** Bytes waiting; beyond it requests are refused, of projects that have their part of it. */
  readonly queueBytes: number;
}

export interface GroupCommitOptions<Work> extends GroupCommitLimits {
  /** Makes of a batch what is queued for it; called when there is room in the queue. A promise only for a large batch. */
  readonly prepare: (batch: LogBatch, slices: TimeSlices) => Work | Promise<Work>;
  /**
   * Stores all of them or none, and says what each is answered. Calls `follow` when another commit of the same projects
   * may begin: it will be done after this one. Without that, it begins when this one has ended.
   */
  readonly commit: (works: readonly Work[], follow: () => void) => Promise<readonly (StoredResult | ApiError)[]>;
  /** Whether a commit failed because of what is in one of its batches. */
  readonly isRefused: (error: unknown) => boolean;
  /** Called for what was prepared and will not be committed, since its credential may no longer store. */
  readonly abandon?: (work: Work) => void;
}

/** A commit costs as much as some hundred rows: fewer wait for the one before them to end. */
const rowsToFollow = 250;
/** And so do fewer than the one before them has, so that commits grow with what there is to store, up to nearly full ones. */
const nearlyFull = 0.75;

/**
 * Group commit: each free lane takes what is queued, up to a bound, in one commit; a request is answered when the
 * commit that holds its rows is done. One project is written by one lane at a time, but for one that follows it
 * closely; and lanes take projects in turn, so a flood of one does not starve another.
 */
export class GroupCommit<Work> {
  readonly #options: GroupCommitOptions<Work>;
  /** Waiting requests by project; the project that waits longest is first. */
  readonly #queues = new Map<number, Queue<Work>>();
  /** Commits under way by project, and the projects that have one which may not be followed yet. */
  readonly #underWay = new Map<number, UnderWay>();
  readonly #busy = new Set<number>();
  readonly #room: FairQueueQuota;
  #freeLanes: number;
  /** Batches that are being made ready to be queued. */
  #preparing = 0;
  #onDrained: (() => void) | undefined;

  constructor(options: GroupCommitOptions<Work>) {
    this.#options = options;
    this.#freeLanes = options.lanes;
    this.#room = new FairQueueQuota(options.queueBytes);
  }

  /** Bytes that wait or are being written. */
  get bytes(): number {
    return this.#room.total;
  }

  /** Requests that wait. */
  get requests(): number {
    let count = 0;
    for (const { requests } of this.#queues.values()) count += requests.length;
    return count;
  }

  append(batch: LogBatch, options: AppendOptions = {}): Promise<StoredResult> {
    const { projectNumber, bytes } = batch;
    if (!this.#room.take(projectNumber, bytes)) {
      throw new ApiError(
        "RATE_LIMIT_EXCEEDED",
        "The service is taking logs as fast as it can store them. Send again.",
        {
          retryAfterSeconds: 1,
        },
      );
    }
    const queue = (work: Work) => {
      options.onQueued?.();
      return this.#enqueue({ projectNumber, bytes, rows: batch.entries.length }, work, options);
    };
    const work = this.#prepare(batch, options);
    return work instanceof Promise ? work.then(queue) : queue(work);
  }

  #enqueue(
    { projectNumber, bytes, rows }: Size,
    work: Work,
    { assertStillAllowed }: AppendOptions,
  ): Promise<StoredResult> {
    return new Promise((resolve, reject) => {
      const queue = this.#queues.get(projectNumber) ?? { requests: [], rows: 0 };
      queue.requests.push({ projectNumber, bytes, rows, work, assertStillAllowed, resolve, reject });
      queue.rows += rows;
      this.#queues.set(projectNumber, queue);
      this.#pump();
    });
  }

  #prepare(batch: LogBatch, { slices = new TimeSlices() }: AppendOptions): Work | Promise<Work> {
    const giveUp = (error: unknown): never => {
      this.#room.give(batch.projectNumber, batch.bytes);
      throw error;
    };
    try {
      const work = this.#options.prepare(batch, slices);
      if (!(work instanceof Promise)) return work;
      this.#preparing += 1;
      return work.catch(giveUp).finally(() => {
        this.#preparing -= 1;
      });
    } catch (error) {
      return giveUp(error);
    }
  }

  /** Resolves when nothing is queued or being written. */
  async drain(): Promise<void> {
    if (this.#isIdle) return;
    await new Promise<void>((resolve) => {
      this.#onDrained = resolve;
    });
  }

  get #isIdle(): boolean {
    return this.#queues.size === 0 && this.#underWay.size === 0 && this.#preparing === 0;
  }

  #pump(): void {
    while (this.#freeLanes > 0) {
      const work = this.#take();
      if (work.length === 0) break;
      this.#freeLanes -= 1;
      const projects = new Set(work.map(({ projectNumber }) => projectNumber));
      const rows = work.reduce((sum, pending) => sum + pending.rows, 0);
      for (const project of projects) {
        this.#busy.add(project);
        this.#underWay.set(project, { commits: (this.#underWay.get(project)?.commits ?? 0) + 1, rows });
      }
      void this.#run(work, projects);
    }
    if (this.#isIdle) this.#onDrained?.();
  }

  /** What one commit shall hold: whole requests, of projects that no lane is writing now, or one that may be followed. */
  #take(): Pending<Work>[] {
    const work: Pending<Work>[] = [];
    let rows = 0;
    for (const [project, queue] of [...this.#queues]) {
      if (this.#busy.has(project) || !this.#mayFollow(project, queue)) continue;
      let count = 0;
      for (const pending of queue.requests) {
        if (rows > 0 && rows + pending.rows > this.#options.rowsPerCommit) break;
        rows += pending.rows;
        queue.rows -= pending.rows;
        count += 1;
      }
      if (count === 0) break;
      work.push(...queue.requests.splice(0, count));
      this.#queues.delete(project);
      // What did not fit waits its turn behind the other projects.
      if (queue.requests.length > 0) this.#queues.set(project, queue);
    }
    return work;
  }

  /** One lane is left to other projects. */
  #mayFollow(project: number, { rows }: Queue<Work>): boolean {
    const underWay = this.#underWay.get(project);
    if (!underWay) return true;
    const enough = Math.max(rowsToFollow, Math.min(underWay.rows, nearlyFull * this.#options.rowsPerCommit));
    return underWay.commits < this.#options.lanes - 1 && rows >= enough;
  }

  async #run(work: readonly Pending<Work>[], projects: ReadonlySet<number>): Promise<void> {
    let isFollowed = false;
    const follow = () => {
      if (isFollowed) return;
      isFollowed = true;
      for (const project of projects) this.#busy.delete(project);
    };
    const allowed = await this.#refuseDisallowed(work);
    if (allowed.length > 0) {
      await this.#write(allowed, () => {
        follow();
        this.#pump();
      });
    }
    follow();
    for (const project of projects) {
      const { commits, rows } = this.#underWay.get(project) as UnderWay;
      if (commits > 1) this.#underWay.set(project, { commits: commits - 1, rows });
      else this.#underWay.delete(project);
    }
    for (const { projectNumber, bytes } of work) this.#room.give(projectNumber, bytes);
    this.#freeLanes += 1;
    this.#pump();
  }

  async #write(work: readonly Pending<Work>[], follow: () => void): Promise<void> {
    try {
      const works = work.map((pending) => pending.work);
      const results = await this.#options.commit(works, follow);
      for (const [index, { resolve, reject }] of work.entries()) {
        const result = results[index] as StoredResult | ApiError;
        if (result instanceof ApiError) reject(result);
        else resolve(result);
      }
    } catch (error) {
      if (work.length === 1 || !this.#options.isRefused(error)) {
        for (const { reject } of work) reject(error);
        return;
      }
      // One request's rows were refused by the database: its neighbours are stored without it.
      for (const pending of work) await this.#write([pending], () => {});
    }
  }

  /** Those whose credential may still store. The others are answered why it may not. */
  async #refuseDisallowed(work: readonly Pending<Work>[]): Promise<readonly Pending<Work>[]> {
    const verdicts = await Promise.allSettled(work.map(async ({ assertStillAllowed }) => assertStillAllowed?.()));
    return work.filter((pending, index) => {
      const verdict = verdicts[index] as PromiseSettledResult<void>;
      if (verdict.status === "fulfilled") return true;
      this.#options.abandon?.(pending.work);
      pending.reject(verdict.reason);
      return false;
    });
  }
}
