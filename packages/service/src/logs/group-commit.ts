import { ApiError } from "../errors.ts";
import { QueueRoom } from "./queue-room.ts";
import type { LogBatch, StoredResult } from "./store.ts";

interface Pending {
  readonly batch: LogBatch;
  readonly resolve: (result: StoredResult) => void;
  readonly reject: (error: unknown) => void;
}

export interface GroupCommitOptions {
  /** Commits at once. */
  readonly lanes: number;
  /** Rows in one commit, unless a single request brings more. */
  readonly rowsPerCommit: number;
  /** Bytes waiting; beyond it requests are refused, of projects that have their part of it. */
  readonly queueBytes: number;
  /** Stores all of the batches or none, and says what each is answered. */
  readonly commit: (batches: readonly LogBatch[]) => Promise<readonly (StoredResult | ApiError)[]>;
  /** Whether a commit failed because of what is in one of its batches. */
  readonly isRefused: (error: unknown) => boolean;
}

/**
 * Group commit: each free lane takes what is queued, up to a bound, in one commit; a request is answered when the
 * commit that holds its rows is done. One project is written by one lane at a time, and lanes take projects in turn,
 * so a flood of one does not starve another.
 */
export class GroupCommit {
  readonly #options: GroupCommitOptions;
  /** Waiting requests by project; the project that waits longest is first. */
  readonly #queues = new Map<number, Pending[]>();
  readonly #busy = new Set<number>();
  readonly #room: QueueRoom;
  #freeLanes: number;
  #onDrained: (() => void) | undefined;

  constructor(options: GroupCommitOptions) {
    this.#options = options;
    this.#freeLanes = options.lanes;
    this.#room = new QueueRoom(options.queueBytes);
  }

  append(batch: LogBatch): Promise<StoredResult> {
    if (!this.#room.take(batch.projectNumber, batch.bytes)) {
      throw new ApiError(
        "RATE_LIMIT_EXCEEDED",
        "The service is taking logs as fast as it can store them. Send again.",
        {
          retryAfterSeconds: 1,
        },
      );
    }
    return new Promise((resolve, reject) => {
      const queue = this.#queues.get(batch.projectNumber);
      const pending = { batch, resolve, reject };
      if (queue) queue.push(pending);
      else this.#queues.set(batch.projectNumber, [pending]);
      this.#pump();
    });
  }

  /** Resolves when nothing is queued or being written. */
  async drain(): Promise<void> {
    if (this.#queues.size === 0 && this.#busy.size === 0) return;
    await new Promise<void>((resolve) => {
      this.#onDrained = resolve;
    });
  }

  #pump(): void {
    while (this.#freeLanes > 0) {
      const work = this.#take();
      if (work.length === 0) break;
      this.#freeLanes -= 1;
      void this.#write(work).finally(() => this.#done(work));
    }
    if (this.#queues.size === 0 && this.#busy.size === 0) this.#onDrained?.();
  }

  /** What one commit shall hold: whole requests, of projects that no lane is writing now. */
  #take(): Pending[] {
    const work: Pending[] = [];
    let rows = 0;
    for (const [project, queue] of [...this.#queues]) {
      if (this.#busy.has(project)) continue;
      let count = 0;
      for (const { batch } of queue) {
        if (rows > 0 && rows + batch.entries.length > this.#options.rowsPerCommit) break;
        rows += batch.entries.length;
        count += 1;
      }
      if (count === 0) break;
      work.push(...queue.splice(0, count));
      this.#busy.add(project);
      this.#queues.delete(project);
      // What did not fit waits its turn behind the other projects.
      if (queue.length > 0) this.#queues.set(project, queue);
    }
    return work;
  }

  #done(work: readonly Pending[]): void {
    for (const { batch } of work) {
      this.#room.give(batch.projectNumber, batch.bytes);
      this.#busy.delete(batch.projectNumber);
    }
    this.#freeLanes += 1;
    this.#pump();
  }

  async #write(work: readonly Pending[]): Promise<void> {
    try {
      const results = await this.#options.commit(work.map(({ batch }) => batch));
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
      for (const pending of work) await this.#write([pending]);
    }
  }
}
