import { childrenOf, isNode, nodesIn, type TreeNode, type TreeValue } from "./parse-tree.ts";
import type { Allowed } from "./sql-query-allowed.ts";

/** What an expression takes for one row, at most. */
interface Cost {
  readonly expressions: number;
  /** In units of the longest value: what is read of the table, and what is made of it. */
  readonly weight: number;
  /** Of the weight, values that are made. */
  readonly made: number;
  readonly isLong: boolean;
}

interface QueryCost extends Omit<Cost, "made" | "isLong"> {
  readonly sortingAggregates: number;
  readonly longValues: number;
  readonly limit: number;
}

const nothing: Cost = { expressions: 0, weight: 0, made: 0, isLong: false };
/** `message` and `attributes`: the columns of `logs` that can be long. */
const longColumns = new Set(["8", "9"]);
const numeric = "1700";
const jsonb = "3802";
const texts = new Set(["25", "1042", "1043"]);
const longTypes = new Set([...texts, jsonb, numeric]);
/** They hand on one of their values, and make none. */
const passing = new Set(
  "TARGETENTRY RELABELTYPE COLLATEEXPR COLLATE COALESCEEXPR COALESCE CASEEXPR CASE CASEWHEN WHEN MINMAXEXPR MINMAX NULLIFEXPR".split(
    " ",
  ),
);
const typeFields = [
  ...["vartype", "consttype", "funcresulttype", "opresulttype", "aggtype", "wintype", "resulttype"],
  ...["casetype", "coalescetype", "minmaxtype"],
];
/** A control character in jsonb becomes six in its text. */
const jsonTextWeight = 8;
const patternBytesPerWeight = 100;

const rteKinds = { relation: "0", subquery: "1", join: "2", function: "3", values: "5", cte: "6", group: "9" } as const;

/**
 * Counts what a query can hold for one row. PostgreSQL writes an inner query out wherever its columns are used, so an
 * expression of n uses of a column that itself uses n columns is evaluated n times n times: so it is counted.
 */
export function measureCost(query: TreeNode, callables: Callables): QueryCost {
  return new Meter(callables).measure(query);
}

type Callables = Pick<Allowed, "matching" | "weights">;

class Scope {
  readonly query: TreeNode;
  readonly outer: Scope | undefined;
  readonly tables: readonly TreeNode[];

  constructor(query: TreeNode, outer: Scope | undefined) {
    this.query = query;
    this.outer = outer;
    this.tables = nodesIn(query.fields["rtable"]);
  }

  up(levels: number): Scope {
    const scope = levels === 0 ? this : this.outer?.up(levels - 1);
    if (!scope) throw new Error("A parse tree of PostgreSQL's names a query that is not there.");
    return scope;
  }
}

class Meter {
  readonly #callables: Callables;
  readonly #scopes = new Map<TreeNode, Scope>();
  readonly #wholes = new Map<TreeNode, Cost>();
  readonly #outputs = new Map<TreeNode, Cost>();
  #groupingSets = 1;
  #sortingAggregates = 0;
  #longValues = 0;
  #limit = 0;

  constructor(callables: Callables) {
    this.#callables = callables;
  }

  measure(query: TreeNode): QueryCost {
    this.#look(query);
    const { expressions, weight } = this.#whole(query, undefined);
    const sortingAggregates = this.#sortingAggregates * this.#groupingSets;
    return { expressions, weight, longValues: this.#longValues, sortingAggregates, limit: this.#limit };
  }

  /** Grouping sets, limits and sorting aggregates, wherever they are. */
  #look(node: TreeNode): void {
    const { kind, fields } = node;
    if (kind === "QUERY") {
      const sets = nodesIn(fields["groupingSets"]).reduce((product, set) => product * setsIn(set), 1);
      this.#groupingSets = Math.max(this.#groupingSets, sets);
      if (fields["limitCount"] !== "<>") {
        const limit = numberIn(fields["limitCount"]) + numberIn(fields["limitOffset"], 0);
        this.#limit = Math.max(this.#limit, limit);
      }
    }
    if (kind === "AGGREF") {
      const sorts = fields["aggkind"] !== "n" || fields["aggdistinct"] !== "<>" || fields["aggorder"] !== "<>";
      if (sorts) this.#sortingAggregates += 1;
    }
    for (const child of childrenOf(node)) this.#look(child);
  }

  #whole(query: TreeNode, outer: Scope | undefined): Cost {
    const known = this.#wholes.get(query);
    if (known) return known;
    const scope = this.#scopeOf(query, outer);
    const { fields } = query;
    const parts = ["targetList", "jointree", "havingQual", "limitOffset", "limitCount", "windowClause"];
    const ofParts = sum(parts.flatMap((part) => belowOf(fields[part])).map((node) => this.#cost(node, scope)));
    // The rows of each window hold the results of those before it.
    const windows = nodesIn(fields["windowClause"]).length;
    const own = { ...ofParts, weight: ofParts.weight * Math.max(1, windows) };
    this.#longValues = Math.max(this.#longValues, own.made);
    const inner = scope.tables.map((table) => this.#tableCost(table, scope));
    const named = nodesIn(fields["cteList"]).flatMap((cte) => belowOf(cte.fields["ctequery"]));
    const cost = sum([own, ...inner, ...named.map((cte) => this.#whole(cte, scope))]);
    this.#wholes.set(query, cost);
    return cost;
  }

  #scopeOf(query: TreeNode, outer: Scope | undefined): Scope {
    const scope = this.#scopes.get(query) ?? new Scope(query, outer);
    this.#scopes.set(query, scope);
    return scope;
  }

  #tableCost({ fields }: TreeNode, scope: Scope): Cost {
    const inner = belowOf(fields["subquery"]).map((query) => this.#whole(query, scope));
    const expressions = [...belowOf(fields["functions"]), ...belowOf(fields["values_lists"])];
    return sum([...inner, ...expressions.map((node) => this.#cost(node, scope))]);
  }

  #cost(node: TreeNode, scope: Scope): Cost {
    const { kind, fields } = node;
    if (kind === "VAR") return this.#column(fields, scope.up(Number(fields["varlevelsup"])));
    if (kind === "QUERY") return this.#whole(node, scope);
    if (kind === "SUBLINK") {
      const [query] = belowOf(fields["subselect"]) as [TreeNode];
      const tests = belowOf(fields["testexpr"]).map((test) => this.#cost(test, scope));
      const { isLong } = this.#output(this.#scopeOf(query, scope), "1");
      return { ...sum([this.#whole(query, scope), ...tests]), isLong };
    }
    return this.#made(node, sum(childrenOf(node).map((child) => this.#cost(child, scope))));
  }

  /** A node that is made of others. */
  #made(node: TreeNode, of: Cost): Cost {
    const { kind, fields } = node;
    const type = typeOf(node);
    const expressions = of.expressions + 1;
    if (passing.has(kind)) return { ...of, expressions };
    const argument = nodesIn([fields["arg"] ?? "", ...((fields["args"] as readonly TreeValue[]) ?? [])])[0];
    const argumentType = argument && typeOf(argument);
    const isLong = longTypes.has(type) && (of.isLong || (kind === "COERCEVIAIO" && argumentType === numeric));
    const id = Number(fields["funcid"] ?? fields["opno"] ?? fields["aggfnoid"] ?? fields["winfnoid"] ?? 0);
    const known = of.isLong ? this.#callables.weights.get(id) : undefined;
    const ofType = kind === "COERCEVIAIO" && argumentType === jsonb ? jsonTextWeight : 1;
    const pattern = of.isLong && this.#callables.matching.has(id) ? patternWeight(node) : 0;
    const own = (known ?? (isLong ? ofType : 0)) + pattern;
    const times = kind === "AGGREF" ? this.#groupingSets : 1;
    return { expressions, weight: of.weight + own * times, made: of.made + (isLong ? ofType * times : 0), isLong };
  }

  #column({ varno, varattno }: TreeNode["fields"], scope: Scope): Cost {
    const table = scope.tables[Number(varno) - 1];
    const place = varattno as string;
    if (!table) throw new Error("A parse tree of PostgreSQL's names a table that is not there.");
    const { fields } = table;
    switch (fields["rtekind"]) {
      case rteKinds.relation:
        return longColumns.has(place)
          ? { expressions: 1, weight: 1, made: 0, isLong: true }
          : { ...nothing, expressions: 1 };
      case rteKinds.subquery: {
        const [query] = belowOf(fields["subquery"]) as [TreeNode];
        return this.#output(this.#scopeOf(query, scope), place);
      }
      case rteKinds.join:
        return this.#listed(fields["joinaliasvars"], place, scope);
      case rteKinds.group:
        return this.#listed(fields["groupexprs"], place, scope);
      case rteKinds.cte:
        return this.#named(fields, place, scope.up(Number(fields["ctelevelsup"])));
      default: {
        // Its text comes out of values that are long, or it does not.
        const { isLong } = this.#tableCost(table, scope);
        return { expressions: 1, weight: isLong ? 1 : 0, made: isLong ? 1 : 0, isLong };
      }
    }
  }

  #listed(list: TreeValue | undefined, place: string, scope: Scope): Cost {
    const node = nodesIn(list)[Number(place) - 1];
    return node ? this.#cost(node, scope) : nothing;
  }

  #named({ ctename }: TreeNode["fields"], place: string, scope: Scope): Cost {
    const cte = nodesIn(scope.query.fields["cteList"]).find(({ fields }) => fields["ctename"] === ctename);
    const [query] = belowOf(cte?.fields["ctequery"]);
    if (!query) throw new Error("A parse tree of PostgreSQL's names a WITH that is not there.");
    return this.#output(this.#scopeOf(query, scope), place);
  }

  /** A column of a query. */
  #output(scope: Scope, place: string): Cost {
    const { fields } = scope.query;
    const entry = nodesIn(fields["targetList"]).find((target) => target.fields["resno"] === place);
    if (!entry) return nothing;
    const known = this.#outputs.get(entry);
    if (known) return known;
    // In a union each part has its say.
    const arms =
      fields["setOperations"] === "<>" ? [] : scope.tables.flatMap((table) => belowOf(table.fields["subquery"]));
    const cost =
      arms.length > 0
        ? sum(arms.map((arm) => this.#output(this.#scopeOf(arm, scope), place)))
        : this.#cost(entry, scope);
    this.#outputs.set(entry, cost);
    return cost;
  }
}

function belowOf(value: TreeValue | undefined): readonly TreeNode[] {
  if (value === undefined || typeof value === "string") return [];
  return isNode(value) ? [value] : value.flatMap((each) => belowOf(each));
}

function typeOf({ fields }: TreeNode): string {
  for (const field of typeFields) if (typeof fields[field] === "string") return fields[field];
  return "";
}

function sum(costs: readonly Cost[]): Cost {
  return costs.reduce(
    (total, { expressions, weight, made, isLong }) => ({
      expressions: total.expressions + expressions,
      weight: total.weight + weight,
      made: total.made + made,
      isLong: total.isLong || isLong,
    }),
    nothing,
  );
}

/** Its time is the length of the pattern times that of the value. */
function patternWeight({ fields }: TreeNode): number {
  const patterns = nodesIn(fields["args"]).slice(1).flatMap(constantsIn);
  const bytes = patterns.reduce(
    (total, { fields: { constvalue } }) => total + (constvalue as readonly string[]).length,
    0,
  );
  return Math.floor(bytes / patternBytesPerWeight);
}

function constantsIn(node: TreeNode): readonly TreeNode[] {
  return node.kind === "CONST" ? [node] : childrenOf(node).flatMap(constantsIn);
}

/** How many sets a ROLLUP, a CUBE or a list of sets stands for. */
function setsIn({ fields }: TreeNode): number {
  const content = fields["content"];
  const sets = nodesIn(content);
  const size = sets.length || (Array.isArray(content) ? content.filter((word) => word !== "i").length : 0);
  switch (fields["kind"]) {
    case "2":
      return size + 1;
    case "3":
      return 2 ** size;
    case "4":
      return sets.reduce((total, set) => total + setsIn(set), 0);
    default:
      return 1;
  }
}

/** Of a constant; infinite for what is none. */
function numberIn(value: TreeValue | undefined, absent = Number.POSITIVE_INFINITY): number {
  if (value === undefined || value === "<>") return absent;
  const [node] = belowOf(value);
  if (node?.kind === "FUNCEXPR") return numberIn(node.fields["args"]);
  const bytes = node?.kind === "CONST" ? (node.fields["constvalue"] as readonly string[]) : [];
  if (bytes.length === 0) return Number.POSITIVE_INFINITY;
  const read = bytes.map((byte) => BigInt(Number(byte) & 0xff));
  const number = Number(
    BigInt.asIntN(
      64,
      read.reduceRight((total, byte) => (total << 8n) | byte, 0n),
    ),
  );
  return number < 0 ? Number.POSITIVE_INFINITY : number;
}
