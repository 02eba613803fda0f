import { parseTimestamp } from "@sazabi/sdk/protocol";
import { encodeAttribute } from "./attributes.ts";
import { timestampLiteral } from "./reader.ts";
import type { Aggregate, Expression, Item, Select, Source } from "./sql-query-parse.ts";
import { fault, type NativeFault } from "./sql-query-tokens.ts";
import { ch, int64, joined, type Statement, verbatim } from "./statement.ts";

/*
 * A query that was read becomes a statement of ClickHouse's. Names, signs and functions in it are ours, out of the lists
 * below, and every value is a parameter. Whatever a row holds, no function of these fails on it: the server may look at
 * rows before it leaves out those of other projects, and an error or its absence would tell of them.
 */

export type Kind = "integer" | "number" | "text" | "boolean" | "timestamp" | "interval" | "attributes" | "null";

interface CompiledColumn {
  /** As the author calls it. */
  readonly name: string;
  readonly kind: Kind;
}

export interface CompiledQuery {
  /** Rows with the members `o0`, `o1` …: texts, or null; `attributes` as they are kept. */
  readonly statement: Statement;
  readonly columns: readonly CompiledColumn[];
}

interface Bounds {
  readonly columns: number;
  readonly rows: number;
  readonly cellCharacters: number;
}

/** Expressions in a statement: an alias may stand for a long one many times. */
const maxExpressions = 3_000;
/** In texts, which go along with the address of the request. */
const maxCharacters = 50_000;

/** `visible` is the condition on rows of `logs` that the query may see. Throws a `NativeFault`. */
export function compileNative(query: Select, visible: Statement, nowMicros: number, bounds: Bounds): CompiledQuery {
  const compiler = new Compiler(visible, nowMicros, bounds);
  return compiler.whole(query);
}

/** What can be named in a part of a query. */
interface Scope {
  readonly alias: string | undefined;
  readonly columns: readonly { readonly name: string; readonly kind: Kind; readonly sql: Statement }[];
}

interface Compiled {
  readonly sql: Statement;
  readonly kind: Kind;
  /** A text that was written out may be read as a value of another kind. */
  readonly literal?: string;
}

const levels = "['trace', 'debug', 'info', 'warn', 'error', 'fatal']";
/** The columns of `logs` as the author sees them, and where they come from. */
const logsColumns: readonly (readonly [name: string, kind: Kind, from: string])[] = [
  ["id", "integer", "id"],
  ["timestamp", "timestamp", "ts"],
  ["level", "text", `transform(level, [0, 1, 2, 3, 4, 5], ${levels}, 'fatal')`],
  ["service", "text", "toString(service)"],
  ["environment", "text", "CAST(environment, 'Nullable(String)')"],
  ["trace_id", "text", "trace_id"],
  ["span_id", "text", "span_id"],
  ["message", "text", "message"],
  ["attributes", "attributes", "attributes"],
];

class Compiler {
  readonly #visible: Statement;
  readonly #nowMicros: number;
  readonly #bounds: Bounds;
  #expressions = 0;
  #characters = 0;
  #selects = 0;

  constructor(visible: Statement, nowMicros: number, bounds: Bounds) {
    this.#visible = visible;
    this.#nowMicros = nowMicros;
    this.#bounds = bounds;
  }

  whole(query: Select): CompiledQuery {
    // One more than is shown tells that there are more; with a limit inside, the order stays as it was asked for.
    const limit = Math.min(query.limit ?? Number.POSITIVE_INFINITY, this.#bounds.rows + 1);
    const { sql, scope } = this.#select({ ...query, limit });
    const outputs = scope.columns.map(({ sql, kind }, place) => ch`${this.#output(sql, kind)} as ${name("o", place)}`);
    return {
      statement: ch`select ${joined(outputs, ", ")} from (${sql})`,
      columns: scope.columns.map(({ name, kind }) => ({ name, kind })),
    };
  }

  #output(sql: Statement, kind: Kind): Statement {
    if (kind === "attributes") return sql;
    if (kind === "boolean") return booleanText(sql);
    return ch`substringUTF8(toString(${sql}), 1, ${int64(this.#bounds.cellCharacters + 1)})`;
  }

  #select(query: Select): { readonly sql: Statement; readonly scope: Scope } {
    const number = this.#selects++;
    const from = query.from && this.#source(query.from);
    const scope = from?.scope ?? { alias: undefined, columns: [] };
    const items = query.items.flatMap((item): readonly Item[] => {
      if (item !== "everything") return [item];
      if (!from) throw fault("it selects * from nothing");
      return scope.columns.map(({ name }) => ({
        value: { is: "column", table: undefined, name, at: 0 },
        name,
      }));
    });
    if (items.length > this.#bounds.columns) {
      throw fault(`it has ${items.length} columns; ${this.#bounds.columns} are the most`);
    }
    const outputs = items.map(({ value, name: called }, place) => {
      const { sql, kind } = this.#value(value, scope);
      return { name: called, kind, sql: name(`s${number}c`, place), is: ch`${sql} as ${name(`s${number}c`, place)}` };
    });
    const where = query.where && this.#condition(query.where, scope, "where");
    const groups = query.groupBy.map((group) => grouped(group, items, scope));
    for (const group of groups) refuseAggregates(group, "group by");
    const groupBy = groups.map((group) => this.#value(group, scope).sql);
    const having = query.having && this.#condition(query.having, scope, "having");
    const orders = query.orderBy.map((order) => {
      const place = placeOf(order.by, items);
      return { ...order, place, sql: place === undefined ? this.#value(order.by, scope).sql : outputs[place]?.sql };
    });
    if (query.distinct && orders.some(({ place }) => place === undefined)) {
      throw fault("with distinct, order by takes the names or numbers of columns");
    }
    const values = [
      ...items.map(({ value }) => value),
      ...(query.having ? [query.having] : []),
      ...orders.flatMap(({ by, place }) => (place === undefined ? [by] : [])),
    ];
    if (groups.length > 0 || query.having || values.some(hasAggregate)) {
      const keys = new Set(groups.map(keyOf));
      for (const value of values) refuseUngrouped(value, keys);
    }
    const parts = [
      ch`select ${verbatim(query.distinct ? "distinct " : "")}${joined(
        outputs.map(({ is }) => is),
        ", ",
      )}`,
      ...(from ? [ch` from ${from.sql}`] : []),
      ...(where ? [ch` where ${where}`] : []),
      ...(groupBy.length > 0 ? [ch` group by ${joined(groupBy, ", ")}`] : []),
      ...(having ? [ch` having ${having}`] : []),
      ...(orders.length > 0 ? [ch` order by ${joined(orders.map(orderOf), ", ")}`] : []),
      ...(query.limit === undefined ? [] : [ch` limit ${int64(query.limit)}`]),
      ...(query.offset === undefined ? [] : [ch` offset ${int64(query.offset)}`]),
    ];
    return { sql: joined(parts, ""), scope: { alias: undefined, columns: outputs } };
  }

  #source({ of, alias }: Source): { readonly sql: Statement; readonly scope: Scope } {
    if (of !== "logs") {
      const { sql, scope } = this.#select(of);
      return { sql: ch`(${sql})`, scope: { alias, columns: scope.columns } };
    }
    const number = this.#selects++;
    const columns = logsColumns.map(([called, kind, from], place) => {
      const sql = name(`s${number}c`, place);
      return { name: called, kind, sql, is: ch`${verbatim(from)} as ${sql}` };
    });
    const selected = joined(
      columns.map(({ is }) => is),
      ", ",
    );
    return { sql: ch`(select ${selected} from logs where ${this.#visible})`, scope: { alias, columns } };
  }

  #condition(expression: Expression, scope: Scope, clause: "where" | "having"): Statement {
    if (clause === "where") refuseAggregates(expression, clause);
    return this.#as("boolean", expression, scope, clause);
  }

  /** An expression whose kind is known. */
  #as(kind: Kind, expression: Expression, scope: Scope, what: string): Statement {
    const compiled = this.#value(expression, scope);
    const sql = coerced(compiled, kind);
    if (!sql)
      throw fault(`${what} takes ${withArticle(kind)} and is given ${withArticle(compiled.kind)}`, placeIn(expression));
    return sql;
  }

  #value(expression: Expression, scope: Scope): Compiled {
    this.#expressions += 1;
    if (this.#expressions > maxExpressions) throw fault("it is too large for what it nests");
    switch (expression.is) {
      case "text":
        this.#characters += expression.value.length;
        if (this.#characters > maxCharacters) throw fault("it is too large for what it nests");
        return { sql: ch`${expression.value}`, kind: "text", literal: expression.value };
      case "number":
        return numberOf(expression.value, expression.at);
      case "boolean":
        return { sql: verbatim(expression.value ? "true" : "false"), kind: "boolean" };
      case "null":
        return { sql: verbatim("null"), kind: "null" };
      case "interval":
        return { sql: ch`${int64(expression.micros)}`, kind: "interval" };
      case "column":
        return columnOf(expression, scope);
      case "call":
        return this.#call(expression, scope);
      case "aggregate":
        return this.#aggregate(expression, scope);
      case "not":
        return { sql: ch`not(${this.#as("boolean", expression.of, scope, "not")})`, kind: "boolean" };
      case "and":
      case "or": {
        const operands = expression.of.map((operand) => this.#as("boolean", operand, scope, expression.is));
        return { sql: ch`(${joined(operands, ` ${expression.is} `)})`, kind: "boolean" };
      }
      case "minus":
        return this.#minus(expression.of, scope, expression.at);
      case "isNull":
        return { sql: ch`isNull(${this.#value(expression.of, scope).sql})`, kind: "boolean" };
      case "operation":
        return this.#operation(expression, scope);
      case "among":
        return this.#among(expression, scope);
      case "between":
        return this.#between(expression, scope);
      case "case":
        return this.#case(expression, scope);
      case "cast":
        return this.#cast(expression, scope);
    }
  }

  #minus(of: Expression, scope: Scope, at: number): Compiled {
    const { sql, kind } = this.#value(of, scope);
    if (kind !== "integer" && kind !== "number") throw fault(`- takes a number and is given ${withArticle(kind)}`, at);
    return { sql: ch`negate(${sql})`, kind };
  }

  #operation(operation: Extract<Expression, { is: "operation" }>, scope: Scope): Compiled {
    const { sign, left, right, at } = operation;
    switch (sign) {
      case "like":
      case "ilike":
      case "~":
      case "~*":
      case "!~":
      case "!~*":
        return this.#matches(sign, this.#as("text", left, scope, sign), right, at);
      case "->>":
      case "?":
      case "@>":
        return attributeOperation(sign, this.#as("attributes", left, scope, sign), right, at);
      case "+":
      case "-":
      case "*":
      case "/":
      case "%":
        return arithmetic(sign, this.#value(left, scope), this.#value(right, scope), at);
      default: {
        const [one, other] = alike([this.#value(left, scope), this.#value(right, scope)], sign, at).sqls;
        return { sql: ch`(${one as Statement} ${verbatim(sign)} ${other as Statement})`, kind: "boolean" };
      }
    }
  }

  #matches(sign: string, text: Statement, pattern: Expression, at: number): Compiled {
    if (pattern.is !== "text") throw fault(`${sign} takes a pattern that is written out`, at);
    const found = sign.includes("~")
      ? ch`match(${text}, ${`${sign.endsWith("*") ? "(?i)" : ""}${pattern.value}`})`
      : ch`${verbatim(sign)}(${text}, ${pattern.value})`;
    return { sql: sign.startsWith("!") ? ch`not(${found})` : found, kind: "boolean" };
  }

  #among({ of, values, at }: Extract<Expression, { is: "among" }>, scope: Scope): Compiled {
    const all = [of, ...values].map((value) => this.#value(value, scope));
    const [one, ...others] = alike(all, "in", at).sqls;
    if (values.some(({ is }) => is !== "text" && is !== "number")) {
      throw fault("in takes values that are written out", at);
    }
    return { sql: ch`(${one as Statement} in (${joined(others, ", ")}))`, kind: "boolean" };
  }

  #between({ of, from, to, at }: Extract<Expression, { is: "between" }>, scope: Scope): Compiled {
    const all = [of, from, to].map((value) => this.#value(value, scope));
    const [one, least, most] = alike(all, "between", at).sqls as [Statement, Statement, Statement];
    return { sql: ch`(${one} between ${least} and ${most})`, kind: "boolean" };
  }

  #case({ whens, otherwise, at }: Extract<Expression, { is: "case" }>, scope: Scope): Compiled {
    const conditions = whens.map(([when]) => this.#as("boolean", when, scope, "when"));
    const values = [...whens.map(([, then]) => then), otherwise].map((value) => this.#value(value, scope));
    const { sqls, kind } = alike(values, "case", at);
    const branches = conditions.map((condition, place) => ch`${condition}, ${sqls[place] as Statement}`);
    return { sql: ch`multiIf(${joined(branches, ", ")}, ${sqls.at(-1) as Statement})`, kind };
  }

  #cast({ of, type, at }: Extract<Expression, { is: "cast" }>, scope: Scope): Compiled {
    const compiled = this.#value(of, scope);
    const { sql, kind } = compiled;
    const target = Object.hasOwn(typeKinds, type) ? typeKinds[type] : undefined;
    if (!target) throw fault(`it casts to ${type}; the types are ${Object.keys(typeKinds).join(", ")}`, at);
    if (kind === "null" || kind === target) return { sql, kind };
    if (target === "text" && kind !== "attributes" && kind !== "interval") {
      return { sql: kind === "boolean" ? booleanText(sql) : ch`toString(${sql})`, kind: target };
    }
    if (target === "timestamp" && compiled.literal !== undefined) return timestampOf(compiled.literal, at);
    if (target === "integer" && kind === "text") return { sql: ch`toInt64OrNull(toString(${sql}))`, kind: target };
    if (target === "number" && kind === "text") return { sql: ch`toFloat64OrNull(toString(${sql}))`, kind: target };
    if (target === "integer" && kind === "number") {
      return { sql: ch`accurateCastOrNull(round(${sql}), 'Int64')`, kind: target };
    }
    if (target === "number" && kind === "integer") return { sql: ch`toFloat64(${sql})`, kind: target };
    throw fault(`${withArticle(kind)} cannot be cast to ${type}`, at);
  }

  #aggregate(aggregate: Aggregate, scope: Scope): Compiled {
    const { name: called, of, distinct, filter, at } = aggregate;
    for (const inner of [of, filter]) if (inner) refuseAggregates(inner, called);
    const condition = filter && this.#as("boolean", filter, scope, "filter");
    if (!of) {
      return { sql: condition ? ch`toInt64(countIf(${condition}))` : ch`toInt64(count())`, kind: "integer" };
    }
    const compiled = this.#value(of, scope);
    if (compiled.kind === "attributes" || compiled.kind === "interval") throw cannotTake(called, compiled.kind, at);
    const value = condition ? ch`if(${condition}, ${compiled.sql}, null)` : compiled.sql;
    const unique = verbatim(distinct ? "distinct " : "");
    if (called === "count") return { sql: ch`toInt64(count(${unique}${value}))`, kind: "integer" };
    const { takes, gives, make } = aggregateFunctions[called] as AggregateFunction;
    if (!takes.includes(compiled.kind)) throw cannotTake(called, compiled.kind, at);
    return { sql: make(ch`${unique}${value}`, aggregate.fraction ?? 0), kind: gives ?? compiled.kind };
  }

  #call({ name: called, args, at }: Extract<Expression, { is: "call" }>, scope: Scope): Compiled {
    if (called === "now" && args.length === 0) return { sql: timestampLiteral(this.#nowMicros), kind: "timestamp" };
    if (called === "coalesce" && args.length > 0) {
      const values = args.map((argument) => this.#value(argument, scope));
      const { sqls, kind } = alike(values, called, at);
      return { sql: ch`coalesce(${joined(sqls, ", ")})`, kind };
    }
    if (called === "nullif" && args.length === 2) {
      const values = args.map((argument) => this.#value(argument, scope));
      const { sqls, kind } = alike(values, called, at);
      return { sql: ch`nullIf(${joined(sqls, ", ")})`, kind };
    }
    if ((called === "date_trunc" || called === "date_part") && args.length === 2)
      return this.#time(called, args, scope);
    const found = Object.hasOwn(functions, called) ? functions[called] : undefined;
    if (!found) throw fault(`it calls ${called}, which a native query may not call`, at);
    if (!found.takes.some((takes) => takes.length === args.length)) {
      throw fault(`${called} takes ${found.takes.map((takes) => takes.length).join(" or ")} values`, at);
    }
    const takes = found.takes.find((takes) => takes.length === args.length) as readonly Takes[];
    const values = args.map((argument, place) => {
      const kind = takes[place] as Takes;
      if (kind === "written") return writtenInteger(argument, called, at);
      return this.#as(kind, argument, scope, called);
    });
    return { sql: found.make(values), kind: found.gives };
  }

  #time(called: string, [unit, of]: readonly Expression[], scope: Scope): Compiled {
    const time = this.#as("timestamp", of as Expression, scope, called);
    const name = unit?.is === "text" ? unit.value.toLowerCase() : "";
    const make = Object.hasOwn(timeFunctions[called] as object, name) ? timeFunctions[called]?.[name] : undefined;
    if (!make) throw fault(`${called} knows ${Object.keys(timeFunctions[called] as object).join(", ")}`);
    return { sql: make(time), kind: called === "date_trunc" ? "timestamp" : "number" };
  }
}

/** Nothing is written twice: inside each other, that would be without end. */
function booleanText(sql: Statement): Statement {
  return ch`toString(CAST(${sql}, 'Nullable(Bool)'))`;
}

/** A name of ours. */
function name(prefix: string, number: number): Statement {
  return verbatim(`${prefix}${number}`);
}

function withArticle(kind: Kind): string {
  return kind === "integer" || kind === "interval"
    ? `an ${kind}`
    : kind === "null" || kind === "attributes"
      ? kind
      : `a ${kind}`;
}

function cannotTake(called: string, kind: Kind, at: number): NativeFault {
  return fault(`${called} cannot take ${withArticle(kind)}`, at);
}

function placeIn(expression: Expression): number | undefined {
  return "at" in expression && expression.at > 0 ? expression.at : undefined;
}

function numberOf(text: string, at: number): Compiled {
  if (!/^\d+$/.test(text)) return { sql: ch`${Number(text)}`, kind: "number" };
  if (BigInt(text) > 0x7fff_ffff_ffff_ffffn) throw fault("a number is too large", at);
  return { sql: ch`${int64(text)}`, kind: "integer" };
}

function columnOf({ table, name, at }: Extract<Expression, { is: "column" }>, { alias, columns }: Scope): Compiled {
  if (table !== undefined && table !== alias) throw fault(`there is no table ${table}`, at);
  const found = columns.filter((column) => column.name === name);
  if (found.length > 1) throw fault(`there are ${found.length} columns ${name}`, at);
  const column = found[0];
  if (!column) throw fault(`there is no column ${name}`, at);
  return { sql: column.sql, kind: column.kind };
}

function timestampOf(text: string, at: number | undefined): Compiled {
  const micros = parseTimestamp(text);
  if (micros === undefined) throw fault("a time is written like '2026-11-22T09:00:00Z'", at);
  return { sql: timestampLiteral(micros), kind: "timestamp" };
}

/** The value as one of the kind, if it can stand for it without a cast. */
function coerced({ sql, kind, literal }: Compiled, wanted: Kind): Statement | undefined {
  if (kind === wanted || kind === "null") return sql;
  if (wanted === "number" && kind === "integer") return ch`toFloat64(${sql})`;
  if (literal === undefined) return undefined;
  if (wanted === "timestamp") return timestampOf(literal, undefined).sql;
  if (wanted === "integer" && /^-?\d{1,18}$/.test(literal)) return ch`${int64(literal)}`;
  if (wanted === "number" && literal.trim() !== "" && Number.isFinite(Number(literal))) return ch`${Number(literal)}`;
  return undefined;
}

/** Values of one kind. */
function alike(
  values: readonly Compiled[],
  what: string,
  at: number,
): { readonly sqls: readonly Statement[]; readonly kind: Kind } {
  const kinds = values.filter(({ kind, literal }) => kind !== "null" && literal === undefined).map(({ kind }) => kind);
  const kind = kinds.includes("number")
    ? "number"
    : (kinds[0] ?? (values.some(({ literal }) => literal !== undefined) ? "text" : "null"));
  if (kind === "attributes") throw fault(`${what} cannot take attributes; name one of them: attributes->>'name'`, at);
  const sqls = values.map((value) => {
    const sql = coerced(value, kind);
    if (!sql) throw fault(`${what} is given ${withArticle(kind)} and ${withArticle(value.kind)}`, at);
    return sql;
  });
  return { sqls, kind };
}

function arithmetic(sign: string, left: Compiled, right: Compiled, at: number): Compiled {
  if (left.kind === "timestamp" && right.kind === "interval" && (sign === "+" || sign === "-")) {
    const micros = ch`toUnixTimestamp64Micro(${left.sql}) ${verbatim(sign)} ${right.sql}`;
    return { sql: ch`fromUnixTimestamp64Micro(${micros}, 'UTC')`, kind: "timestamp" };
  }
  const { sqls, kind } = alike([left, right], sign, at);
  const [one, other] = sqls as [Statement, Statement];
  if (kind !== "integer" && kind !== "number") throw fault(`${sign} cannot take ${withArticle(kind)}`, at);
  // Nothing that a row holds may make it fail: a division by zero is null.
  if (sign === "/" && kind === "integer") return { sql: ch`intDivOrZero(${one}, nullIf(${other}, 0))`, kind };
  if (sign === "/") return { sql: ch`(${one} / nullIf(${other}, 0))`, kind };
  if (sign === "%" && kind === "number") throw fault("% takes integers", at);
  if (sign === "%") return { sql: ch`moduloOrZero(${one}, nullIf(${other}, 0))`, kind };
  return { sql: ch`(${one} ${verbatim(sign)} ${other})`, kind };
}

function attributeOperation(sign: string, attributes: Statement, right: Expression, at: number): Compiled {
  if (right.is !== "text") throw fault(`${sign} takes a text that is written out`, at);
  const { value } = right;
  if (sign === "?") return { sql: ch`mapContains(${attributes}, ${value})`, kind: "boolean" };
  if (sign === "@>") return { sql: holds(attributes, value, at), kind: "boolean" };
  // A letter for the type is in front; nothing at all when there is no such attribute.
  const encoded = ch`arrayElement(${attributes}, ${value})`;
  return { sql: ch`if(${encoded} in ('', 'z'), null, substring(${encoded}, 2))`, kind: "text" };
}

function holds(attributes: Statement, text: string, at: number): Statement {
  let wanted: unknown;
  try {
    wanted = JSON.parse(text);
  } catch {
    wanted = undefined;
  }
  const isObject = typeof wanted === "object" && wanted !== null && !Array.isArray(wanted);
  const members = isObject ? Object.entries(wanted as object) : [];
  if (!isObject || members.some(([, value]) => typeof value === "object" && value !== null)) {
    throw fault(`@> takes an object of plain values, like '{"http.status": 500}'`, at);
  }
  if (members.length === 0) return verbatim("true");
  return ch`(${joined(
    members.map(([key, value]) => ch`arrayElement(${attributes}, ${key}) = ${encodeAttribute(value)}`),
    " and ",
  )})`;
}

const typeKinds: Readonly<Record<string, Kind>> = {
  int: "integer",
  integer: "integer",
  bigint: "integer",
  int4: "integer",
  int8: "integer",
  float: "number",
  float8: "number",
  double: "number",
  real: "number",
  numeric: "number",
  text: "text",
  varchar: "text",
  timestamp: "timestamp",
  timestamptz: "timestamp",
};

interface AggregateFunction {
  readonly takes: readonly Kind[];
  /** Undefined for what it takes. */
  readonly gives?: Kind;
  readonly make: (value: Statement, fraction: number) => Statement;
}

const numbers: readonly Kind[] = ["integer", "number"];
const all: AggregateFunction = { takes: ["boolean"], make: (value) => ch`minOrNull(toUInt8(${value}))` };

const aggregateFunctions: Readonly<Record<string, AggregateFunction>> = {
  sum: { takes: numbers, make: (value) => ch`sumOrNull(${value})` },
  avg: { takes: numbers, gives: "number", make: (value) => ch`avgOrNull(${value})` },
  min: { takes: [...numbers, "text", "timestamp"], make: (value) => ch`minOrNull(${value})` },
  max: { takes: [...numbers, "text", "timestamp"], make: (value) => ch`maxOrNull(${value})` },
  bool_and: all,
  every: all,
  bool_or: { takes: ["boolean"], make: (value) => ch`maxOrNull(toUInt8(${value}))` },
  percentile_cont: {
    takes: numbers,
    gives: "number",
    make: (value, fraction) => ch`quantileExactInclusiveOrNull(${verbatim(fraction.toFixed(9))})(${value})`,
  },
};

type Takes = Kind | "written";

/** Functions whose values are no longer than what they are made of, and which no value makes fail. */
const functions: Readonly<
  Record<
    string,
    {
      readonly takes: readonly (readonly Takes[])[];
      readonly gives: Kind;
      readonly make: (values: readonly Statement[]) => Statement;
    }
  >
> = {
  lower: { takes: [["text"]], gives: "text", make: plain("lowerUTF8") },
  upper: { takes: [["text"]], gives: "text", make: plain("upperUTF8") },
  length: { takes: [["text"]], gives: "integer", make: plain("lengthUTF8") },
  char_length: { takes: [["text"]], gives: "integer", make: plain("lengthUTF8") },
  octet_length: { takes: [["text"]], gives: "integer", make: plain("length") },
  left: {
    takes: [["text", "written"]],
    gives: "text",
    make: ([text, count]) => ch`substringUTF8(${text as Statement}, 1, ${count as Statement})`,
  },
  substr: {
    takes: [
      ["text", "written"],
      ["text", "written", "written"],
    ],
    gives: "text",
    make: plain("substringUTF8"),
  },
  substring: {
    takes: [
      ["text", "written"],
      ["text", "written", "written"],
    ],
    gives: "text",
    make: plain("substringUTF8"),
  },
  strpos: { takes: [["text", "text"]], gives: "integer", make: plain("positionUTF8") },
  starts_with: { takes: [["text", "text"]], gives: "boolean", make: plain("startsWith") },
  btrim: { takes: [["text"]], gives: "text", make: plain("trimBoth") },
  abs: { takes: [["number"]], gives: "number", make: plain("abs") },
  floor: { takes: [["number"]], gives: "number", make: plain("floor") },
  ceil: { takes: [["number"]], gives: "number", make: plain("ceil") },
  round: { takes: [["number"], ["number", "written"]], gives: "number", make: plain("round") },
  sqrt: { takes: [["number"]], gives: "number", make: plain("sqrt") },
};

function plain(called: string): (values: readonly Statement[]) => Statement {
  return (values) => ch`${verbatim(called)}(${joined(values, ", ")})`;
}

/** Positions and lengths: from 1 to 1,000,000. */
function writtenInteger(argument: Expression, called: string, at: number): Statement {
  const value = argument.is === "number" && /^\d{1,6}$/.test(argument.value) ? Number(argument.value) : 0;
  if (value < 1) throw fault(`${called} takes integers from 1 on that are written out`, at);
  return verbatim(String(value));
}

const timeFunctions: Readonly<Record<string, Readonly<Record<string, (time: Statement) => Statement>>>> = {
  date_trunc: {
    second: startOf("toStartOfSecond"),
    minute: startOf("toStartOfMinute"),
    hour: startOf("toStartOfHour"),
    day: startOf("toStartOfDay"),
    week: startOf("toMonday"),
    month: startOf("toStartOfMonth"),
    year: startOf("toStartOfYear"),
  },
  date_part: {
    epoch: (time) => ch`(toUnixTimestamp64Micro(${time}) / 1000000)`,
    minute: (time) => ch`toFloat64(toMinute(${time}))`,
    hour: (time) => ch`toFloat64(toHour(${time}))`,
    day: (time) => ch`toFloat64(toDayOfMonth(${time}))`,
    isodow: (time) => ch`toFloat64(toDayOfWeek(${time}))`,
    month: (time) => ch`toFloat64(toMonth(${time}))`,
    year: (time) => ch`toFloat64(toYear(${time}))`,
  },
};

function startOf(called: string): (time: Statement) => Statement {
  return (time) => ch`toDateTime64(${verbatim(called)}(${time}), 6, 'UTC')`;
}

function orderOf({
  sql,
  descending,
  nullsFirst,
}: {
  sql: Statement | undefined;
  descending: boolean;
  nullsFirst: boolean;
}) {
  const direction = `${descending ? "desc" : "asc"} nulls ${nullsFirst ? "first" : "last"}`;
  return ch`${sql as Statement} ${verbatim(direction)}`;
}

/** What `group by` means: a column of what is read, or else one that is selected, by its name or number. */
function grouped(group: Expression, items: readonly Item[], scope: Scope): Expression {
  const isColumn =
    group.is === "column" && (group.table !== undefined || scope.columns.some(({ name }) => name === group.name));
  if (isColumn) return group;
  const place = placeOf(group, items);
  return place === undefined ? group : (items[place] as Item).value;
}

/** Which of the selected columns an expression names, by its name or number. */
function placeOf(expression: Expression, items: readonly Item[]): number | undefined {
  if (expression.is === "number") {
    const place = Number(expression.value) - 1;
    if (!items[place]) throw fault(`there is no column ${expression.value}`, expression.at);
    return place;
  }
  if (expression.is !== "column" || expression.table !== undefined) return undefined;
  const place = items.findIndex(({ name }) => name === expression.name);
  return place === -1 ? undefined : place;
}

/** Two expressions with one key are one, wherever they stand. */
function keyOf(expression: Expression): string {
  return JSON.stringify(expression, (member, value) => (member === "at" || member === "table" ? undefined : value));
}

/** The expressions that one is made of. */
function subexpressions(expression: Expression): readonly Expression[] {
  switch (expression.is) {
    case "call":
      return expression.args;
    case "aggregate":
      return [expression.of, expression.filter].filter((part) => part !== undefined);
    case "not":
    case "minus":
    case "isNull":
    case "cast":
      return [expression.of];
    case "and":
    case "or":
      return expression.of;
    case "operation":
      return [expression.left, expression.right];
    case "among":
      return [expression.of, ...expression.values];
    case "between":
      return [expression.of, expression.from, expression.to];
    case "case":
      return [...expression.whens.flat(), expression.otherwise];
    default:
      return [];
  }
}

function hasAggregate(expression: Expression): boolean {
  return expression.is === "aggregate" || subexpressions(expression).some(hasAggregate);
}

function refuseAggregates(expression: Expression, where: string): void {
  if (hasAggregate(expression)) throw fault(`${where} holds an aggregate`, placeIn(expression));
}

function refuseUngrouped(expression: Expression, keys: ReadonlySet<string>): void {
  if (expression.is === "aggregate" || keys.has(keyOf(expression))) return;
  if (expression.is === "column") {
    throw fault(`the column ${expression.name} must be in group by or in an aggregate`, placeIn(expression));
  }
  for (const part of subexpressions(expression)) refuseUngrouped(part, keys);
}
