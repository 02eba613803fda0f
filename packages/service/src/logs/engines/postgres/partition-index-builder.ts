import { openSession, type Queryable, type Session, sqlState } from "../../../db/database.ts";
import { raw, type Sql, sql } from "../../../db/sql.ts";
import { dayMicros, type LogPartition, listPartitions } from "./days.ts";

/** One number for every Sazabi process: only one of them seals at a time. */
const sealLock = 4_600_004;

/** Rows come late by minutes; those that come later still go into the index one by one. */
const graceMicros = 600_000_000;

/** How long this process may think a partition unsealed that is sealed; costs time, never an answer. */
const rememberMs = 30_000;

/** The partitions whose rows are found by an index on their words and attributes. */
export interface Sealed {
  /** Microseconds since 1970: every partition that begins before this is sealed. */
  readonly beforeMicros: number;
  /** Whether words are in an index; attributes always are. */
  readonly words: boolean;
}

export interface PartitionIndexBuilderOptions {
  readonly url: string;
  /** Other work that one process at a time does, before. */
  readonly first?: (session: Queryable) => Promise<void>;
  readonly db: Queryable;
  /** Told, once, what the database lacks. */
  readonly onNotice: (message: string) => void;
}

/**
 * Builds the indexes of a partition once its days are over, in bulk, where each row costs a twentieth of what it would
 * while it is stored. Nobody waits for it: rows are stored and read meanwhile, and one process does it at a time. What a
 * killed one began is thrown away and begun again by the next.
 */
export class PartitionIndexBuilder {
  readonly #options: PartitionIndexBuilderOptions;
  #running: Promise<void> | undefined;
  #session: Session | undefined;
  #closed = false;
  #noticed = false;
  #known: { readonly at: number; readonly sealed: Promise<Sealed> } | undefined;

  constructor(options: PartitionIndexBuilderOptions) {
    this.#options = options;
  }

  /** Seals what is over, unless another process is at it. Rejects when the database does not let it. */
  seal(nowMicros = Date.now() * 1000): Promise<void> {
    this.#running ??= this.#sealUnderLock(nowMicros).finally(() => {
      this.#running = undefined;
      this.#known = undefined;
    });
    return this.#running;
  }

  /** As of half a minute ago at most. */
  sealed(): Promise<Sealed> {
    const now = performance.now();
    if (!this.#known || now - this.#known.at > rememberMs) {
      const sealed = readSealed(this.#options.db);
      sealed.catch(() => {
        this.#known = undefined;
      });
      this.#known = { at: now, sealed };
    }
    return this.#known.sealed;
  }

  /** Leaves a partition that is being sealed to whoever comes next. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#session?.close();
    await this.#running?.catch(() => undefined);
  }

  async #sealUnderLock(nowMicros: number): Promise<void> {
    if (this.#closed) return;
    const session = await openSession({ url: this.#options.url, name: "sazabi seal", settings: sessionSettings });
    this.#session = session;
    try {
      // The lock ends with the session, however that ends.
      const { rows } = await session.query<{ mine: boolean }>(sql`select pg_try_advisory_lock(${sealLock}) as mine`);
      if (!rows[0]?.mine) return;
      // So that the server stops when this process is gone. Not every platform has it.
      await session.query(sql`set client_connection_check_interval = '1s'`).catch(() => undefined);
      await this.#options.first?.(session);
      const words = await this.#wordsOperators(session);
      const over = (await unsealed(session, words !== undefined)).filter(
        ({ toDay }) => toDay * dayMicros + graceMicros <= nowMicros,
      );
      await sealEach(session, over, words);
    } catch (error) {
      if (!this.#closed) throw error;
    } finally {
      this.#session = undefined;
      await session.close();
    }
  }

  /** What to index words with; undefined where the database cannot. */
  async #wordsOperators(session: Session): Promise<Sql | undefined> {
    const why = await whyNoTrigrams(session);
    if (why === undefined) return trigramOperators(session);
    if (!this.#noticed) this.#options.onNotice(`words in logs are searched without an index: ${why}`);
    this.#noticed = true;
    return undefined;
  }
}

/** One processor at most, and of the disk what autovacuum takes. */
const sessionSettings = {
  maintenance_work_mem: "128MB",
  max_parallel_maintenance_workers: "0",
  vacuum_cost_delay: "2",
};

/** A partition that the database refuses to seal does not keep the others from it. */
async function sealEach(session: Session, partitions: readonly LogPartition[], words: Sql | undefined): Promise<void> {
  let refused: unknown;
  for (const { name } of partitions) {
    try {
      await sealPartition(session, name, words);
    } catch (error) {
      // An error that is not the server's means that the session is gone.
      if (sqlState(error) === undefined) throw error;
      refused ??= error;
    }
  }
  if (refused) throw refused;
}

async function sealPartition(session: Session, partition: string, words: Sql | undefined): Promise<void> {
  await buildIndex(session, partition, attributesIndex(partition), sql`attributes jsonb_path_ops`);
  const elements = sql`sazabi.log_list_elements(attributes)`;
  await buildIndex(session, partition, listsIndex(partition), elements, sql`where ${elements} is not null`);
  if (words) await buildIndex(session, partition, wordsIndex(partition), sql`(message collate "C") ${words}`);
  // For the planner, and so that an index alone answers what it can.
  await session.query(sql`vacuum (freeze, analyze, skip_locked) ${raw(partition)}`);
}

async function buildIndex(
  session: Session,
  partition: string,
  name: string,
  columns: Sql,
  rows = sql``,
): Promise<void> {
  const state = await indexState(session, name);
  if (state === "valid") return;
  if (state === "invalid") await session.query(sql`drop index concurrently if exists ${raw(name)}`);
  // Late rows wait in a list that is short: whoever fills it pays for sorting them in.
  await session.query(sql`
    create index concurrently ${raw(name)} on ${raw(partition)} using gin (${columns})
    with (gin_pending_list_limit = 1024) ${rows}`);
}

async function indexState(db: Queryable, name: string): Promise<"valid" | "invalid" | undefined> {
  const { rows } = await db.query<{ valid: boolean }>(sql`
    select indisvalid as valid from pg_index where indexrelid = to_regclass(${`sazabi.${name}`})`);
  return rows[0] && (rows[0].valid ? "valid" : "invalid");
}

function attributesIndex(partition: string): string {
  return `${partition}_attributes`;
}

/** On the elements of attributes that are lists, of rows that have any. */
function listsIndex(partition: string): string {
  return `${partition}_lists`;
}

function wordsIndex(partition: string): string {
  return `${partition}_words`;
}

async function unsealed(db: Queryable, words: boolean): Promise<readonly LogPartition[]> {
  const valid = await validIndexes(db);
  // The newest first: it is what people search.
  return (await listPartitions(db)).filter(({ name }) => !isSealed(valid, name, words)).reverse();
}

async function readSealed(db: Queryable): Promise<Sealed> {
  const valid = await validIndexes(db);
  const partitions = await listPartitions(db);
  const words = partitions.some(({ name }) => isSealed(valid, name, true));
  const firstUnsealed = partitions.find(({ name }) => !isSealed(valid, name, words));
  return { beforeMicros: (firstUnsealed?.fromDay ?? partitions.at(-1)?.toDay ?? 0) * dayMicros, words };
}

function isSealed(valid: ReadonlySet<string>, partition: string, words: boolean): boolean {
  const needed = [attributesIndex(partition), listsIndex(partition), ...(words ? [wordsIndex(partition)] : [])];
  return needed.every((name) => valid.has(name));
}

async function validIndexes(db: Queryable): Promise<ReadonlySet<string>> {
  const { rows } = await db.query<{ name: string }>(sql`
    select c.relname as name from pg_index i join pg_class c on c.oid = i.indexrelid
    where c.relnamespace = 'sazabi'::regnamespace and i.indisvalid and c.relname ~ '^logs_[0-9]{8}(_[0-9]{8})?_(attributes|lists|words)$'`);
  return new Set(rows.map(({ name }) => name));
}

/** Undefined when the trigrams are there now; otherwise why they are not. */
async function whyNoTrigrams(session: Session): Promise<string | undefined> {
  // The index folds as the database does, queries as ASCII does. Where even `I` is another letter, it would miss some.
  const { rows } = await session.query<{ folds: boolean }>(sql`select lower('SAZABI I') = 'sazabi i' as folds`);
  if (!rows[0]?.folds) return "the database's locale has other small letters than ASCII";
  try {
    await session.query(sql`create extension if not exists pg_trgm schema sazabi`);
    return undefined;
  } catch (error) {
    if (sqlState(error) === undefined) throw error;
    return `${(error as Error).message}. See docs/operations.md, "Privileges".`;
  }
}

/** Wherever the extension is: it may have been there before us, in a schema of its own. */
async function trigramOperators(session: Session): Promise<Sql> {
  const { rows } = await session.query<{ schema: string }>(sql`
    select quote_ident(n.nspname) as schema from pg_extension e join pg_namespace n on n.oid = e.extnamespace
    where e.extname = 'pg_trgm'`);
  return raw(`${rows[0]?.schema}.gin_trgm_ops`);
}
