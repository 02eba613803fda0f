import { allOf, anyOf, type Comparison, not, type QueryNode } from "./ast.ts";
import { type ConditionField, compares, equalsText, hasValue } from "./conditions.ts";
import { unescaped } from "./tokens.ts";

/** Longer than any list a person writes, so that looking for its end is cheap. */
const maxListLength = 2000;

/**
 * `(a OR "b c" OR d*)` behind `field:`: each value is a condition on the field, joined as in a query (OR, AND, NOT,
 * `-`; side by side is AND). Undefined when the parenthesis at `start` begins no such list; lists do not nest.
 */
export function parseList(
  text: string,
  start: number,
  field: ConditionField,
): { readonly node: QueryNode; readonly end: number } | undefined {
  const piece = /\s*(?:(\))|(OR|AND|NOT)(?=[\s)])|(-?)(?:"((?:[^"\\]|\\["\\])*)"(?=[\s)])|([^\s()"]+)))/y;
  const alternatives: QueryNode[][] = [[]];
  let negated = false;
  /** After OR, AND, NOT or the opening: a value has to come. */
  let expecting = true;
  piece.lastIndex = start + 1;
  while (piece.lastIndex - start < maxListLength) {
    const match = piece.exec(text);
    if (!match) return undefined;
    const [, close, keyword, minus, quoted, word] = match;
    if (close) {
      if (expecting) return undefined;
      return { node: anyOf(alternatives.map(allOf)), end: piece.lastIndex };
    }
    if (keyword === "NOT") {
      negated = !negated;
      expecting = true;
    } else if (keyword) {
      if (expecting) return undefined;
      if (keyword === "OR") alternatives.push([]);
      expecting = true;
    } else {
      const value = quoted === undefined ? wordValue(field, word as string) : equalsText(field, unescaped(quoted));
      alternatives.at(-1)?.push(negated !== (minus === "-") ? not(value) : value);
      negated = false;
      expecting = false;
    }
  }
  return undefined;
}

function wordValue(field: ConditionField, word: string): QueryNode {
  const comparison = /^([<>]=?)(.+)$/s.exec(word);
  return comparison ? compares(field, comparison[1] as Comparison, comparison[2] as string) : hasValue(field, word);
}
