import { parseLevel } from "../levels.ts";
import type { QueryNode } from "./ast.ts";
import type { Token } from "./tokens.ts";

const sourceFile =
  /\.(?:java|kt|scala|groovy|clj|py|rb|go|rs|js|jsx|mjs|cjs|ts|tsx|c|cc|cpp|cxx|h|hpp|cs|fs|php|pl|pm|lua|swift|m|mm|ex|exs|erl|hs|dart|vue|sql|sh)$/;

/** Whether the colon in `name:value` is only a colon, whatever the name. The value is not empty. */
export function isOnlyColon(value: string): boolean {
  if (value.startsWith(":") || value.startsWith("//")) return true; // foo::bar, http://
  return /^[>\])},;[{(<"]|[,;]$/.test(value); // as in a sentence; a range, a list or a quoted value was read before
}

/** Whether `name:value` is nothing that an attribute would be asked for. */
export function isNoAttribute(name: string, value: string): boolean {
  if (name.length === 1 && /^[\\/]/.test(value)) return true; // C:\temp
  if (/[\])}>"']$/.test(value)) return true; // pid:123]
  if (sourceFile.test(name) && /^\d/.test(value)) return true; // Main.java:42
  return name === name.toUpperCase() && parseLevel(name) !== undefined; // ERROR:root
}

/**
 * Whether the query may be a line out of a log rather than something typed, so that besides its reading as a query
 * the text as it stands is an answer too. Only asked when the reading could miss the very line it came from.
 */
export function mayBePasted(text: string, tokens: readonly Token[]): boolean {
  if (/[\t\n\r]/.test(text)) return true;
  const terms = tokens.filter((token) => token.kind === "term");
  const words = terms.filter(({ deliberate }) => !deliberate).map(({ start, end }) => text.slice(start, end));
  if (words.some((word) => /\d\d?:\d\d:\d\d|\d{4}[-/]\d\d[-/]\d\d|^[{}\]]|:\/\//.test(word))) return true;
  if (words.length < terms.length) return false;
  return words.length >= 3 || words.some((word) => /[[\]{}()=|<>\\]|[,;:.]$/.test(word));
}

/** Whether a message that holds the query's own text passes for certain. */
export function isPlain(node: QueryNode): boolean {
  if (node.kind === "and") return node.nodes.every(isPlain);
  if (node.kind === "or") return node.nodes.some(isPlain);
  return node.kind === "text" || node.kind === "everything";
}
