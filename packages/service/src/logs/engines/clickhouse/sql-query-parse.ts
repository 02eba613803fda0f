import { fault, type Token, tokensOf } from "./sql-query-tokens.ts";

/*
 * The SQL that a native query may be written in, when logs are in ClickHouse: a part of PostgreSQL's language, read by a
 * parser of our own. What it does not know, it refuses; nothing of the author's text goes any further than this file.
 */

export type Expression =
  | { readonly is: "text"; readonly value: string; readonly at: number }
  | { readonly is: "number"; readonly value: string; readonly at: number }
  | { readonly is: "boolean"; readonly value: boolean }
  | { readonly is: "null" }
  | { readonly is: "interval"; readonly micros: number }
  | { readonly is: "column"; readonly table: string | undefined; readonly name: string; readonly at: number }
  | { readonly is: "call"; readonly name: string; readonly args: readonly Expression[]; readonly at: number }
  | Aggregate
  | { readonly is: "not" | "minus"; readonly of: Expression; readonly at: number }
  | { readonly is: "and" | "or"; readonly of: readonly Expression[] }
  | {
      readonly is: "operation";
      readonly sign: string;
      readonly left: Expression;
      readonly right: Expression;
      readonly at: number;
    }
  | { readonly is: "isNull"; readonly of: Expression }
  | { readonly is: "among"; readonly of: Expression; readonly values: readonly Expression[]; readonly at: number }
  | {
      readonly is: "between";
      readonly of: Expression;
      readonly from: Expression;
      readonly to: Expression;
      readonly at: number;
    }
  | {
      readonly is: "case";
      readonly whens: readonly (readonly [when: Expression, then: Expression])[];
      readonly otherwise: Expression;
      readonly at: number;
    }
  | { readonly is: "cast"; readonly of: Expression; readonly type: string; readonly at: number };

export interface Aggregate {
  readonly is: "aggregate";
  readonly name: string;
  /** Undefined for `count(*)`. */
  readonly of: Expression | undefined;
  readonly distinct: boolean;
  readonly filter: Expression | undefined;
  /** Of `percentile_cont`. */
  readonly fraction?: number;
  readonly at: number;
}

export interface Item {
  readonly value: Expression;
  readonly name: string;
}

interface Order {
  readonly by: Expression;
  readonly descending: boolean;
  readonly nullsFirst: boolean;
}

export interface Select {
  readonly distinct: boolean;
  readonly items: readonly (Item | "everything")[];
  readonly from: Source | undefined;
  readonly where: Expression | undefined;
  readonly groupBy: readonly Expression[];
  readonly having: Expression | undefined;
  readonly orderBy: readonly Order[];
  readonly limit: number | undefined;
  readonly offset: number | undefined;
}

export interface Source {
  /** The entries, or another query. */
  readonly of: "logs" | Select;
  readonly alias: string;
}

const aggregates = new Set("count sum avg min max bool_and bool_or every percentile_cont".split(" "));

/** Expressions and queries in each other. */
const maxDepth = 40;
/** Those that `with` names are counted wherever they are used. */
const maxQueries = 8;
/** Of two values each. In a row they are as deep as they are many. */
const maxOperations = 250;

/** Reads one `select`. Throws a `NativeFault` for everything else. */
export function parseNative(query: string): Select {
  const parser = new Parser(tokensOf(query));
  return parser.whole();
}

const reserved = new Set(
  (
    "select distinct from where group by having order limit offset with as and or not in like ilike between is null true false " +
    "case when then else end cast union intersect except join inner left right full cross natural on using window for fetch into " +
    "asc desc nulls all any some exists array row over filter within lateral tablesample values table settings format prewhere"
  ).split(" "),
);
/** Names of functions that are words of the language too. */
const functionWords = new Set(["left", "right"]);

class Parser {
  readonly #tokens: readonly Token[];
  readonly #named = new Map<string, { readonly query: Select; readonly queries: number }>();
  #place = 0;
  #depth = 0;
  #queries = 0;
  #cases = 0;
  #operations = 0;

  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens;
  }

  whole(): Select {
    if (this.#takeWord("with")) this.#namedQueries();
    const query = this.#select();
    this.#take(";");
    if (this.#peek.kind !== "end") throw this.#unexpected();
    return query;
  }

  get #peek(): Token {
    return this.#tokens[this.#place] as Token;
  }

  #next(): Token {
    const token = this.#peek;
    if (token.kind !== "end") this.#place += 1;
    return token;
  }

  #unexpected(): Error {
    const { kind, text, at } = this.#peek;
    if (kind === "end") return fault("it ends too early", at);
    return fault(`there is something that a native query may not use: ${text.slice(0, 40)}`, at);
  }

  #take(sign: string): boolean {
    if (this.#peek.kind !== "sign" || this.#peek.text !== sign) return false;
    this.#place += 1;
    return true;
  }

  #need(sign: string): void {
    if (!this.#take(sign)) throw this.#unexpected();
  }

  #isWord(word: string, ahead = 0): boolean {
    const token = this.#tokens[this.#place + ahead];
    return token?.kind === "name" && token.text === word;
  }

  #takeWord(...words: readonly string[]): boolean {
    if (!words.every((word, ahead) => this.#isWord(word, ahead))) return false;
    this.#place += words.length;
    return true;
  }

  #needWord(...words: readonly string[]): void {
    if (!this.#takeWord(...words)) throw this.#unexpected();
  }

  #deeper<T>(read: () => T): T {
    if (this.#depth === maxDepth) throw fault(`it is nested more than ${maxDepth} deep`, this.#peek.at);
    this.#depth += 1;
    try {
      return read();
    } finally {
      this.#depth -= 1;
    }
  }

  #countQueries(count: number): void {
    this.#queries += count;
    if (this.#queries > maxQueries) throw fault(`it holds more than ${maxQueries} queries`, this.#peek.at);
  }

  #namedQueries(): void {
    do {
      const name = this.#name();
      if (name === "logs" || this.#named.has(name)) throw fault(`the name ${name} is taken`);
      this.#needWord("as");
      this.#need("(");
      const before = this.#queries;
      const query = this.#select();
      this.#need(")");
      this.#named.set(name, { query, queries: this.#queries - before });
      this.#queries = before;
    } while (this.#take(","));
  }

  #name(): string {
    const token = this.#peek;
    const isName = token.kind === "quoted" || (token.kind === "name" && !reserved.has(token.text));
    if (!isName) throw this.#unexpected();
    if (token.text.length > 63) throw fault("a name is longer than 63 characters", token.at);
    return this.#next().text;
  }

  #select(): Select {
    return this.#deeper(() => {
      this.#countQueries(1);
      this.#needWord("select");
      const distinct = this.#takeWord("distinct");
      const items = this.#list(() => this.#item());
      const from = this.#takeWord("from") ? this.#source() : undefined;
      const where = this.#takeWord("where") ? this.#expression() : undefined;
      const groupBy = this.#takeWord("group", "by") ? this.#list(() => this.#expression()) : [];
      const having = this.#takeWord("having") ? this.#expression() : undefined;
      const orderBy = this.#takeWord("order", "by") ? this.#list(() => this.#order()) : [];
      let limit: number | undefined;
      let offset: number | undefined;
      for (;;) {
        if (limit === undefined && this.#takeWord("limit")) limit = this.#count();
        else if (offset === undefined && this.#takeWord("offset")) offset = this.#count();
        else break;
      }
      return { distinct, items, from, where, groupBy, having, orderBy, limit, offset };
    });
  }

  #list<T>(read: () => T): readonly T[] {
    const list = [read()];
    while (this.#take(",")) list.push(read());
    return list;
  }

  #item(): Item | "everything" {
    if (this.#take("*")) return "everything";
    const value = this.#expression();
    const isNamed = this.#takeWord("as") || this.#peek.kind === "quoted" || this.#isPlainName();
    return { value, name: isNamed ? this.#name() : expressionName(value) };
  }

  #isPlainName(): boolean {
    return this.#peek.kind === "name" && !reserved.has(this.#peek.text);
  }

  #source(): Source {
    const { at } = this.#peek;
    if (this.#take("(")) {
      const of = this.#select();
      this.#need(")");
      this.#takeWord("as");
      return { of, alias: this.#name() };
    }
    const name = this.#name();
    const named = this.#named.get(name);
    if (!named && name !== "logs") throw fault("it may read the table logs only", at);
    if (named) this.#countQueries(named.queries);
    const isNamed = this.#takeWord("as") || this.#isPlainName();
    return { of: named?.query ?? "logs", alias: isNamed ? this.#name() : name };
  }

  #order(): Order {
    const by = this.#expression();
    const descending = this.#takeWord("desc");
    if (!descending) this.#takeWord("asc");
    if (!this.#takeWord("nulls")) return { by, descending, nullsFirst: descending };
    const nullsFirst = this.#takeWord("first");
    if (!nullsFirst) this.#needWord("last");
    return { by, descending, nullsFirst };
  }

  /** Of `limit` and `offset`. */
  #count(): number {
    const { kind, text } = this.#peek;
    if (kind !== "number" || !/^\d{1,15}$/.test(text)) throw this.#unexpected();
    return Number(this.#next().text);
  }

  #expression(): Expression {
    return this.#deeper(() => this.#joined("or", () => this.#joined("and", () => this.#negation())));
  }

  #joined(word: "and" | "or", operand: () => Expression): Expression {
    const of = [operand()];
    while (this.#takeWord(word)) {
      this.#countOperation();
      of.push(operand());
    }
    return of.length === 1 ? (of[0] as Expression) : { is: word, of };
  }

  #countOperation(): void {
    this.#operations += 1;
    if (this.#operations > maxOperations) {
      throw fault(`it holds more than ${maxOperations} operations`, this.#peek.at);
    }
  }

  /** Operands of signs that bind alike, from the left. */
  #chain(signs: readonly string[], operand: () => Expression): Expression {
    let left = operand();
    for (;;) {
      const { kind, text: sign, at } = this.#peek;
      if (kind !== "sign" || !signs.includes(sign)) return left;
      this.#place += 1;
      this.#countOperation();
      left = { is: "operation", sign, left, right: operand(), at };
    }
  }

  #negation(): Expression {
    const { at } = this.#peek;
    if (!this.#takeWord("not")) return this.#test();
    return { is: "not", of: this.#deeper(() => this.#negation()), at };
  }

  #test(): Expression {
    let left = this.#comparison();
    while (this.#takeWord("is")) {
      const { at } = this.#peek;
      const negated = this.#takeWord("not");
      this.#needWord("null");
      const test: Expression = { is: "isNull", of: left };
      left = negated ? { is: "not", of: test, at } : test;
    }
    return left;
  }

  /** Comparisons do not follow each other: `a < b < c` is nothing. */
  #comparison(): Expression {
    const left = this.#pattern();
    const { kind, text: sign, at } = this.#peek;
    if (kind !== "sign" || !["=", "<>", "!=", "<", "<=", ">", ">="].includes(sign)) return left;
    this.#place += 1;
    return { is: "operation", sign: sign === "!=" ? "<>" : sign, left, right: this.#pattern(), at };
  }

  /** `like`, `in` and `between`, and what is against them. */
  #pattern(): Expression {
    const left = this.#other();
    const { at } = this.#peek;
    const negated = this.#isWord("not");
    const word = this.#tokens[this.#place + (negated ? 1 : 0)];
    if (word?.kind !== "name" || !["like", "ilike", "in", "between"].includes(word.text)) return left;
    this.#place += negated ? 2 : 1;
    const found = this.#patternOf(word.text, left, at);
    return negated ? { is: "not", of: found, at } : found;
  }

  #patternOf(word: string, of: Expression, at: number): Expression {
    if (word === "in") {
      this.#need("(");
      const values = this.#list(() => this.#expression());
      this.#need(")");
      return { is: "among", of, values, at };
    }
    const right = this.#other();
    if (word !== "between") return { is: "operation", sign: word, left: of, right, at };
    this.#needWord("and");
    return { is: "between", of, from: right, to: this.#other(), at };
  }

  #other(): Expression {
    return this.#chain(["->>", "?", "@>", "~", "~*", "!~", "!~*"], () => this.#sum());
  }

  #sum(): Expression {
    return this.#chain(["+", "-"], () => this.#chain(["*", "/", "%"], () => this.#signed()));
  }

  #signed(): Expression {
    const { at } = this.#peek;
    if (this.#take("+")) return this.#deeper(() => this.#signed());
    if (this.#take("-")) return { is: "minus", of: this.#deeper(() => this.#signed()), at };
    let of = this.#primary();
    for (;;) {
      const { at } = this.#peek;
      if (!this.#take("::")) return of;
      of = { is: "cast", of, type: this.#type(), at };
    }
  }

  /** One word, but for `double precision`. Lengths are not taken. */
  #type(): string {
    const { kind, text } = this.#peek;
    if (kind !== "name") throw this.#unexpected();
    this.#next();
    if (text === "double") this.#needWord("precision");
    return text;
  }

  #primary(): Expression {
    const { kind, text, at } = this.#peek;
    if (kind === "number") return { is: "number", value: this.#next().text, at };
    if (kind === "text") return { is: "text", value: this.#next().text, at };
    if (this.#take("(")) {
      const inside = this.#expression();
      this.#need(")");
      return inside;
    }
    if (kind === "quoted") return this.#column();
    if (kind !== "name") throw this.#unexpected();
    const calls = this.#tokens[this.#place + 1]?.text === "(" && this.#tokens[this.#place + 1]?.kind === "sign";
    if (calls && (text === "cast" || text === "extract")) return this.#special(text, at);
    if (calls && aggregates.has(text)) return this.#aggregate();
    if (calls && (!reserved.has(text) || functionWords.has(text))) return this.#call();
    return this.#word(text, at) ?? this.#column();
  }

  #word(word: string, at: number): Expression | undefined {
    switch (word) {
      case "true":
      case "false":
        this.#next();
        return { is: "boolean", value: word === "true" };
      case "null":
        this.#next();
        return { is: "null" };
      case "case":
        this.#next();
        return this.#case(at);
      case "current_timestamp":
        this.#next();
        return { is: "call", name: "now", args: [], at };
      case "interval":
      case "timestamp":
      case "timestamptz":
        if (this.#tokens[this.#place + 1]?.kind !== "text") return undefined;
        this.#next();
        return this.#typed(word, this.#next().text, at);
      default:
        return undefined;
    }
  }

  #typed(type: string, value: string, at: number): Expression {
    if (type !== "interval") return { is: "cast", of: { is: "text", value, at }, type, at };
    const micros = microsOfInterval(value);
    if (micros === undefined) throw fault("an interval is written like '2 hours' or '1 day 30 minutes'", at);
    return { is: "interval", micros };
  }

  #column(): Expression {
    const { at } = this.#peek;
    const name = this.#name();
    if (!this.#take(".")) return { is: "column", table: undefined, name, at };
    return { is: "column", table: name, name: this.#name(), at };
  }

  #case(at: number): Expression {
    const before = this.#cases++;
    const of = this.#isWord("when") ? undefined : this.#expression();
    // It is compared with each value, and inside each other that would be without end.
    if (this.#cases > before + 1) throw fault("what a case compares holds another case", at);
    const whens: [Expression, Expression][] = [];
    while (this.#takeWord("when")) {
      const value = this.#expression();
      this.#needWord("then");
      const when: Expression = of ? { is: "operation", sign: "=", left: of, right: value, at } : value;
      whens.push([when, this.#expression()]);
    }
    if (whens.length === 0) throw this.#unexpected();
    const otherwise: Expression = this.#takeWord("else") ? this.#expression() : { is: "null" };
    this.#needWord("end");
    return { is: "case", whens, otherwise, at };
  }

  #special(word: string, at: number): Expression {
    this.#place += 2;
    if (word === "cast") {
      const of = this.#expression();
      this.#needWord("as");
      const type = this.#type();
      this.#need(")");
      return { is: "cast", of, type, at };
    }
    const field = this.#name();
    this.#needWord("from");
    const of = this.#expression();
    this.#need(")");
    return { is: "call", name: "date_part", args: [{ is: "text", value: field, at }, of], at };
  }

  #call(): Expression {
    const { text: name, at } = this.#next();
    this.#need("(");
    if (this.#take(")")) return { is: "call", name, args: [], at };
    const args = this.#list(() => this.#expression());
    this.#need(")");
    return { is: "call", name, args, at };
  }

  #aggregate(): Expression {
    const { text: name, at } = this.#next();
    this.#need("(");
    const distinct = this.#takeWord("distinct");
    const of = name === "count" && !distinct && this.#take("*") ? undefined : this.#expression();
    this.#need(")");
    if (name !== "percentile_cont") return { is: "aggregate", name, of, distinct, filter: this.#filter(), at };
    const fraction = of?.is === "number" ? Number(of.value) : Number.NaN;
    if (!(fraction >= 0 && fraction <= 1) || distinct) throw fault("percentile_cont takes a number from 0 to 1", at);
    this.#needWord("within", "group");
    this.#need("(");
    this.#needWord("order", "by");
    const values = this.#expression();
    this.#need(")");
    return { is: "aggregate", name, of: values, distinct, fraction, filter: this.#filter(), at };
  }

  #filter(): Expression | undefined {
    if (!this.#takeWord("filter")) return undefined;
    this.#need("(");
    this.#needWord("where");
    const filter = this.#expression();
    this.#need(")");
    return filter;
  }
}

/** What PostgreSQL calls a column without a name. */
function expressionName(value: Expression): string {
  if (value.is === "column" || value.is === "call" || value.is === "aggregate") return value.name;
  if (value.is === "case") return "case";
  return value.is === "cast" ? expressionName(value.of) : "?column?";
}

const unitMicros: Readonly<Record<string, number>> = {
  microsecond: 1,
  millisecond: 1_000,
  second: 1_000_000,
  minute: 60_000_000,
  hour: 3_600_000_000,
  day: 86_400_000_000,
  week: 7 * 86_400_000_000,
};

function microsOfInterval(text: string): number | undefined {
  const parts = text.trim().toLowerCase().split(/\s+/);
  if (parts.length === 0 || parts.length % 2 !== 0) return undefined;
  let micros = 0;
  for (let place = 0; place < parts.length; place += 2) {
    const [count = "", unit = ""] = parts.slice(place, place + 2);
    const each = unitMicros[unit.replace(/s$/, "")];
    if (!/^-?\d{1,9}(\.\d{1,6})?$/.test(count) || each === undefined) return undefined;
    micros += Math.round(Number(count) * each);
  }
  return Number.isSafeInteger(micros) ? micros : undefined;
}
