import type { TreeCost } from "./sql-query-tree.ts";

/** A node of a plan, as `explain (format json)` has it. */
export interface PlanNode {
  readonly "Node Type": string;
  readonly Strategy?: string;
  readonly Plans?: readonly PlanNode[];
}

/** They hold up to `work_mem` each, and the rest in files. */
const spilling = new Set([
  ...["Sort", "Incremental Sort", "Materialize", "Material", "WindowAgg", "CTE Scan", "Function Scan", "Merge Join"],
  ...["Bitmap Index Scan", "Gather", "Gather Merge"],
]);
/** They hold whatever comes, whatever `work_mem` says. */
const hashing = new Set(["Hash", "Hash Join", "Memoize", "Recursive Union"]);
const hashed = new Set(["Hashed", "Mixed"]);
const sorts = new Set(["Sort", "Incremental Sort"]);

const totalKiB = 32 * 1024;
export const mostWorkMemKiB = 8 * 1024;
const leastKiB = 64;
/** Times 256 KiB: what a sort with a limit may hold, which PostgreSQL bounds by nothing but the limit. */
const maxLongRows = 1_000;

/** What is wrong with a plan, or the `work_mem` in KiB with which its parts together stay within bounds. */
export function checkPlan(plan: PlanNode, cost: TreeCost): string | number {
  const nodes = [...everyPlanNode(plan)];
  const holdsHash = nodes.some((node) => hashing.has(node["Node Type"]) || hashed.has(node.Strategy ?? ""));
  if (holdsHash || /hashed SubPlan/.test(JSON.stringify(plan))) {
    return "needs a table in memory; write `not in (select …)` as `not exists (select … where …)` or as a join";
  }
  const limited = nodes.some((node) => node["Node Type"] === "Limit" && [...everyPlanNode(node)].some(isSort));
  if (limited && cost.longValues * cost.limit > maxLongRows) {
    return "sorts too many long values for its limit; take a smaller limit, or fewer values of message and attributes";
  }
  const holding = nodes.filter((node) => spilling.has(node["Node Type"])).length + cost.sortingAggregates;
  const kiB = Math.floor(totalKiB / Math.max(1, holding));
  return kiB < leastKiB ? "sorts in too many places; take fewer of them" : Math.min(mostWorkMemKiB, kiB);
}

function isSort(node: PlanNode): boolean {
  return sorts.has(node["Node Type"]);
}

function* everyPlanNode(node: PlanNode): Generator<PlanNode> {
  yield node;
  for (const below of node.Plans ?? []) yield* everyPlanNode(below);
}
