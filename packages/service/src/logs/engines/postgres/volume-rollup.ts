import { setTimeout as sleep } from "node:timers/promises";
import type { Queryable } from "../../../db/database.ts";
import { sql } from "../../../db/sql.ts";

/** A second of a busy service is some hundred commits, which count the same few kinds of entries. */
const restMs = 1_000;
/** Most add some ten counts, some 2,000. */
const commitsAtOnce = 200;

/**
 * Adds the counts of single commits to the counts per minute in `log_volume`, in the background. The view
 * `log_volume_complete` also has the counts that are not added yet, of any process.
 */
export class VolumeRollup {
  readonly #db: Queryable;
  readonly #onDeferred: (error: unknown) => void;
  readonly #closing = new AbortController();
  #isDue = false;
  #running: Promise<void> | undefined;

  constructor(db: Queryable, onDeferred: (error: unknown) => void) {
    this.#db = db;
    this.#onDeferred = onDeferred;
  }

  /** Call when something was added. */
  due(): void {
    this.#isDue = true;
    this.#running ??= this.#run();
  }

  /** Leaves what is not put together yet to whoever comes next. */
  async close(): Promise<void> {
    this.#closing.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { signal } = this.#closing;
    try {
      while (this.#isDue) {
        this.#isDue = false;
        await sleep(restMs, undefined, { signal });
        await rollUpVolume(this.#db, signal);
      }
    } catch (error) {
      if (!signal.aborted) this.#onDeferred(error);
    } finally {
      this.#running = undefined;
    }
  }
}

/** Puts together all that was added by now. Several at once are no harm: each row is taken once. */
export async function rollUpVolume(db: Queryable, signal?: AbortSignal): Promise<void> {
  for (let taken = commitsAtOnce; taken === commitsAtOnce && !signal?.aborted; ) {
    const { rows } = await db.query<{ taken: number }>(sql`
      with taken as (
        delete from log_volume_added
        where ctid = any(array(select ctid from log_volume_added limit ${commitsAtOnce}))
        returning project_number, counts
      ), added as (
        insert into log_volume as v (project_number, minute, level, service, environment, entries)
        select t.project_number, to_timestamp(c.m), c.l, c.s, coalesce(c.e, ''), sum(c.n)
        from taken t
        cross join lateral json_to_recordset(t.counts) as c(m bigint, l smallint, s text, e text, n int)
        group by 1, 2, 3, 4, 5
        -- In one order everywhere, so that two cannot wait for each other.
        order by 1, 2, 3, 4, 5
        on conflict (project_number, minute, level, service, environment)
        do update set entries = v.entries + excluded.entries
      )
      select count(*)::int as taken from taken`);
    taken = rows[0]?.taken as number;
  }
}
