/** A piece of a query's text. */
export interface Token {
  readonly kind: "name" | "quoted" | "number" | "text" | "sign" | "end";
  /** Names in lower case unless they were quoted; texts without their quotes. */
  readonly text: string;
  /** Its first character in the query, from 1. */
  readonly at: number;
}

/** What is wrong with a query, for its author. */
export class NativeFault extends Error {}

export function fault(message: string, at?: number): NativeFault {
  return new NativeFault(at === undefined ? message : `${message} (at character ${at})`);
}

const blank = /(?:\s|--[^\n]*(?:\n|$)|\/\*(?:[^*]|\*(?!\/))*\*\/)+/y;
const patterns: readonly (readonly [Token["kind"], RegExp])[] = [
  ["name", /[A-Za-z_][A-Za-z0-9_]*/y],
  ["quoted", /"(?:[^"]|"")+"/y],
  ["number", /(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?/y],
  ["text", /'(?:[^']|'')*'/y],
  ["sign", /->>|::|<=|>=|<>|!=|!~\*|!~|~\*|@>|[-+*/%=<>~?(),.;]/y],
];

/** Takes a query apart, and ends with an `end`. Throws a `NativeFault` at what is no SQL of ours. */
export function tokensOf(query: string): readonly Token[] {
  const tokens: Token[] = [];
  for (let at = endOf(blank, query, 0) ?? 0; at < query.length; ) {
    const { kind, end } = tokenAt(query, at);
    tokens.push({ kind, text: meaning(kind, query.slice(at, end)), at: at + 1 });
    at = endOf(blank, query, end) ?? end;
  }
  return [...tokens, { kind: "end", text: "", at: query.length + 1 }];
}

function tokenAt(query: string, at: number): { readonly kind: Token["kind"]; readonly end: number } {
  for (const [kind, pattern] of patterns) {
    const end = endOf(pattern, query, at);
    if (end !== undefined) return { kind, end };
  }
  if (query[at] === "'" || query[at] === '"') throw fault("a quote is not closed", at + 1);
  if (query.startsWith("/*", at)) throw fault("a comment is not closed", at + 1);
  throw fault("there is a character that a native query may not use", at + 1);
}

function endOf(pattern: RegExp, query: string, at: number): number | undefined {
  pattern.lastIndex = at;
  return pattern.test(query) ? pattern.lastIndex : undefined;
}

function meaning(kind: Token["kind"], text: string): string {
  if (kind === "name") return text.toLowerCase();
  if (kind === "quoted") return text.slice(1, -1).replaceAll('""', '"');
  return kind === "text" ? text.slice(1, -1).replaceAll("''", "'") : text;
}
