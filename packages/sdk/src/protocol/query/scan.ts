import { resolveField } from "../fields.ts";
import type { QueryWarning } from "../resources.ts";
import { anyOf, type Comparison, type QueryNode } from "./ast.ts";
import {
  type ConditionField,
  compares,
  containsText,
  containsWord,
  equalsText,
  hasValue,
  isBetween,
  matchesExpression,
} from "./conditions.ts";
import { parseList } from "./list.ts";
import { isNoAttribute, isOnlyColon } from "./pasted.ts";
import { parseRegex } from "./regex.ts";
import { type Term, type Token, textToken, unescaped } from "./tokens.ts";

/** Parentheses inside parentheses; deeper ones are text. */
const maxNesting = 50;
/** Words and conditions; the rest of the query is one text. */
const maxTerms = 250;
/** More would not be read; nothing is left out of the query for it. */
const maxWarnings = 20;

const whitespace = /\s/;

/** A word or condition and where it ends; undefined when there is none of that kind. */
type Found = { readonly term: Omit<Term, "kind" | "negated">; readonly end: number } | undefined;

/** Cuts a query into tokens. Never fails: what is no syntax is text, and says so in `warnings`. */
export class Scanner {
  readonly warnings: QueryWarning[] = [];
  readonly #text: string;
  readonly #tokens: Token[] = [];
  /** Places in `#tokens` of the parentheses that are open. */
  readonly #open: number[] = [];
  #terms = 0;

  constructor(text: string) {
    this.#text = text;
  }

  scan(): readonly Token[] {
    let place = 0;
    while (place < this.#text.length) {
      if (whitespace.test(this.#text[place] as string)) place += 1;
      else place = this.#terms < maxTerms ? this.#token(place) : this.#rest(place);
    }
    for (const index of this.#open) this.#takeAsText(index, "This parenthesis is not closed");
    return this.#tokens;
  }

  warn(message: string, start: number, end: number): void {
    if (this.warnings.length < maxWarnings) this.warnings.push({ message, start, end });
  }

  /** Reads one token; the answer is where the next begins. */
  #token(start: number): number {
    const keyword = /(AND|OR|NOT)(?=[\s()]|$)/y;
    keyword.lastIndex = start;
    const word = keyword.exec(this.#text)?.[1];
    if (word) return this.#push({ kind: word.toLowerCase() as "and" | "or" | "not", start, end: start + word.length });
    if (this.#text[start] === ")" && this.#open.length > 0) return this.#close(start);

    const negated = /^-[^\s\->=)|,;:]/.test(this.#text.slice(start, start + 2));
    const place = negated ? start + 1 : start;
    if (this.#text[place] === "(" && this.#open.length < maxNesting) {
      this.#open.push(this.#tokens.length);
      return this.#push({ kind: "open", negated, start, end: place + 1 });
    }
    const { term, end } = this.#phrase(place) ?? this.#regex(place) ?? this.#condition(place) ?? this.#word(place);
    this.#terms += 1;
    return this.#push({ kind: "term", negated, start, end, ...term });
  }

  #push(token: Token): number {
    this.#tokens.push(token);
    return token.end;
  }

  #close(start: number): number {
    const opened = this.#open.pop() as number;
    if (opened === this.#tokens.length - 1) {
      this.#takeAsText(opened, "There is nothing between these parentheses", start + 1);
      return start + 1;
    }
    return this.#push({ kind: "close", start, end: start + 1 });
  }

  /** Makes text of a token that turned out to be no syntax. */
  #takeAsText(index: number, why: string, end = this.#tokens[index]?.end as number): void {
    const { start } = this.#tokens[index] as Token;
    this.#tokens[index] = textToken(this.#text, start, end);
    this.warn(`${why}; taken as text.`, start, end);
  }

  #rest(start: number): number {
    const end = this.#text.trimEnd().length;
    this.warn(`Only ${maxTerms} words and conditions are read; the rest is taken as one text.`, start, end);
    this.#push(textToken(this.#text, start, end));
    return this.#text.length;
  }

  #phrase(start: number): Found {
    const quoted = this.#quoted(start);
    if (!quoted) {
      const isQuote = this.#text[start] === '"';
      if (isQuote) this.warn("This quote is not a phrase of its own; taken as text.", start, start + 1);
      return undefined;
    }
    const { value, end } = quoted;
    if (value === "") return undefined; // Two quotes in a log line are two quotes.
    const raw = this.#text.slice(start, end);
    // A quote inside quotes may also be a piece of JSON, as it stands in a message.
    const node = raw === `"${value}"` ? containsText(value) : anyOf([containsText(value), containsText(raw)]);
    return { term: { node, deliberate: false }, end };
  }

  #regex(start: number): Found {
    const expression = this.#expression(start);
    if (!expression) return undefined;
    const node = { kind: "regex", regex: expression.regex, scope: "entry" } as const;
    return { term: { node, deliberate: true }, end: expression.end };
  }

  #word(start: number): Exclude<Found, undefined> {
    const end = this.#runEnd(start);
    const word = this.#text.slice(start, end);
    if (word === ")") this.warn("This parenthesis was not opened; taken as text.", start, end);
    return { term: { node: containsWord(word), deliberate: false }, end };
  }

  /** `name:value` in all its forms, or undefined when the colon is only a colon. */
  #condition(start: number): Found {
    const condition = readName(this.#text, start);
    if (!condition) return undefined;
    const { name, field, marked, end: place } = condition;
    const isAttribute = field !== "level" && "attribute" in field;
    const certain = marked || !isAttribute;
    const next = this.#text[place];
    if (next === undefined || whitespace.test(next)) {
      if (certain) this.warn("A value has to follow the colon at once; taken as text.", start, place);
      return undefined;
    }
    const typed = this.#typedValue(field, place);
    if (typed) return { term: { node: typed.node, deliberate: true }, end: typed.end };

    const end = this.#runEnd(place);
    const value = this.#text.slice(place, end);
    if (value === "" || (!marked && isOnlyColon(value)) || (!certain && isNoAttribute(name, value))) return undefined;
    if (field === "level") this.#checkLevel(value, place, end);
    if (isAttribute && isTimestampName(name)) {
      this.warn("The time is chosen with the window of the query, not in it; taken as an attribute.", start, end);
    }
    const node = hasValue(field, value);
    if (certain || value === "*") return { term: { node, deliberate: true }, end };
    // `libc6:amd64` may as well be a word.
    return { term: { node: anyOf([node, containsWord(this.#text.slice(start, end))]), deliberate: false }, end };
  }

  /** The forms of a value that show that a condition is meant. */
  #typedValue(field: ConditionField, start: number): { readonly node: QueryNode; readonly end: number } | undefined {
    const quoted = this.#quoted(start);
    if (quoted) return { node: equalsText(field, quoted.value), end: quoted.end };
    const expression = this.#expression(start);
    if (expression) return { node: matchesExpression(field, expression.regex), end: expression.end };
    switch (this.#text[start]) {
      case "(": {
        const list = parseList(this.#text, start, field);
        if (list && this.#isBoundary(list.end)) return list;
        this.warn("This is no list (a OR b); taken as text.", start, this.#runEnd(start));
        return undefined;
      }
      case "[":
      case "{":
        return this.#range(field, start);
      case "<":
      case ">":
        return this.#comparison(field, start);
      default:
        return undefined;
    }
  }

  #comparison(field: ConditionField, start: number): { readonly node: QueryNode; readonly end: number } | undefined {
    const operator = (/^[<>]=?/.exec(this.#text.slice(start, start + 2)) as RegExpExecArray)[0] as Comparison;
    const place = start + operator.length;
    const quoted = this.#quoted(place);
    const end = quoted?.end ?? this.#runEnd(place);
    const value = quoted?.value ?? this.#text.slice(place, end);
    if (value === "" || (!quoted && /^[<>=]|[>,;]$/.test(value))) return undefined;
    if (field === "level") this.#checkLevel(value, place, end);
    return { node: compares(field, operator, value), end };
  }

  #range(field: ConditionField, start: number): { readonly node: QueryNode; readonly end: number } | undefined {
    const range = /([[{])\s*("(?:[^"\\]|\\.)*"|[^\s"\]}]+)\s+TO\s+("(?:[^"\\]|\\.)*"|[^\s"\]}]+)\s*([\]}])/y;
    range.lastIndex = start;
    const match = range.exec(this.#text);
    const end = range.lastIndex;
    if (!match || !this.#isBoundary(end)) {
      this.warn("This is no range [a TO b]; taken as text.", start, this.#runEnd(start));
      return undefined;
    }
    const [, opening, from, to, closing] = match as unknown as readonly [string, string, string, string, string];
    const node = isBetween(
      field,
      from === "*" ? undefined : { operator: opening === "[" ? ">=" : ">", value: unquoted(from) },
      to === "*" ? undefined : { operator: closing === "]" ? "<=" : "<", value: unquoted(to) },
    );
    return { node, end };
  }

  #checkLevel(value: string, start: number, end: number): void {
    const node = hasValue("level", value);
    const known = node.kind === "level" ? node.ranks.length > 0 : node.kind === "everything";
    if (!known) this.warn("This is no level: trace debug info warn error fatal.", start, end);
  }

  /** A quoted text that stands for itself: closed, and not stuck to what follows. */
  #quoted(start: number) {
    const quoted = /"([^"\\]*(?:\\[\s\S][^"\\]*)*)"/y;
    quoted.lastIndex = start;
    const inside = this.#text[start] === '"' ? quoted.exec(this.#text)?.[1] : undefined;
    if (inside === undefined || !this.#isBoundary(quoted.lastIndex)) return undefined;
    return { value: unescaped(inside), escaped: /\\["\\]/.test(inside), end: quoted.lastIndex };
  }

  /** `/…/` as a word of its own; a path is none, since another slash or a letter follows. */
  #expression(start: number) {
    const between = /\/((?:[^/\\\s]|\\[^\n])(?:[^/\\\n]|\\[^\n])*)\//y;
    between.lastIndex = start;
    const source = this.#text[start] === "/" ? between.exec(this.#text)?.[1] : undefined;
    const end = between.lastIndex;
    if (source === undefined || !this.#isBoundary(end)) return undefined;
    const regex = parseRegex(source);
    if (!("refused" in regex)) return { regex, end };
    this.warn(`This expression ${regex.refused}; taken as text.`, start, end);
    return undefined;
  }

  /** What ends by itself, a quote or a bracket, has to be followed by nothing, a space, or the `)` of a group. */
  #isBoundary(place: number): boolean {
    const next = this.#text[place];
    return next === undefined || whitespace.test(next) || (next === ")" && this.#open.length > 0);
  }

  /** The end of a run without spaces. A `)` ends it when it closes a group, and not one of the run's own. */
  #runEnd(start: number): number {
    let own = 0;
    for (let place = start; place < this.#text.length; place++) {
      const character = this.#text[place] as string;
      if (whitespace.test(character)) return place;
      if (character === "(") own += 1;
      if (character === ")") {
        if (own === 0 && this.#open.length > 0) return place;
        own = Math.max(0, own - 1);
      }
    }
    return this.#text.length;
  }
}

interface Condition {
  readonly name: string;
  readonly field: ConditionField;
  /** Written with `@` or `attributes.`: an attribute, whatever it is called and whatever follows. */
  readonly marked: boolean;
  /** Behind the colon. */
  readonly end: number;
}

function readName(text: string, start: number): Condition | undefined {
  const pattern = /@"([^"\\]*(?:\\[\s\S][^"\\]*)*)":|@([^\s:"()]+):|([\p{L}_](?:[\p{L}\p{N}_.$-]*[\p{L}\p{N}_])?):/uy;
  pattern.lastIndex = start;
  const match = pattern.exec(text);
  if (!match) return undefined;
  const end = pattern.lastIndex;
  const [, quoted, marked, bare] = match;
  if (bare !== undefined) return { name: bare, field: resolveField(bare), marked: bare.startsWith("attributes."), end };
  const name = quoted === undefined ? (marked as string) : unescaped(quoted);
  return { name, field: { attribute: name }, marked: true, end };
}

function isTimestampName(name: string): boolean {
  return name === "timestamp" || name === "@timestamp" || name === "_time";
}

function unquoted(text: string): string {
  return text.startsWith('"') ? unescaped(text.slice(1, -1)) : text;
}
