import type { Queryable } from "../../../db/database.ts";
import { sql } from "../../../db/sql.ts";

/** What may be used, by object id. */
export interface Allowed {
  readonly relations: ReadonlySet<number>;
  readonly functions: ReadonlySet<number>;
  readonly operators: ReadonlySet<number>;
  readonly types: ReadonlySet<number>;
  /**
   * Those among them whose time grows with the product of their operands, or whose second operand is a program: all
   * operands of theirs but the first are constants.
   */
  readonly matching: ReadonlySet<number>;
  /** By function or operator: how many times the size of its operand it takes, where that is more than twice. */
  readonly weights: ReadonlyMap<number, number>;
}

/*
 * What a native query may call in PostgreSQL: nothing that makes large values of small ones (`||`, `repeat`,
 * `string_agg`), has an effect, or reveals anything about the server. Of a name only those overloads are allowed whose
 * arguments and result are of the types below, or of whatever type they are given; so none that makes arrays.
 */

const nativeFunctions: readonly string[] = (
  "count sum avg min max bool_and bool_or every percentile_cont percentile_disc mode stddev stddev_pop stddev_samp " +
  "variance var_pop var_samp corr row_number rank dense_rank percent_rank cume_dist ntile lag lead first_value " +
  "last_value nth_value lower upper length char_length character_length octet_length substr substring left right btrim " +
  "ltrim rtrim strpos position split_part starts_with reverse initcap md5 ascii regexp_like regexp_count regexp_substr " +
  "abs ceil ceiling floor round trunc sign mod sqrt ln log div width_bucket date_trunc date_bin date_part extract age " +
  "now to_timestamp make_interval make_timestamptz make_date to_char timezone jsonb_typeof jsonb_extract_path " +
  "jsonb_extract_path_text jsonb_object_keys jsonb_each jsonb_each_text jsonb_array_elements jsonb_array_elements_text " +
  "jsonb_array_length generate_series like notlike"
).split(" ");

const nativeOperators: readonly string[] =
  "= <> < <= > >= + - * / % ~~ !~~ ~~* !~~* ~ !~ ~* !~* -> ->> #> #>> @> <@ ? ?| ?& ^@".split(" ");

const nativeTypes: readonly string[] =
  "bool int2 int4 int8 float4 float8 numeric text varchar bpchar date time timestamp timestamptz interval jsonb uuid _text".split(
    " ",
  );

/** Of arguments that take whatever they are given, but not arrays as such. */
const anyTypes = ["any", "anyelement", "anynonarray", "anycompatible", "anycompatiblenonarray"];

/**
 * Functions and operators whose second operand is a pattern, a format or a set: their time grows with the product of both
 * operands, and nothing interrupts most of them.
 */
const nativeMatching: readonly string[] = (
  "like notlike regexp_like regexp_count regexp_substr substring strpos position split_part btrim ltrim rtrim to_char " +
  "to_timestamp ~~ !~~ ~~* !~~* ~ !~ ~* !~* @> <@"
).split(" ");

/** What some take of memory, in sizes of their operand, where that is more than what they make. Measured. */
const nativeWeights: ReadonlyMap<string, number> = new Map([
  ["regexp_count", 16],
  ["btrim", 12],
  ["ltrim", 12],
  ["rtrim", 12],
  ["~~*", 4],
  ["!~~*", 4],
]);

/** By object id, as the servers that were asked have them: the ids of their own objects are fixed for each version. */
export class AllowedByServer {
  readonly #known = new Map<string, Omit<Allowed, "relations">>();

  /** What a query may use, and the view it may read. */
  async list(tx: Queryable): Promise<Allowed> {
    const { rows } = await tx.query<{ relation: string; version: string }>(sql`
      select 'pg_temp.logs'::regclass::oid as relation, current_setting('server_version_num') as version`);
    const { relation, version } = rows[0] as (typeof rows)[0];
    const known = this.#known.get(version) ?? (await listAllowed(tx));
    this.#known.set(version, known);
    return { ...known, relations: new Set([Number(relation)]) };
  }
}

export async function listAllowed(tx: Queryable): Promise<Omit<Allowed, "relations">> {
  const { rows } = await tx.query<{ id: number; takesAny: boolean }>(sql`
    select oid::int as id, typname = any(${anyTypes}::text[]) as "takesAny" from pg_catalog.pg_type
    where typnamespace = 'pg_catalog'::regnamespace and typname = any(${[...nativeTypes, ...anyTypes]}::text[])`);
  const types = rows.filter(({ takesAny }) => !takesAny).map(({ id }) => id);
  const functions = await listFunctions(
    tx,
    types,
    rows.map(({ id }) => id),
  );
  const operators = await listOperators(tx, types);
  const all = [...functions, ...operators];
  return {
    types: new Set(types),
    functions: new Set(functions.map(({ id }) => id)),
    operators: new Set(operators.map(({ id }) => id)),
    matching: new Set(all.filter((each) => each.matches).map(({ id }) => id)),
    weights: new Map(all.map(({ id, name }) => [id, nativeWeights.get(name)] as const).filter(isKnown)),
  };
}

interface Callable {
  readonly id: number;
  readonly name: string;
  readonly matches: boolean;
}

/** Casts among the types are functions, too. */
async function listFunctions(
  tx: Queryable,
  types: readonly number[],
  takenTypes: readonly number[],
): Promise<readonly Callable[]> {
  const { rows } = await tx.query<Callable>(sql`
    select oid::int as id, proname::text as name,
           coalesce(proname = any(${nativeMatching}::text[]) and proargtypes[1] = 'text'::regtype, false) as matches
    from pg_catalog.pg_proc
    where pronamespace = 'pg_catalog'::regnamespace and proname = any(${nativeFunctions}::text[])
      and provolatile <> 'v' and prokind in ('f', 'a', 'w')
      and proargtypes::oid[] <@ ${takenTypes}::oid[]
      and (prorettype = any(${takenTypes}::oid[]) and prorettype <> 'text[]'::regtype
           or proretset and prorettype = 'record'::regtype)
    union
    select castfunc::int, 'cast', false from pg_catalog.pg_cast
    where castfunc <> 0 and castsource = any(${types}::oid[]) and casttarget = any(${types}::oid[])`);
  return rows;
}

async function listOperators(tx: Queryable, types: readonly number[]): Promise<readonly Callable[]> {
  const { rows } = await tx.query<Callable>(sql`
    select oid::int as id, oprname::text as name, oprname = any(${nativeMatching}::text[]) as matches
    from pg_catalog.pg_operator
    where oprnamespace = 'pg_catalog'::regnamespace and oprname = any(${nativeOperators}::text[])
      and (oprleft = 0 or oprleft = any(${types}::oid[])) and oprright = any(${types}::oid[])`);
  return rows;
}

function isKnown(weight: readonly [number, number | undefined]): weight is readonly [number, number] {
  return weight[1] !== undefined;
}
