import { allOf, anyOf, everything, type QueryNode, type TextPattern } from "@sazabi/sdk/protocol";
import { hasOtherForms } from "../like-pattern.ts";

/** What a database looks for in time that hardly depends on the text. */
const maxConditions = 16;
const maxTextLength = 32;
const maxRuns = 2;

/**
 * A condition for the store that holds at least where the query holds. It leaves out what a store may take long for:
 * regular expressions, wildcards in numbers, many conditions. The rest is evaluated here, where steps are counted.
 */
export function storeFilter(query: QueryNode): QueryNode {
  const filter = widened(query);
  return conditionsOf(filter) > maxConditions ? everything : filter;
}

function widened(node: QueryNode): QueryNode {
  switch (node.kind) {
    case "everything":
    case "level":
      return node;
    case "and":
      return allOf(node.nodes.map(widened));
    case "or":
      return node.nodes.length === 0 ? node : anyOf(node.nodes.map(widened));
    case "not":
      return isCheap(node.node) ? node : everything;
    case "text":
      return isCheap(node) ? node : allOf(literalsOf(node.pattern).map((text) => ({ ...node, pattern: [text] })));
    case "regex":
      return everything;
    case "field":
      return isCheap(node) ? node : everything;
  }
}

/** Of a long text the beginning is looked for. */
function literalsOf(pattern: TextPattern): readonly string[] {
  return pattern.flatMap((part) => (typeof part === "string" ? [part.slice(0, maxTextLength)] : [])).filter(isPlain);
}

function isCheap(node: QueryNode): boolean {
  switch (node.kind) {
    case "everything":
    case "level":
      return true;
    case "and":
    case "or":
      return node.nodes.every(isCheap);
    case "not":
      return isCheap(node.node);
    case "text":
      return isCheapPattern(node.pattern);
    case "regex":
      return false;
    case "field":
      if (node.test.kind === "regex") return false;
      return node.test.kind !== "matches" || isCheapPattern(node.test.pattern);
  }
}

function isCheapPattern(pattern: TextPattern): boolean {
  const texts = pattern.filter((part) => typeof part === "string");
  return pattern.length - texts.length <= maxRuns && texts.join("").length <= maxTextLength && texts.every(isPlain);
}

/** The stores take a regular expression for other letters. Half a character is none. */
function isPlain(text: string): boolean {
  return !Array.from(text).some((character) => hasOtherForms(character) || /\p{Surrogate}/u.test(character));
}

function conditionsOf(node: QueryNode): number {
  if (node.kind === "and" || node.kind === "or") return node.nodes.reduce((sum, part) => sum + conditionsOf(part), 0);
  return node.kind === "not" ? conditionsOf(node.node) : 1;
}
