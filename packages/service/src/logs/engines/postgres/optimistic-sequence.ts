/** After somebody else stored entries of a project, ids are asked for: who writes along with us may go on doing so. */
const otherWriterMs = 10_000;

interface Head {
  /** The last id of the commits under way, should all of them succeed; undefined: ask the database. */
  lastId: number | undefined;
  /** Commits of ours under way that ask: what they get is not known yet. */
  asking: number;
  /** Commits of ours that failed: whatever was expected at the time of one is not to be wondered at. */
  failures: number;
  /** Until when ids are asked for, by `performance.now()`. */
  askUntil: number;
}

/** What a commit takes for granted about the ids of its projects, if they are all known. */
export interface ExpectedIds {
  /** The last id before its own, by project. */
  readonly heads: ReadonlyMap<number, number>;
  /** The failures of each project by then, to be told whether one explains the commit's own. */
  readonly failures: ReadonlyMap<number, number>;
}

/**
 * Which ids a project's next entries get, as this process knows it from its own commits: so that rows can be sent with
 * their ids without asking first. The database refuses them when somebody else was there meanwhile.
 */
export class OptimisticSequence {
  readonly #heads = new Map<number, Head>();

  /** Takes the next ids of each project for a commit; undefined when those of one have to be asked for. */
  take(counts: ReadonlyMap<number, number>): ExpectedIds | undefined {
    const heads = new Map<number, number>();
    const failures = new Map<number, number>();
    for (const project of counts.keys()) {
      const head = this.#heads.get(project);
      if (head?.lastId === undefined) return undefined;
      heads.set(project, head.lastId);
      failures.set(project, head.failures);
    }
    for (const [project, lastId] of heads) this.#head(project).lastId = lastId + (counts.get(project) as number);
    return { heads, failures };
  }

  /** Call when a commit that took ids failed; `foundOthers`, when it was because they were somebody else's. */
  giveUp({ failures }: ExpectedIds, foundOthers: boolean): void {
    for (const [project, before] of failures) {
      const head = this.#head(project);
      if (foundOthers && head.failures === before) head.askUntil = performance.now() + otherWriterMs;
      head.lastId = undefined;
      head.failures += 1;
    }
  }

  /** Call when a commit begins that asks the database: nobody takes ids of these projects before it has ended. */
  ask(projects: Iterable<number>): void {
    for (const project of projects) {
      const head = this.#head(project);
      head.lastId = undefined;
      head.asking += 1;
    }
  }

  /** Call when it has ended, with the last id of each project, where it is known now. */
  asked(projects: Iterable<number>, lastIds: ReadonlyMap<number, number>): void {
    for (const project of projects) {
      const head = this.#head(project);
      head.asking -= 1;
      if (head.asking === 0 && head.askUntil <= performance.now()) head.lastId = lastIds.get(project);
    }
  }

  #head(project: number): Head {
    const known = this.#heads.get(project);
    if (known) return known;
    const head = { lastId: undefined, asking: 0, failures: 0, askUntil: 0 };
    this.#heads.set(project, head);
    return head;
  }
}
