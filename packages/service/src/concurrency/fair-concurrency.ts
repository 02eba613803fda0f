import { ApiError } from "../errors.ts";

/** Maximum tasks of one level of the hierarchy: running and waiting. */
interface Limit {
  readonly running: number;
  readonly waiting: number;
}

export interface ConcurrencyLimits {
  /** For the whole process. */
  readonly total: Limit;
  readonly organization: Limit;
  /** For all keys of an organization that are not restricted to a project. */
  readonly unnarrowed: Limit;
  /** For all keys that are restricted to the same project. */
  readonly project: Limit;
  readonly key: Limit;
  /** Name of the limited tasks in the error message: `searches`. */
  readonly what: string;
  /** Maximum milliseconds that a task waits before it is rejected. */
  readonly waitMs: number;
}

/** The owner of a task. */
export interface Requester {
  readonly organizationId: string;
  /** The only project that the key can access. */
  readonly projectId: string | undefined;
  readonly keyId: string;
}

/**
 * Limits how many tasks of a kind run at once and schedules the others fairly. The limits form a
 * hierarchy: process, organization, project that keys are restricted to, key. Free places are assigned
 * round robin: among organizations, then among the projects of the organization, then among the keys
 * of the project. Slow tasks of one key, or of all keys of one project, therefore delay others by at
 * most one task and never cause their rejection.
 */
export class FairConcurrencyLimiter {
  readonly #limits: ConcurrencyLimits;
  readonly #root: Group;

  constructor(limits: ConcurrencyLimits) {
    this.#limits = limits;
    this.#root = new Group(limits.total, undefined, "");
  }

  get running(): number {
    return this.#root.counts.running;
  }

  get waiting(): number {
    return this.#root.counts.waiting;
  }

  /**
   * Runs `work` as soon as there is a place for it. Throws 429 when the queue is full or the wait takes
   * too long. When `signal` is aborted during the wait, the task leaves the queue immediately and the
   * call rejects with the reason.
   */
  async run<T>(requester: Requester, work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    signal?.throwIfAborted();
    const group = this.#groupOf(requester);
    if (group.mayRun()) group.count("running", 1);
    else if (group.mayWait()) await this.#wait(group, signal);
    else throw this.#refuse(group);
    try {
      return await work();
    } finally {
      group.count("running", -1);
      group.prune();
      this.#startWaiting();
    }
  }

  #groupOf({ organizationId, projectId, keyId }: Requester): Group {
    const { organization, project, unnarrowed, key } = this.#limits;
    return this.#root
      .child(organizationId, organization)
      .child(projectId ?? "", projectId === undefined ? unnarrowed : project)
      .child(keyId, key);
  }

  #wait(group: Group, signal: AbortSignal | undefined): Promise<void> {
    return new Promise<void>((resolve, reject) => {
      const stop = () => {
        clearTimeout(timer);
        signal?.removeEventListener("abort", onAbort);
        group.count("waiting", -1);
      };
      const start = () => {
        stop();
        group.count("running", 1);
        resolve();
      };
      const leave = (reason: unknown) => {
        stop();
        group.queue.delete(start);
        group.prune();
        reject(reason);
      };
      const onAbort = () => leave(signal?.reason);
      const timer = setTimeout(() => leave(this.#tooMany()), this.#limits.waitMs);
      signal?.addEventListener("abort", onAbort, { once: true });
      group.queue.add(start);
      group.count("waiting", 1);
    });
  }

  #refuse(group: Group): ApiError {
    group.prune();
    return this.#tooMany();
  }

  #tooMany(): ApiError {
    return new ApiError(
      "RATE_LIMIT_EXCEEDED",
      `Too many ${this.#limits.what} of this key, or of the project it is narrowed to, run at once. ` +
        "Wait for one of them to end.",
      { retryAfterSeconds: 1 },
    );
  }

  #startWaiting(): void {
    for (;;) {
      const group = this.#root.next();
      const [start] = group?.queue ?? [];
      if (!group || !start) return;
      group.queue.delete(start);
      start();
    }
  }
}

/** The process, an organization, a project or a key. Only keys have a queue; the others have groups. */
class Group {
  readonly #limit: Limit;
  readonly #parent: Group | undefined;
  readonly #name: string;
  /** In the order of their turns. */
  readonly #children = new Map<string, Group>();
  readonly counts = { running: 0, waiting: 0 };
  /** Functions that each start one task, oldest first. */
  readonly queue = new Set<() => void>();

  constructor(limit: Limit, parent: Group | undefined, name: string) {
    this.#limit = limit;
    this.#parent = parent;
    this.#name = name;
  }

  child(name: string, limit: Limit): Group {
    const child = this.#children.get(name) ?? new Group(limit, this, name);
    this.#children.set(name, child);
    return child;
  }

  /** Counts tasks in this group and its ancestors. */
  count(state: "running" | "waiting", difference: 1 | -1): void {
    this.counts[state] += difference;
    this.#parent?.count(state, difference);
  }

  /** Returns whether one more task may run. */
  mayRun(): boolean {
    return this.counts.running < this.#limit.running && (this.#parent?.mayRun() ?? true);
  }

  /**
   * Returns whether one more task may wait. When a group is full, a child with less than its equal share
   * may still add one.
   */
  mayWait(): boolean {
    const parent = this.#parent;
    if (!parent) return true;
    return this.queue.size < this.#limit.waiting && parent.#hasRoomFor(this) && parent.mayWait();
  }

  #hasRoomFor(child: Group): boolean {
    const { waiting } = this.#limit;
    return this.counts.waiting < waiting || child.counts.waiting < Math.floor(waiting / this.#children.size);
  }

  /**
   * Returns the key whose turn it is to start a waiting task, and moves it behind its siblings;
   * undefined when none may start.
   */
  next(): Group | undefined {
    if (this.counts.waiting === 0 || this.counts.running >= this.#limit.running) return undefined;
    if (this.#children.size === 0) return this;
    for (const [name, child] of this.#children) {
      const found = child.next();
      if (!found) continue;
      this.#children.delete(name);
      this.#children.set(name, child);
      return found;
    }
    return undefined;
  }

  /** Removes this group and its ancestors if they have no running or waiting tasks. */
  prune(): void {
    if (!this.#parent || this.counts.running + this.counts.waiting > 0) return;
    this.#parent.#children.delete(this.#name);
    this.#parent.prune();
  }
}
