import { createHash } from "node:crypto";
import {
  type AmountForm,
  amountStart,
  type Column,
  elementsEqualTo,
  type FieldTest,
  integerPattern,
  listElementPattern,
  listPattern,
  numberPattern,
  printRegex,
  type QueryNode,
  type Regex,
  readAmount,
  readIntegerBound,
  readingsOf,
  readNumber,
  type TextPattern,
  type TextScope,
} from "@sazabi/sdk/protocol";
import { join, raw, type Sql, sql } from "../../../db/sql.ts";
import { hasOtherForms, likeOf, listWith } from "../../like-pattern.ts";

/**
 * How words are looked for: in a form that the index of a sealed day answers, or in one that reads every row twice as
 * fast. Both find the same.
 */
export type WordSearch = "index" | "scan";

/**
 * The query as a condition on a row of `logs`, true for exactly the entries for which `evaluate` is. Where a value
 * is absent a part may be null, which a `where` takes as false.
 */
export function compileQuery(query: QueryNode, words: WordSearch = "index"): Sql {
  const compile = (node: QueryNode) => compileQuery(node, words);
  switch (query.kind) {
    case "everything":
      return sql`true`;
    case "and":
      return query.nodes.length === 0 ? sql`true` : sql`(${join(query.nodes.map(compile), " and ")})`;
    case "or":
      return query.nodes.length === 0 ? sql`false` : sql`(${join(query.nodes.map(compile), " or ")})`;
    case "not":
      // An absent value is not equal to anything: null counts as false here.
      return sql`(${compile(query.node)}) is not true`;
    case "text":
      return inScope(
        query.scope,
        words === "scan" ? scanForText(query.pattern) : likeText(sql`message`, query.pattern),
        (text) => likeText(text, query.pattern),
      );
    case "regex":
      return inScope(query.scope, likeRegex(sql`message`, query.regex), (text) => likeRegex(text, query.regex));
    case "level":
      return compileLevel(query.ranks);
    case "field":
      if ("column" in query.field) return compileColumn(query.field.column, query.test);
      return compileAttribute(query.field.attribute, query.test, words);
  }
}

/** An index finds the entries whose message is empty. */
function inScope(scope: TextScope, message: Sql, holds: (text: Sql) => Sql): Sql {
  if (scope === "message") return message;
  const attributes = sql`exists (select from jsonb_each_text(attributes) as attribute where ${holds(sql`attribute.value`)})`;
  if (scope === "attributes") return attributes;
  return scope === "both" ? sql`(${message} or ${attributes})` : sql`(${message} or (message = '' and ${attributes}))`;
}

function likeText(text: Sql, pattern: TextPattern): Sql {
  return likePattern(text, [{ any: "many" }, ...pattern, { any: "many" }]);
}

/** ILIKE folds a row's text before it looks, and so does this; but looking for a plain text is quicker. */
function scanForText(pattern: TextPattern): Sql {
  const [text] = pattern;
  if (pattern.length !== 1 || typeof text !== "string" || Array.from(text).some(hasOtherForms))
    return likeText(sql`message`, pattern);
  return sql`strpos(lower(message collate "C"), ${text}) > 0`;
}

const highestRank = 5;

/** Written out rather than as parameters, so that the planner sees that the index on errors applies. */
function compileLevel(ranks: readonly number[]): Sql {
  const [lowest] = ranks;
  if (lowest === undefined) return sql`false`;
  if (ranks.length === 1) return raw(`level = ${lowest}`);
  if (ranks.length === highestRank + 1 - lowest) return raw(`level >= ${lowest}`);
  return raw(`level in (${ranks.join(", ")})`);
}

function compileColumn(name: Column, test: FieldTest): Sql {
  const column = raw(name);
  switch (test.kind) {
    case "exists":
      return sql`${column} <> ''`;
    case "equals":
      return sql`${column} = ${test.value}::text`;
    case "matches":
      return likePattern(column, test.pattern);
    case "regex":
      return likeRegex(column, test.regex);
    case "compares": {
      const bound = readNumber(test.value);
      if (bound === undefined) return compareAmountOrText(column, test);
      return compareNumber({ kind: sql`'string'`, text: column }, test, bound);
    }
  }
}

function compileAttribute(key: string, test: FieldTest, words: WordSearch): Sql {
  const text = sql`(attributes ->> ${key}::text)`;
  switch (test.kind) {
    case "exists":
      return sql`${text} is not null`;
    case "equals":
      return sql`(${equalsAttribute(key, test.value)} or ${equalsElement(text, test.value, words)})`;
    case "matches":
    case "regex":
    case "compares": {
      const kind = sql`jsonb_typeof(attributes -> ${key}::text)`;
      const isElement = hasElement(text, passesElement(test));
      const mayHold = test.kind === "matches" ? sql`${likePattern(text, listWith(test.pattern))} and ` : sql``;
      return sql`(${passes(test, text, kind)} or (${mayHold}${isElement}))`;
    }
  }
}

type RangeTest = FieldTest & { readonly kind: "compares" };
type ValueTest = Exclude<FieldTest, { readonly kind: "equals" | "exists" }>;

/** `kind` is what `jsonb_typeof` says of the value. */
function passes(test: ValueTest, text: Sql, kind: Sql): Sql {
  switch (test.kind) {
    case "matches":
      return likePattern(text, test.pattern);
    case "regex":
      return likeRegex(text, test.regex);
    case "compares": {
      const bound = readNumber(test.value);
      if (bound === undefined) return compareAmountOrText(sql`case ${kind} when 'string' then ${text} end`, test);
      return compareNumber({ kind, text }, test, bound);
    }
  }
}

interface Value {
  /** Of its JSON type. */
  readonly kind: Sql;
  readonly text: Sql;
}

/** Only what a cast cannot fail on is cast: one bad value must not end a search. */
function compareNumber({ kind, text }: Value, { operator, value }: RangeTest, bound: number): Sql {
  const large = readIntegerBound(operator, value);
  if (!large) {
    return sql`case ${kind}
      when 'number' then ${text}::float8
      when 'string' then case when ${text} ~ ${numberPattern} then ${text}::float8 end
    end ${raw(operator)} ${bound}::float8`;
  }
  const asDouble = sql`${text}::float8 ${raw(large.operator)} ${large.nearest}::float8`;
  return sql`case ${kind}
    when 'number' then ${asDouble}
    when 'string' then case
      when ${text} ~ ${integerPattern} then ${text}::numeric ${raw(operator)} ${String(large.integer)}::numeric
      when ${text} ~ ${numberPattern} then ${asDouble}
    end
  end`;
}

/** Containment is what an index on `attributes` answers; one for each type the text can be read as. */
function equalsAttribute(key: string, wanted: string): Sql {
  const conditions = readingsOf(wanted).map((value) => sql`attributes @> ${oneMember(key, value)}::jsonb`);
  return join(conditions, " or ");
}

/** Whether the text is a list with such an element. The index of a sealed day knows the elements of all lists of a row. */
function equalsElement(text: Sql, wanted: string, words: WordSearch): Sql {
  const equal = elementsEqualTo(wanted);
  // Most lists do not hold it anywhere, and need not be taken apart.
  const occurs = equal.map((element) => sql`strpos(${text} collate "C", ${element}) > 0`);
  const isElement = sql`(${join(occurs, " or ")}) and ${hasElement(text, sql`element = any(${equal}::text[])`)}`;
  const isIndexed = sql`sazabi.log_list_elements(attributes) && ${equal.map(indexedElement)}::text[]`;
  return words === "scan" ? sql`(${isElement})` : sql`(${isElement} and ${isIndexed})`;
}

/** As `log_list_elements` (migrations/0005_logs.sql) has the element. */
function indexedElement(element: string): string {
  return Buffer.byteLength(element) > 500 ? createHash("md5").update(element).digest("hex") : element;
}

/** `condition` is about `element`, which is JSON. */
function hasElement(text: Sql, condition: Sql): Sql {
  return sql`(${text} collate "C" like '[%]' and ${text} collate "C" ~ ${listPattern} and exists (
    select from regexp_matches(${text} collate "C", ${listElementPattern}, 'g') as match,
      lateral (select match[1] as element) e
    where element is not null and ${condition}))`;
}

function passesElement(test: ValueTest): Sql {
  const isText = sql`left(element, 1) = '"'`;
  const kind = sql`case when ${isText} then 'string' when element ~ ${numberPattern} then 'number' end`;
  const text = sql`(case when ${isText} then element::json #>> '{}' else element end)`;
  return sql`element <> 'null' and ${passes(test, text, kind)}`;
}

/** Written by hand, since a key may be `__proto__`. */
function oneMember(key: string, value: unknown): string {
  return `{${JSON.stringify(key)}:${JSON.stringify(value)}}`;
}

function compareAmountOrText(value: Sql, { operator, value: bound }: RangeTest): Sql {
  const limit = readAmount(bound);
  if (limit === undefined) return sql`(${value}) collate "C" ${raw(operator)} ${bound}::text`;
  return sql`(${amountOf(value, limit.form)}) ${raw(operator)} ${limit.amount}::float8`;
}

/** The amount that a text is, or null. Only what a cast cannot fail on is cast. */
function amountOf(value: Sql, { pattern, factors }: AmountForm): Sql {
  const parts = factors.map(
    (factor, index) => sql`coalesce(m[${raw(String(index + 2))}]::float8, 0) * ${factor}::float8`,
  );
  return sql`select case m[1] when '-' then -1 else 1 end * (${join(parts, " + ")})
    from regexp_match((${value}) collate "C", ${pattern}) as m
    where m is not null and (${value}) collate "C" ~ ${amountStart}`;
}

/** Whether the pattern covers the text, without case. Under collation "C" ILIKE folds ASCII alone, in any locale, and is quick. */
function likePattern(text: Sql, pattern: TextPattern): Sql {
  const { like, expression } = likeOf(pattern, literal);
  const covered = sql`${text} collate "C" ilike ${like}`;
  return expression === undefined ? covered : sql`(${covered} and ${text} collate "C" ~ ${expression})`;
}

function literal(character: string): string {
  return character <= "\x7f" && !/[0-9]/.test(character) ? `\\${character}` : character;
}

function likeRegex(text: Sql, regex: Regex): Sql {
  return sql`${text} collate "C" ~ ${printRegex(regex, { word: "\\y", inside: "\\Y" })}`;
}
