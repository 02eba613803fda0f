import { ApiError } from "../errors.ts";

/** What one level of the hierarchy may have at once: tasks that run, and tasks that wait. */
interface Limit {
  readonly running: number;
  readonly waiting: number;
}

export interface ConcurrencyLimits {
  /** Of the whole process. */
  readonly total: Limit;
  readonly organization: Limit;
  /** Of all keys of an organization that are not narrowed to a project. */
  readonly unnarrowed: Limit;
  /** Of all keys that are narrowed to the same project. */
  readonly project: Limit;
  readonly key: Limit;
  /** What is limited, as the refusal calls it: `searches`. */
  readonly what: string;
  /** The longest time a task waits before it is refused. */
  readonly waitMs: number;
}

/** Whose task it is. */
export interface Requester {
  readonly organizationId: string;
  /** The one project the key is narrowed to. */
  readonly projectId: string | undefined;
  readonly keyId: string;
}

/**
 * Limits how many tasks of a kind run at once and schedules the others fairly. The limits form a hierarchy: process,
 * organization, project that keys are narrowed to, key. A free place goes round robin, first among organizations, then
 * among the projects of the organization, then among the keys of the project. So slow tasks of one key, or of all
 * keys of one project, delay the others by one of them and never refuse them.
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
   * Runs `work` as soon as there is a place for it. Throws 429 when the queue is full or the wait takes too long. When
   * `signal` is aborted during the wait, the task leaves the queue at once and the call rejects with the reason.
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

/** The process, an organization, a project, or a key. Only the last has a queue; the others have groups. */
class Group {
  readonly #limit: Limit;
  readonly #parent: Group | undefined;
  readonly #name: string;
  /** In the order of their turns. */
  readonly #children = new Map<string, Group>();
  readonly counts = { running: 0, waiting: 0 };
  /** Each starts one task; the oldest is first. */
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

  /** Counts tasks here and in every group around this one. */
  count(state: "running" | "waiting", difference: 1 | -1): void {
    this.counts[state] += difference;
    this.#parent?.count(state, difference);
  }

  /** Whether one more task may run. */
  mayRun(): boolean {
    return this.counts.running < this.#limit.running && (this.#parent?.mayRun() ?? true);
  }

  /** Whether one more task may wait. When a group is full, a child with less than its equal part may still add one. */
  mayWait(): boolean {
    const parent = this.#parent;
    if (!parent) return true;
    return this.queue.size < this.#limit.waiting && parent.#hasRoomFor(this) && parent.mayWait();
  }

  #hasRoomFor(child: Group): boolean {
    const { waiting } = this.#limit;
    return this.counts.waiting < waiting || child.counts.waiting < Math.floor(waiting / this.#children.size);
  }

  /** The key whose turn it is to start a waiting task; undefined when none may start. It moves behind its siblings. */
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

  /** Removes this group, and those around it, if nothing runs or waits in them. */
  prune(): void {
    if (!this.#parent || this.counts.running + this.counts.waiting > 0) return;
    this.#parent.#children.delete(this.#name);
    this.#parent.prune();
  }
}
