import { childrenOf, everyNode, nodesIn, readTree, type TreeNode, TreeTooDeep, type TreeValue } from "./parse-tree.ts";
import type { Allowed } from "./sql-query-allowed.ts";
import { measureCost } from "./sql-query-cost.ts";

/** What a query that may be run can hold in memory, for the check of its plan. */
export interface TreeCost {
  /** Aggregates that sort their input, times the grouping sets they do so for. */
  readonly sortingAggregates: number;
  /** Values that can be long and that one of its queries makes for a row; those of the table lie in the table. */
  readonly longValues: number;
  /** The largest `limit` with its `offset`; infinite when it is not a constant, 0 without any. */
  readonly limit: number;
}

/**
 * The kinds of nodes that a parse tree may hold, as PostgreSQL 15 and 16 to 18 name them. Not among them are, for one: rows
 * and subscripts, XML and JSON constructors, row locks, samples, and whatever a later version adds.
 */
export const nodeKinds: ReadonlySet<string> = new Set(
  (
    "QUERY RANGETBLENTRY RTE ALIAS RTEPERMISSIONINFO RANGETBLFUNCTION FROMEXPR RANGETBLREF JOINEXPR TARGETENTRY VAR " +
    "CONST PARAM OPEXPR DISTINCTEXPR NULLIFEXPR SCALARARRAYOPEXPR BOOLEXPR FUNCEXPR NAMEDARGEXPR AGGREF WINDOWFUNC " +
    "WINDOWCLAUSE SORTGROUPCLAUSE GROUPINGSET GROUPINGFUNC NULLTEST BOOLEANTEST CASEEXPR CASE CASEWHEN WHEN " +
    "CASETESTEXPR COALESCEEXPR COALESCE MINMAXEXPR MINMAX RELABELTYPE COERCEVIAIO COLLATEEXPR COLLATE ARRAYEXPR ARRAY " +
    "SUBLINK COMMONTABLEEXPR SETOPERATIONSTMT SQLVALUEFUNCTION"
  ).split(" "),
);

/** EXISTS, ALL, ANY and a single value. Not rows, and not `array(select …)`. */
const subLinkTypes = new Set(["0", "1", "2", "4"]);
/** Of an element of a list that is written out. */
const constantKinds = new Set([
  "CONST",
  "FUNCEXPR",
  "OPEXPR",
  "RELABELTYPE",
  "COLLATEEXPR",
  "COLLATE",
  "SQLVALUEFUNCTION",
]);

/** The current date and times; what comes after them tells of the role and the database. */
const lastTimeValue = 8;

const maxQueries = 8;
/** Expressions that PostgreSQL may evaluate for a row once it has written inner queries out wherever they are used. */
const maxExpressions = 20_000;
/**
 * Of a row, in units of the longest value (256 KiB), twice: what is read of the table, and what is made of it. What an
 * expression takes is kept until its row is done.
 */
const maxLongValues = 200;
const jsonb = "3802";
const textArray = "1009";
/** An empty object or array. */
const emptyJsonBytes = 8;

/**
 * What is wrong with a query, by the parse tree that PostgreSQL made of it (`pg_rewrite.ev_action`), or what it costs when
 * it may be run.
 */
export function checkTree(text: string, allowed: Allowed): string | TreeCost {
  try {
    const tree = readTree(text);
    return refuseNodes(tree, allowed) ?? refuseConstructs(tree, allowed) ?? refuseCost(tree, allowed);
  } catch (error) {
    if (error instanceof TreeTooDeep) return "nests too deep";
    throw error;
  }
}

const idFields = {
  functions: ["funcid", "aggfnoid", "winfnoid"],
  operators: ["opno"],
  types: ["resulttype", "consttype"],
} as const;

function refuseNodes(tree: TreeValue, allowed: Allowed): string | undefined {
  for (const node of everyNode(tree)) {
    if (!nodeKinds.has(node.kind)) return `uses something that a native query may not (${node.kind.toLowerCase()})`;
    const odd = (kind: keyof typeof idFields) =>
      idFields[kind].some(
        (field) => node.fields[field] !== undefined && !allowed[kind].has(Number(node.fields[field])),
      );
    const { relid = "0" } = node.fields;
    if (relid !== "0" && !allowed.relations.has(Number(relid))) return "may read the table logs only";
    if (odd("functions")) return "calls a function that a native query may not call";
    if (odd("operators")) return "uses an operator that a native query may not use";
    if (odd("types")) return "casts to a type, or holds a value of one, that a native query may not use";
  }
  return undefined;
}

function refuseConstructs(tree: TreeValue, allowed: Allowed): string | undefined {
  for (const node of everyNode(tree)) {
    const { kind, fields } = node;
    // The text of a text in a row or an array is longer than itself, and that of a text in a row in a row twice so.
    if (fields["varattno"] === "0") return "uses a whole row as a value; name its columns";
    if (fields["hasRecursive"] === "true" || fields["cterecursive"] === "true") return "may not be recursive";
    if (kind === "SQLVALUEFUNCTION" && Number(fields["op"]) > lastTimeValue) {
      return "asks for the name of a role, a database or a schema";
    }
    if (kind === "SUBLINK" && !subLinkTypes.has(fields["subLinkType"] as string)) {
      return "makes an array or a row of a subquery; take its values as rows";
    }
    if ((kind === "ARRAYEXPR" || kind === "ARRAY") && !childrenOf(node).every(isConstant)) {
      return "puts something into an array or a list that is not a constant; compare with each of them";
    }
    if (kind === "COERCEVIAIO" && (fields["resulttype"] === jsonb || fields["resulttype"] === textArray)) {
      return "casts a value to jsonb or to an array; only a constant may be cast to it";
    }
    if (!isComparison(node) && childrenOf(node).some(isLongJson)) {
      return "uses a jsonb constant for something else than a comparison";
    }
    if (isMatching(node, allowed) && !nodesIn(fields["args"]).slice(1).every(isConstant)) {
      return "matches against a pattern that is not a constant; write the pattern out";
    }
  }
  return undefined;
}

function refuseCost(tree: TreeValue, allowed: Allowed): string | TreeCost {
  const queries = [...everyNode(tree)].filter(({ kind }) => kind === "QUERY").length;
  if (queries > maxQueries) return `holds ${queries} queries; ${maxQueries} are the most`;
  const [query] = nodesIn(tree);
  if (!query) throw new Error("A view of PostgreSQL's holds no query.");
  const cost = measureCost(query, allowed);
  if (cost.expressions > maxExpressions) return "is too large for the queries in it; take fewer of them";
  if (cost.weight > maxLongValues) {
    return "uses message, attributes or what is made of them in too many places; take fewer of them";
  }
  return cost;
}

function isConstant(node: TreeNode): boolean {
  return constantKinds.has(node.kind) && childrenOf(node).every(isConstant);
}

function isMatching({ fields }: TreeNode, { matching }: Allowed): boolean {
  return [fields["funcid"], fields["opno"]].some((id) => id !== undefined && matching.has(Number(id)));
}

/** An operator that answers yes or no. */
function isComparison({ fields }: TreeNode): boolean {
  return fields["opresulttype"] === "16";
}

/** A number in JSON has up to 131,072 digits as a text, whatever it takes as a constant. */
function isLongJson(node: TreeNode): boolean {
  const { kind, fields } = node;
  if (kind !== "CONST" || fields["consttype"] !== jsonb) return false;
  return (fields["constvalue"] as readonly string[]).length > emptyJsonBytes;
}
