import { ApiError } from "../../errors.ts";
import { type Database, type Queryable, sqlState, type Transaction } from "../../store/database.ts";
import { raw, sql } from "../../store/sql.ts";
import { NativeText, nativeBounds, refusedQuery } from "../native-answer.ts";
import type { NativeAnswer, NativeRequest } from "../store.ts";
import { isoOfMicros } from "../time.ts";
import { type Allowed, checkTree } from "./native-tree.ts";

/*
 * Somebody else's SQL, in our database. What keeps it in:
 *
 * 1. It becomes the body of a view in a transaction that is rolled back. A view takes one SELECT and nothing else.
 * 2. The parse tree that PostgreSQL itself made of it is looked through before anything is run: it may use only the
 *    nodes, functions and operators that are listed, and read only the view of the project's entries. So it cannot
 *    change a setting or a role, take a lock, read the catalogue, sleep, or build values that fill the memory.
 * 3. It runs as a role that may read that view and nothing else, read-only, with bounds of time, memory and disk.
 */

const role = "sazabi_reader";
/** One number for every Sazabi process: grants to one role do not like each other's company. */
const preparationLock = 4_600_003;
const settings = {
  work_mem: "16MB",
  hash_mem_multiplier: "1",
  max_parallel_workers_per_gather: "0",
  jit: "off",
  lock_timeout: "1s",
  statement_timeout: `${nativeBounds.timeMs}ms`,
  search_path: "pg_temp",
  // Only who was given the right may set it; without it a sort could fill the disk.
  temp_file_limit: "256MB",
};

const rowsAtOnce = 50;

/** Native queries on one database. */
export class NativeQueries {
  readonly #db: Database;
  #prepared: Promise<void> | undefined;

  constructor(db: Database) {
    this.#db = db;
  }

  /** Throws 400 for what the query is refused with, or when this database cannot run any; 504 when it takes too long. */
  async run(request: NativeRequest): Promise<NativeAnswer> {
    this.#prepared ??= prepare(this.#db);
    await this.#prepared.catch((error) => {
      this.#prepared = undefined;
      throw sqlState(error) === "42501" ? notSetUp(error) : error;
    });
    let answer: NativeAnswer | undefined;
    try {
      await this.#db.transaction(
        async (tx) => {
          answer = await inside(tx, request);
          // Nothing of it is to stay.
          throw new RolledBack();
        },
        { signal: request.signal },
      );
    } catch (error) {
      if (!(error instanceof RolledBack)) throw error;
    }
    return answer as NativeAnswer;
  }
}

class RolledBack extends Error {}

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

async function inside(tx: Transaction, request: NativeRequest): Promise<NativeAnswer> {
  const endsAt = performance.now() + nativeBounds.timeMs;
  const allowed = await fence(tx, request).catch((error) => {
    throw sqlState(error) === "42501" ? notSetUp(error) : error;
  });
  const columns = await define(tx, request.text, allowed);
  await tx.query(sql`set transaction read only`);
  return explained(() => read(tx, columns, endsAt));
}

/** The bounds, the one table there is to read, and the role that may read it. */
async function fence(tx: Transaction, { projectNumber, keptFromMicros = 0 }: NativeRequest): Promise<Allowed> {
  for (const [name, value] of Object.entries(settings)) await tx.query(sql`select set_config(${name}, ${value}, true)`);
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
  const allowed = await listAllowed(tx);
  await tx.query(sql`set local role ${raw(role)}`);
  return allowed;
}

/** Makes the query a view, and looks at what it became. The names of its columns. */
async function define(tx: Transaction, text: string, allowed: Allowed): Promise<readonly string[]> {
  const prefix = "create temporary view native_query as ";
  await explained(() => tx.single(prefix + text), prefix.length);
  const { rows } = await tx.query<{ tree: string; columns: string[]; self: string }>(sql`
    select ev_action::text as tree, ev_class::oid as self,
           (select array_agg(attname::text order by attnum) from pg_catalog.pg_attribute
            where attrelid = ev_class and attnum > 0) as columns
    from pg_catalog.pg_rewrite where ev_class = 'pg_temp.native_query'::pg_catalog.regclass`);
  const { tree, columns, self } = rows[0] as (typeof rows)[0];
  // PostgreSQL 15 names the view itself in its tree; a view cannot read itself.
  const fault = checkTree(tree, { ...allowed, relations: new Set([...allowed.relations, Number(self)]) });
  if (fault) throw refusedQuery(fault);
  const most = nativeBounds.columns;
  if (columns.length > most) throw refusedQuery(`has ${columns.length} columns; ${most} are the most`);
  return columns;
}

async function read(tx: Transaction, columns: readonly string[], endsAt: number): Promise<NativeAnswer> {
  const names = columns.map((_, index) => `c${index}`);
  const cells = names.map(
    (name) => `pg_catalog.left(${name}::pg_catalog.text, ${nativeBounds.cellCharacters + 1}) as ${name}`,
  );
  await tx.query(sql`
    declare native_rows no scroll cursor for
    select ${raw(cells.join(", "))} from pg_temp.native_query as q(${raw(names.join(", "))})`);
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
 * Nothing that makes large values of small ones (`||`, `repeat`, `string_agg`), has an effect, or tells of the server.
 */
const functions =
  "count sum avg min max bool_and bool_or every percentile_cont percentile_disc mode stddev stddev_pop stddev_samp " +
  "variance var_pop var_samp corr row_number rank dense_rank percent_rank cume_dist ntile lag lead first_value " +
  "last_value nth_value lower upper length char_length character_length octet_length substr substring left right btrim " +
  "ltrim rtrim strpos position split_part starts_with reverse initcap md5 ascii regexp_like regexp_count regexp_substr " +
  "abs ceil ceiling floor round trunc sign mod sqrt ln log div width_bucket date_trunc date_bin date_part extract age " +
  "now to_timestamp make_interval make_timestamptz make_date to_char timezone jsonb_typeof jsonb_extract_path " +
  "jsonb_extract_path_text jsonb_object_keys jsonb_each jsonb_each_text jsonb_array_elements jsonb_array_elements_text " +
  "jsonb_array_length generate_series like notlike";
const operators = "= <> < <= > >= + - * / % ~~ !~~ ~~* !~~* ~ !~ ~* !~* -> ->> #> #>> @> <@ ? ?| ?& ^@";
const types =
  "bool int2 int4 int8 float4 float8 numeric text varchar bpchar date time timestamp timestamptz interval jsonb uuid _text";

async function listAllowed(tx: Queryable): Promise<Allowed> {
  const { rows } = await tx.query<{ relation: string; functions: string[]; operators: string[]; types: string[] }>(sql`
    with known as (
      select oid from pg_catalog.pg_type
      where typnamespace = 'pg_catalog'::regnamespace and typname = any(${types.split(" ")}::text[])
    )
    select 'pg_temp.logs'::regclass::oid as relation,
           (select array_agg(oid) from known) as types,
           (select array_agg(oid) from (
              select oid from pg_catalog.pg_proc
              where pronamespace = 'pg_catalog'::regnamespace and proname = any(${functions.split(" ")}::text[])
                and provolatile <> 'v' and prokind in ('f', 'a', 'w')
              union
              select castfunc from pg_catalog.pg_cast
              where castfunc <> 0 and castsource in (select oid from known) and casttarget in (select oid from known)
            ) f) as functions,
           (select array_agg(oid) from pg_catalog.pg_operator
            where oprnamespace = 'pg_catalog'::regnamespace and oprname = any(${operators.split(" ")}::text[])
              and (oprleft = 0 or oprleft in (select oid from known)) and oprright in (select oid from known)) as operators`);
  const row = rows[0] as (typeof rows)[0];
  const ids = (texts: readonly string[]) => new Set(texts.map(Number));
  return {
    relations: new Set([Number(row.relation)]),
    functions: ids(row.functions),
    operators: ids(row.operators),
    types: ids(row.types),
  };
}

/** Faults of the query itself: what PostgreSQL says of them is for its author. */
const faultsOfQuery = /^(?:0A|0B|20|21|22|23|25|2F|34|42|44|53400|53200|54)/;

async function explained<T>(work: () => Promise<T>, offset = 0): Promise<T> {
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
