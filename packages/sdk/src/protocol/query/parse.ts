import type { QueryWarning } from "../resources.ts";
import { allOf, anyOf, not, type QueryNode } from "./ast.ts";
import { containsText } from "./conditions.ts";
import { habitWarnings } from "./habits.ts";
import { isPlain, mayBePasted } from "./pasted.ts";
import { Scanner } from "./scan.ts";
import { sanitizeText } from "./text.ts";
import { type Token, textToken } from "./tokens.ts";

export interface ParsedQuery {
  readonly ast: QueryNode;
  /** Places that were not read as syntax, at most 20. */
  readonly warnings: readonly QueryWarning[];
}

/**
 * Reads a query (docs/query-language.md). Every text is one: what is no syntax is taken as text, with a warning.
 * Takes time proportional to the text, and any length; a service bounds it before.
 */
export function parseQuery(query: string): ParsedQuery {
  const text = sanitizeText(query);
  const scanner = new Scanner(text);
  const tokens = withoutLooseKeywords(scanner, text);
  for (const { message, start, end } of habitWarnings(text, tokens)) scanner.warn(message, start, end);
  const ast = new Parser(tokens).parse();
  const line = text.trim();
  if (isPlain(ast) || !mayBePasted(line, tokens)) return { ast, warnings: scanner.warnings };
  return { ast: anyOf([ast, containsText(line)]), warnings: scanner.warnings };
}

/** AND, OR and NOT are text where there is nothing for them to join. */
function withoutLooseKeywords(scanner: Scanner, text: string): readonly Token[] {
  const tokens = [...scanner.scan()];
  let followed = false;
  for (let place = tokens.length - 1; place >= 0; place--) {
    const token = tokens[place] as Token;
    if (token.kind === "term" || token.kind === "open") followed = true;
    else if (token.kind === "close") followed = false;
    else {
      const before = tokens[place - 1]?.kind;
      const joins: boolean = followed && (token.kind === "not" || before === "term" || before === "close");
      if (!joins) {
        const { start, end } = token;
        const keyword = text.slice(start, end);
        scanner.warn(`There is nothing for this ${keyword} to apply to; taken as text.`, start, end);
        tokens[place] = textToken(text, start, end);
      }
      followed = !joins || token.kind === "not";
    }
  }
  return tokens;
}

/**
 * query → and-part (OR and-part)*
 * and-part → operand (AND? operand)*
 * operand → NOT* (term | "(" query ")")
 *
 * The tokens are already sound: parentheses are balanced, nested 50 deep at most, and each keyword has operands.
 */
class Parser {
  readonly #tokens: readonly Token[];
  #place = 0;

  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens;
  }

  parse(): QueryNode {
    return this.#tokens.length === 0 ? allOf([]) : this.#alternatives();
  }

  #alternatives(): QueryNode {
    const nodes = [this.#conjunction()];
    while (this.#kind() === "or") {
      this.#place += 1;
      nodes.push(this.#conjunction());
    }
    return anyOf(nodes);
  }

  #conjunction(): QueryNode {
    const nodes: QueryNode[] = [];
    for (let kind = this.#kind(); kind !== undefined && kind !== "or" && kind !== "close"; kind = this.#kind()) {
      if (kind === "and") this.#place += 1;
      nodes.push(this.#operand());
    }
    return allOf(nodes);
  }

  #operand(): QueryNode {
    let negated = false;
    for (; this.#kind() === "not"; this.#place += 1) negated = !negated;
    const token = this.#tokens[this.#place++];
    if (token?.kind === "term") return negated !== token.negated ? not(token.node) : token.node;
    // A group: whatever else could stand here was made text before.
    const node = this.#alternatives();
    this.#place += 1;
    const opened = token?.kind === "open" && token.negated;
    return negated !== opened ? not(node) : node;
  }

  #kind(): Token["kind"] | undefined {
    return this.#tokens[this.#place]?.kind;
  }
}
