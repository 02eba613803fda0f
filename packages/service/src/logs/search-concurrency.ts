import { ApiError } from "../errors.ts";

/** What one level of the hierarchy may have at once: searches that run, and searches that wait. */
interface Limit {
  readonly running: number;
  readonly waiting: number;
}

export interface SearchLimits {
  /** Of the whole process. */
  readonly total: Limit;
  readonly organization: Limit;
  /** Of all keys of an organization that are not narrowed to a project. */
  readonly unnarrowed: Limit;
  /** Of all keys that are narrowed to the same project. */
  readonly project: Limit;
  readonly key: Limit;
  /** The longest time a search waits before it is refused. */
  readonly waitMs: number;
}

/** Who searches. */
export interface Searcher {
  readonly organizationId: string;
  /** The one project the key is narrowed to. */
  readonly projectId: string | undefined;
  readonly keyId: string;
}

/**
 * Limits how many searches run at once and schedules the others fairly. The limits form a hierarchy: process,
 * organization, project that keys are narrowed to, key. A free place goes round robin, first among organizations, then
 * among the projects of the organization, then among the keys of the project. So slow searches of one key, or of all
 * keys of one project, delay the others by one search and never refuse them.
 */
export class SearchConcurrencyLimiter {
  readonly #limits: SearchLimits;
  readonly #root: Group;

  constructor(limits: SearchLimits) {
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
   * `signal` is aborted during the wait, the search leaves the queue at once and the call rejects with the reason.
   */
  async run<T>(searcher: Searcher, work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    signal?.throwIfAborted();
    const group = this.#groupOf(searcher);
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

  #groupOf({ organizationId, projectId, keyId }: Searcher): Group {
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
      const timer = setTimeout(() => leave(tooMany()), this.#limits.waitMs);
      signal?.addEventListener("abort", onAbort, { once: true });
      group.queue.add(start);
      group.count("waiting", 1);
    });
  }

  #refuse(group: Group): ApiError {
    group.prune();
    return tooMany();
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
  /** Each starts one search; the oldest is first. */
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

  /** Counts searches here and in every group around this one. */
  count(state: "running" | "waiting", difference: 1 | -1): void {
    this.counts[state] += difference;
    this.#parent?.count(state, difference);
  }

  /** Whether one more search may run. */
  mayRun(): boolean {
    return this.counts.running < this.#limit.running && (this.#parent?.mayRun() ?? true);
  }

  /** Whether one more search may wait. When a group is full, a child with less than its equal part may still add one. */
  mayWait(): boolean {
    const parent = this.#parent;
    if (!parent) return true;
    return this.queue.size < this.#limit.waiting && parent.#hasRoomFor(this) && parent.mayWait();
  }

  #hasRoomFor(child: Group): boolean {
    const { waiting } = this.#limit;
    return this.counts.waiting < waiting || child.counts.waiting < Math.floor(waiting / this.#children.size);
  }

  /** The key whose turn it is to start a waiting search; undefined when none may start. It moves behind its siblings. */
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

function tooMany(): ApiError {
  return new ApiError(
    "RATE_LIMIT_EXCEEDED",
    "Too many searches of this key, or of the project it is narrowed to, run at once. Wait for one of them to end.",
    { retryAfterSeconds: 1 },
  );
}
