import type { FieldReference } from "../fields.ts";
import { levels } from "../levels.ts";
import type { Regex } from "./regex.ts";

/**
 * What a log query asks, as plain data: a closed union that the in-memory evaluator (the reference, `evaluate`) and
 * the SQL compilers read. Aliases, levels, ranges and lists are already resolved, so a reader knows only these kinds.
 */
export type QueryNode =
  | { readonly kind: "everything" }
  | { readonly kind: "and"; readonly nodes: readonly QueryNode[] }
  | { readonly kind: "or"; readonly nodes: readonly QueryNode[] }
  | { readonly kind: "not"; readonly node: QueryNode }
  /** The pattern occurs somewhere in a text of the scope. */
  | { readonly kind: "text"; readonly pattern: TextPattern; readonly scope: TextScope }
  /** The expression matches somewhere in a text of the scope. */
  | { readonly kind: "regex"; readonly regex: Regex; readonly scope: TextScope }
  /** The level is one of these, by rank (`levels` index), ascending. None: nothing matches. */
  | { readonly kind: "level"; readonly ranks: readonly number[] }
  | { readonly kind: "field"; readonly field: FieldReference; readonly test: FieldTest };

/**
 * The texts in which a word is looked for: the message, the values of all attributes as text (null has none), or both.
 * `entry`: the message, and the attributes of an entry whose message is empty.
 */
export type TextScope = "entry" | "message" | "attributes" | "both";

/**
 * A test of one value. An absent value (no such attribute, null in a column) passes none. An attribute that is a list
 * passes as its JSON text, and also when one of its scalar elements passes; null as an element passes `equals` only.
 * - `equals`: the same text, character by character; an attribute that is a number, a boolean or null also when
 *   the text reads as that value (`500` and `5e2` equal the number 500; `true`; `null`).
 * - `matches`: the pattern covers the whole value, as text, without case.
 * - `compares`: as numbers when `value` is one (`readNumber`), and then only numbers and numeric strings can pass;
 *   as durations or byte sizes when it is one (`readAmount`), and then only strings that are of the same kind can;
 *   else as text, by code point, and then only strings can.
 * - `exists`: there is a value; null and an empty column are none.
 * - `regex`: the expression matches somewhere in the value, as text.
 */
export type FieldTest =
  | { readonly kind: "equals"; readonly value: string }
  | { readonly kind: "matches"; readonly pattern: TextPattern }
  | { readonly kind: "compares"; readonly operator: Comparison; readonly value: string }
  | { readonly kind: "exists" }
  | { readonly kind: "regex"; readonly regex: Regex };

export type Comparison = ">" | ">=" | "<" | "<=";

/** Literal text, folded (`fold`), and wildcards: any one character, or any run of characters, also an empty one. */
export type TextPattern = readonly PatternPart[];

export type PatternPart = string | { readonly any: "one" | "many" };

export const everything: QueryNode = { kind: "everything" };

/** All of the nodes: as flat as can be, without what always holds, and with one condition on the level. */
export function allOf(nodes: readonly QueryNode[]): QueryNode {
  const flat = nodes.flatMap((node) => (node.kind === "and" ? node.nodes : [node]));
  const real = mergeLevels(flat, (ranks, others) => ranks.filter((rank) => others.includes(rank))).filter(
    (node) => node.kind !== "everything",
  );
  if (real.length === 0) return everything;
  return real.length === 1 ? (real[0] as QueryNode) : { kind: "and", nodes: real };
}

/** At least one of the nodes, of which there must be one. */
export function anyOf(nodes: readonly QueryNode[]): QueryNode {
  const flat = nodes.flatMap((node) => (node.kind === "or" ? node.nodes : [node]));
  if (flat.some((node) => node.kind === "everything")) return everything;
  const real = mergeLevels(flat, (ranks, others) => [...new Set([...ranks, ...others])].sort((a, b) => a - b));
  return real.length === 1 ? (real[0] as QueryNode) : { kind: "or", nodes: real };
}

export function not(node: QueryNode): QueryNode {
  if (node.kind === "not") return node.node;
  if (node.kind === "level") {
    return { kind: "level", ranks: levels.map((_, rank) => rank).filter((rank) => !node.ranks.includes(rank)) };
  }
  return { kind: "not", node };
}

/** The same query, with its words looked for in this scope. Conditions on fields stay as they are. */
export function lookIn(query: QueryNode, scope: TextScope): QueryNode {
  switch (query.kind) {
    case "and":
    case "or":
      return { ...query, nodes: query.nodes.map((node) => lookIn(node, scope)) };
    case "not":
      return { ...query, node: lookIn(query.node, scope) };
    case "text":
    case "regex":
      return query.scope === "entry" ? { ...query, scope } : query;
    default:
      return query;
  }
}

/** One condition on the level in place of several, where the first of them stood. */
function mergeLevels(
  nodes: readonly QueryNode[],
  merge: (ranks: readonly number[], others: readonly number[]) => readonly number[],
): readonly QueryNode[] {
  const merged = nodes
    .flatMap((node) => (node.kind === "level" ? [node.ranks] : []))
    .reduce<readonly number[] | undefined>((ranks, others) => (ranks ? merge(ranks, others) : others), undefined);
  if (!merged) return nodes;
  const first = nodes.findIndex((node) => node.kind === "level");
  return nodes.flatMap((node, place): readonly QueryNode[] => {
    if (node.kind !== "level") return [node];
    return place === first ? [{ kind: "level", ranks: merged }] : [];
  });
}
