import { runBounded } from "../../../db/bounded-session.ts";
import { type Database, sqlState, type Transaction } from "../../../db/database.ts";
import { raw, type Sql, sql } from "../../../db/sql.ts";
import { ApiError } from "../../../errors.ts";
import type { NativeAnswer, NativeRequest } from "../../log-store.ts";
import { queryTimeout } from "../../query-timeout.ts";
import { NativeText, nativeBounds, refusedQuery } from "../../sql-query-answer.ts";
import { NativeSlots } from "../../sql-query-slots.ts";
import { isoOfMicros } from "../../time.ts";
import { type Allowed, AllowedByServer } from "./sql-query-allowed.ts";
import { checkPlan, mostWorkMemKiB, type PlanNode } from "./sql-query-plan.ts";
import { checkTree, type TreeCost } from "./sql-query-tree.ts";

/*
 * Somebody else's SQL, in our database. What keeps it in:
 *
 * 1. It becomes the body of a view in a transaction that is rolled back. A view takes one SELECT and nothing else.
 * 2. The parse tree that PostgreSQL itself made of it is looked through before anything is run: it may use only the
 *    nodes, functions and operators that are listed, and read only the view of the project's entries. So it cannot
 *    change a setting or a role, take a lock, read the catalogue, sleep, or build values that fill the memory.
 * 3. The plan that PostgreSQL made of it may hold no part whose memory `work_mem` does not bound, and all of its parts
 *    share one budget.
 * 4. It runs as a role that may read that view and nothing else, read-only, with bounds of time, memory and disk.
 * 5. It runs in a server process of its own, which is terminated when its time is over, and of which there are few.
 */

const role = "sazabi_reader";
/** One number for every Sazabi process: two grants to one role at once make one of them fail. */
const preparationLock = 4_600_003;
const settings = {
  hash_mem_multiplier: "1",
  // A hash table has no bound when its estimate is wrong or all of its keys are alike; a sort has one always.
  enable_hashagg: "off",
  enable_hashjoin: "off",
  enable_memoize: "off",
  max_parallel_workers_per_gather: "0",
  jit: "off",
  lock_timeout: "1s",
  search_path: "pg_temp",
};
/** Only who was given the right may set it; without it a sort could fill the disk. */
const temporaryFilesMiB = 256;

const rowsAtOnce = 50;
/** What the server has for a cancellation beyond the time limit. */
const graceMs = 1_000;

export interface NativeQueriesOptions {
  readonly url: string;
  /** For the preparation. */
  readonly db: Database;
}

/** Native queries on one database. */
export class NativeQueries {
  readonly #options: NativeQueriesOptions;
  readonly #slots = new NativeSlots();
  readonly #allowed = new AllowedByServer();
  #prepared: Promise<void> | undefined;

  constructor(options: NativeQueriesOptions) {
    this.#options = options;
  }

  /**
   * Throws 400 for what the query is refused with, or when this database cannot run any; 503 when too many run; 504 when
   * it takes too long.
   */
  async run(request: NativeRequest): Promise<NativeAnswer> {
    this.#prepared ??= prepare(this.#options.db);
    await this.#prepared.catch((error) => {
      this.#prepared = undefined;
      throw sqlState(error) === "42501" ? notSetUp(error) : error;
    });
    const { url } = this.#options;
    const { signal } = request;
    const release = await this.#slots.take(signal);
    const timeMs = nativeBounds.timeMs;
    const bounds = { url, name: "sazabi native query", timeMs, graceMs, signal, overdue: queryTimeout };
    const { result, ended } = runBounded(bounds, (tx) => inside(tx, request, this.#allowed));
    // What it holds in memory counts until its process is gone.
    void ended.then(release);
    return result;
  }

  /** Resolves when no query runs any more. */
  close(): Promise<void> {
    return this.#slots.close();
  }
}

/** The role, and the right to act as it. */
async function prepare(db: Database): Promise<void> {
  await db.transaction(async (tx) => {
    await tx.query(sql`select pg_advisory_xact_lock(${preparationLock})`);
    const { rows } = await tx.query<{ is_safe: boolean; is_ours: boolean }>(sql`
      select not (rolsuper or rolbypassrls or rolcreaterole or rolcreatedb or rolreplication)
             and not exists (select from pg_auth_members where member = r.oid) as is_safe,
             pg_has_role(r.oid, 'member') as is_ours
      from pg_roles r where rolname = ${role}`);
    const found = rows[0];
    if (found && !found.is_safe) throw unsafeRole();
    if (!found) await tx.query(sql`create role ${raw(role)} nologin`);
    if (!found?.is_ours) await tx.query(sql`grant ${raw(role)} to current_user`);
  });
}

async function inside(tx: Transaction, request: NativeRequest, known: AllowedByServer): Promise<NativeAnswer> {
  const endsAt = performance.now() + nativeBounds.timeMs;
  const allowed = await fence(tx, request, known).catch((error) => {
    throw sqlState(error) === "42501" ? notSetUp(error) : error;
  });
  const { columns, cost } = await define(tx, request.text, allowed);
  await tx.query(sql`set transaction read only`);
  return explainSqlErrors(() => read(tx, { columns, cost, endsAt }));
}

/** The bounds, the one table there is to read, and the role that may read it. */
async function fence(
  tx: Transaction,
  { projectNumber, keptFromMicros = 0 }: NativeRequest,
  known: AllowedByServer,
): Promise<Allowed> {
  await tx.query(sql`
    select set_config(name, value, true)
    from unnest(${Object.keys(settings)}::text[], ${Object.values(settings)}::text[]) as s(name, value)`);
  await boundTemporaryFiles(tx);
  // The number and the time are ours, and written out: there is nothing in the session that a query could change to see another project.
  await tx.query(sql`
    create view pg_temp.logs with (security_barrier) as
    select id, ts as timestamp,
           case level when 0 then 'trace' when 1 then 'debug' when 2 then 'info' when 3 then 'warn' when 4 then 'error'
                      else 'fatal' end as level,
           service, environment, trace_id, span_id, message, attributes
    from sazabi.logs
    where project_number = ${raw(String(Math.trunc(projectNumber)))} and ts >= ${raw(`'${isoOfMicros(keptFromMicros)}'`)}`);
  await tx.query(sql`grant select on pg_temp.logs to ${raw(role)}`);
  const allowed = await known.list(tx);
  await tx.query(sql`set local role ${raw(role)}`);
  return allowed;
}

/** Whoever may not set it may have a smaller one already. */
async function boundTemporaryFiles(tx: Transaction): Promise<void> {
  await tx.query(sql`
    select set_config('temp_file_limit', ${`${temporaryFilesMiB}MB`}, true)
    where pg_size_bytes(current_setting('temp_file_limit')) not between 0 and ${temporaryFilesMiB * 1024 * 1024}`);
}

/** A query that was looked at. */
interface Checked {
  readonly columns: readonly string[];
  readonly cost: TreeCost;
}

/** Makes the query a view, and looks at what it became. */
async function define(tx: Transaction, text: string, allowed: Allowed): Promise<Checked> {
  const prefix = "create temporary view native_query as ";
  await explainSqlErrors(() => tx.single(prefix + text), prefix.length);
  const { rows } = await tx.query<{ tree: string; columns: string[]; self: string }>(sql`
    select ev_action::text as tree, ev_class::oid as self,
           (select array_agg(attname::text order by attnum) from pg_catalog.pg_attribute
            where attrelid = ev_class and attnum > 0) as columns
    from pg_catalog.pg_rewrite where ev_class = 'pg_temp.native_query'::pg_catalog.regclass`);
  const { tree, columns, self } = rows[0] as (typeof rows)[0];
  // PostgreSQL 15 names the view itself in its tree; a view cannot read itself.
  const cost = checkTree(tree, { ...allowed, relations: new Set([...allowed.relations, Number(self)]) });
  if (typeof cost === "string") throw refusedQuery(cost);
  const most = nativeBounds.columns;
  if (columns.length > most) throw refusedQuery(`has ${columns.length} columns; ${most} are the most`);
  return { columns, cost };
}

async function read(
  tx: Transaction,
  { columns, cost, endsAt }: Checked & { readonly endsAt: number },
): Promise<NativeAnswer> {
  const names = columns.map((_, index) => `c${index}`);
  const cells = names.map(
    (name) => `pg_catalog.left(${name}::pg_catalog.text, ${nativeBounds.cellCharacters + 1}) as ${name}`,
  );
  const select = `select ${cells.join(", ")} from pg_temp.native_query as q(${names.join(", ")})`;
  const declaration = sql`declare native_rows no scroll cursor for ${raw(select)}`;
  await boundMemory(tx, declaration, cost);
  await tx.query(declaration);
  const text = new NativeText(columns);
  for (;;) {
    const leftMs = Math.max(1, Math.ceil(endsAt - performance.now()));
    await tx.query(sql`select pg_catalog.set_config('statement_timeout', ${`${leftMs}ms`}, true)`);
    const { rows } = await tx.query<Record<string, string | null>>(
      sql`fetch forward ${raw(String(rowsAtOnce))} from native_rows`,
    );
    for (const row of rows) if (!text.add(names.map((name) => row[name] ?? null))) return text.answer();
    if (rows.length < rowsAtOnce) return text.answer();
  }
}

/**
 * Checks the plan that will run: that of the cursor, under the `work_mem` that it gets. With less of it, PostgreSQL may
 * plan otherwise, so that is checked again.
 */
async function boundMemory(tx: Transaction, declaration: Sql, cost: TreeCost): Promise<void> {
  for (let kiB = mostWorkMemKiB; ; ) {
    await tx.query(sql`select pg_catalog.set_config('work_mem', ${`${kiB}kB`}, true)`);
    const { rows } = await tx.query<{ "QUERY PLAN": readonly [{ readonly Plan: PlanNode }] }>(
      sql`explain (format json, verbose) ${declaration}`,
    );
    const allowed = checkPlan((rows[0] as (typeof rows)[0])["QUERY PLAN"][0].Plan, cost);
    if (typeof allowed === "string") throw refusedQuery(allowed);
    if (allowed >= kiB) return;
    kiB = allowed;
  }
}

/** Faults of the query itself: what PostgreSQL says of them is for its author. */
const faultsOfQuery = /^(?:0A|0B|20|21|22|23|25|2F|34|42|44|53400|53200|54)/;

async function explainSqlErrors<T>(work: () => Promise<T>, offset = 0): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!faultsOfQuery.test(sqlState(error) ?? "")) throw error;
    const { message, position } = error as Error & { position?: string };
    const place = Number(position) - offset;
    throw refusedQuery(place > 0 ? `${message} (at character ${place})` : message);
  }
}

function notSetUp(cause: unknown): ApiError {
  return new ApiError(
    "VALIDATION_ERROR",
    `This service cannot run native queries: its database user lacks a right. docs/operations.md, "Native queries", says which.`,
    { cause },
  );
}

function unsafeRole(): ApiError {
  return new ApiError(
    "VALIDATION_ERROR",
    `This service cannot run native queries: the database role ${role} may do more than it should, or is a member of others.`,
  );
}
