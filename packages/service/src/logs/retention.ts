import type { Queryable } from "../db/database.ts";
import { listRetentions } from "../projects/store.ts";
import type { KeptFrom, LogScope, LogStore } from "./log-store.ts";

const dayMs = 86_400_000;
const minuteMs = 60_000;
const rememberMs = 10_000;

/** How long the logs of each project are kept: for as many days as the service keeps them, or as the project says. */
export class Retentions {
  readonly #db: Queryable;
  readonly #serviceDays: number;
  readonly #now: () => number;
  #known: { readonly at: number; readonly days: Promise<ReadonlyMap<number, number>> } | undefined;

  /** `now` in Unix milliseconds, by the database's clock. */
  constructor(db: Queryable, serviceDays: number, now: () => number) {
    this.#db = db;
    this.#serviceDays = serviceDays;
    this.#now = now;
  }

  /** How old an entry may be when it comes, in milliseconds; as of ten seconds ago at most. */
  async maxAgeMs(projectNumber: number): Promise<number> {
    return this.#daysOf(projectNumber, await this.#recent()) * dayMs;
  }

  /** As of now. Whole minutes, so that the counts per minute and the entries agree. */
  async keptFrom(projectNumbers: readonly number[]): Promise<KeptFrom> {
    return this.#starts(projectNumbers, await listRetentions(this.#db));
  }

  /** As of ten seconds ago at most. */
  async recentlyKeptFrom(projectNumbers: readonly number[]): Promise<KeptFrom> {
    return this.#starts(projectNumbers, await this.#recent());
  }

  #recent(): Promise<ReadonlyMap<number, number>> {
    const now = performance.now();
    if (!this.#known || now - this.#known.at > rememberMs) {
      const days = listRetentions(this.#db);
      days.catch(() => {
        this.#known = undefined;
      });
      this.#known = { at: now, days };
    }
    return this.#known.days;
  }

  #starts(projectNumbers: readonly number[], days: ReadonlyMap<number, number>): KeptFrom {
    const now = this.#now();
    return new Map(
      projectNumbers.map((number) => {
        const start = now - this.#daysOf(number, days) * dayMs;
        return [number, Math.floor(start / minuteMs) * minuteMs * 1000];
      }),
    );
  }

  #daysOf(projectNumber: number, days: ReadonlyMap<number, number>): number {
    return Math.min(days.get(projectNumber) ?? this.#serviceDays, this.#serviceDays);
  }
}

/** The store, through which nobody sees what is past its retention, whether it was removed already or not. */
export function withRetention(store: LogStore, retentions: Retentions): LogStore {
  const kept = async <Scope extends LogScope>(scope: Scope): Promise<Scope> => ({
    ...scope,
    keptFrom: await retentions.keptFrom(scope.projectNumbers),
  });
  return {
    backend: store.backend,
    append: (batch, options) => store.append(batch, options),
    search: async (search) => store.search(await kept(search)),
    volume: async (request) => store.volume(await kept(request)),
    facet: async (request) => store.facet(await kept(request)),
    patterns: async (request) => store.patterns(await kept(request)),
    fields: async (scope) => store.fields(await kept(scope)),
    async find(projectNumbers, id, signal) {
      const keptFrom = await retentions.keptFrom(projectNumbers);
      const found = await store.find(projectNumbers, id, signal);
      return found.filter(({ position }) => position.micros >= (keptFrom.get(position.projectNumber) ?? 0));
    },
    heads: (projectNumbers) => store.heads(projectNumbers),
    async queryNative(request) {
      const kept = await retentions.keptFrom([request.projectNumber]);
      return store.queryNative({ ...request, keptFromMicros: kept.get(request.projectNumber) });
    },
    // Asked several times a second while somebody follows.
    async follow(request) {
      const keptFrom = await retentions.recentlyKeptFrom(request.projectNumbers);
      const followed = await store.follow(request);
      const logs = followed.logs.filter(
        ({ position }) => position.micros >= (keptFrom.get(position.projectNumber) ?? 0),
      );
      return { ...followed, logs };
    },
    runMaintenance: () => store.runMaintenance(),
    close: () => store.close(),
  };
}
