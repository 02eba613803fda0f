/** What may be used, by object id. */
export interface Allowed {
  readonly relations: ReadonlySet<number>;
  readonly functions: ReadonlySet<number>;
  readonly operators: ReadonlySet<number>;
  readonly types: ReadonlySet<number>;
}

/**
 * The parts that a parse tree may be made of, as PostgreSQL 15 and 16 to 18 name them. Not among them are, for one: rows
 * and subscripts, XML and JSON constructors, row locks, samples, and whatever a later version adds.
 */
const parts = new Set(
  (
    "QUERY RANGETBLENTRY RTE ALIAS RTEPERMISSIONINFO RANGETBLFUNCTION FROMEXPR RANGETBLREF JOINEXPR TARGETENTRY VAR " +
    "CONST PARAM OPEXPR DISTINCTEXPR NULLIFEXPR SCALARARRAYOPEXPR BOOLEXPR FUNCEXPR NAMEDARGEXPR AGGREF WINDOWFUNC " +
    "WINDOWCLAUSE SORTGROUPCLAUSE GROUPINGSET GROUPINGFUNC NULLTEST BOOLEANTEST CASEEXPR CASE CASEWHEN WHEN " +
    "CASETESTEXPR COALESCEEXPR COALESCE MINMAXEXPR MINMAX RELABELTYPE COERCEVIAIO COLLATEEXPR COLLATE ARRAYEXPR ARRAY " +
    "SUBLINK COMMONTABLEEXPR SETOPERATIONSTMT SQLVALUEFUNCTION"
  ).split(" "),
);

const maxQueries = 8;
/**
 * The planner writes a query inside another out wherever its columns are used. With n queries of m columns and values
 * each, that makes m ** n of them; this many it copes with.
 */
const maxLeaves = 1_000_000;

/**
 * What is wrong with a query, by the parse tree that PostgreSQL made of it (`pg_rewrite.ev_action`); undefined when it may
 * be run. Names of the author's are escaped in there: a brace or a blank in them has a backslash before it.
 */
export function checkTree(tree: string, allowed: Allowed): string | undefined {
  const found = [...tree.matchAll(/(?<!\\)\{(\w+)/g)].map(([, part]) => part as string);
  const odd = found.find((part) => !parts.has(part));
  if (odd) return `uses something that a native query may not (${odd.toLowerCase()})`;

  const ids = (member: string) => [...tree.matchAll(new RegExp(` :${member} (\\d+)`, "g"))].map(([, id]) => Number(id));
  if (ids("relid").some((id) => id !== 0 && !allowed.relations.has(id))) return "may read the table logs only";
  const called = ["funcid", "aggfnoid", "winfnoid"].flatMap(ids);
  if (called.some((id) => !allowed.functions.has(id))) return "calls a function that a native query may not call";
  if (ids("opno").some((id) => !allowed.operators.has(id))) return "uses an operator that a native query may not use";
  // The text of a text in a row or an array is longer than itself, and that of a text in a row in a row twice so.
  if (/ :varattno 0 /.test(tree)) return "uses a whole row as a value; name its columns";
  const makesArrays = found.includes("ARRAYEXPR") || found.includes("ARRAY");
  const typed = [...ids("resulttype"), ...ids("consttype")];
  if (typed.some((id) => !allowed.types.has(id)))
    return "casts to a type, or holds a value of one, that a native query may not use";
  if (makesArrays && found.includes("COERCEVIAIO")) return "may not hold both an array or a list and a cast by text";
  if (/ :(?:cterecursive|hasRecursive) true/.test(tree)) return "may not be recursive";

  const queries = found.filter((part) => part === "QUERY").length;
  const leaves = found.filter((part) => part === "VAR" || part === "CONST").length / queries;
  if (queries > maxQueries) return `holds ${queries} queries; ${maxQueries} are the most`;
  if (queries > 1 && leaves ** queries > maxLeaves)
    return "is too large for the number of queries in it; take fewer of them";
  return undefined;
}
