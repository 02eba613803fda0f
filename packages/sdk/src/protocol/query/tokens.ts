import type { QueryNode } from "./ast.ts";
import { containsText } from "./conditions.ts";

/** A piece of a query and where it stands. */
export type Token = {
  readonly start: number;
  readonly end: number;
} & (
  | Term
  | { readonly kind: "open"; readonly negated: boolean }
  | { readonly kind: "close" }
  | { readonly kind: "and" | "or" | "not" }
);

export interface Term {
  readonly kind: "term";
  readonly node: QueryNode;
  readonly negated: boolean;
  /** Written the way only a query is: `level:error`, `size:>5`, `@user:42`; plain words and `user:42` are not. */
  readonly deliberate: boolean;
}

/** A stretch of the query as text: nothing in it is special. */
export function textToken(text: string, start: number, end: number): Token & Term {
  return { kind: "term", node: containsText(text.slice(start, end)), negated: false, deliberate: false, start, end };
}

/** Inside quotes, `\"` is a quote and `\\` a backslash; any other backslash is itself. */
export function unescaped(text: string): string {
  return text.replace(/\\(["\\])/g, "$1");
}
