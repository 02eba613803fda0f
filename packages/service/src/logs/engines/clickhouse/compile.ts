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
import { likeOf, listWith } from "../../like-pattern.ts";
import { encodeAttribute, listElements } from "./attributes.ts";
import { ch, joined, type Statement, verbatim } from "./statement.ts";

/**
 * The query as a condition on a row of `logs`, true for exactly the entries for which `evaluate` is. Where a value
 * is absent a part may be null, which a `where` takes as false.
 */
export function compileQuery(query: QueryNode): Statement {
  switch (query.kind) {
    case "everything":
      return ch`true`;
    case "and":
      return query.nodes.length === 0 ? ch`true` : ch`(${joined(query.nodes.map(compileQuery), " and ")})`;
    case "or":
      return query.nodes.length === 0 ? ch`false` : ch`(${joined(query.nodes.map(compileQuery), " or ")})`;
    case "not":
      // An absent value is not equal to anything: null counts as false here.
      return ch`not ifNull(${compileQuery(query.node)}, false)`;
    case "text":
      return inScope(query.scope, (text) => likePattern(text, [{ any: "many" }, ...query.pattern, { any: "many" }]));
    case "regex":
      return inScope(query.scope, (text) => matchesRegex(text, query.regex));
    case "level":
      return query.ranks.length === 0 ? ch`false` : verbatim(`level in (${query.ranks.join(", ")})`);
    case "field":
      if ("column" in query.field) return compileColumn(query.field.column, query.test);
      return compileAttribute(query.field.attribute, query.test);
  }
}

/** An index knows where an entry has an empty message. */
function inScope(scope: TextScope, holds: (text: Statement) => Statement): Statement {
  const message = holds(ch`message`);
  if (scope === "message") return message;
  const attributes = ch`arrayExists(v -> v != 'z' and ${holds(ch`substring(v, 2)`)}, mapValues(attributes))`;
  if (scope === "attributes") return attributes;
  return scope === "both"
    ? ch`(${message} or ${attributes})`
    : ch`(${message} or (length(message) = 0 and ${attributes}))`;
}

function compileColumn(name: Column, test: FieldTest): Statement {
  const column = verbatim(name);
  switch (test.kind) {
    case "exists":
      return ch`${column} != ''`;
    case "equals":
      return ch`${column} = ${test.value}`;
    case "matches":
      return likePattern(column, test.pattern);
    case "regex":
      return matchesRegex(column, test.regex);
    case "compares": {
      const bound = readNumber(test.value);
      if (bound === undefined) return compareAmountOrText(column, test);
      return compareNumber({ text: column, isText: ch`true`, isNumber: ch`false` }, test, bound);
    }
  }
}

function compileAttribute(key: string, test: FieldTest): Statement {
  const value = ch`attributes[${key}]`;
  const text = attributeText(key);
  switch (test.kind) {
    case "exists":
      return attributeExists(key);
    case "equals":
      return ch`(${equalsAttribute(value, test.value)} or ${equalsElement(value, text, test.value)})`;
    case "matches":
    case "regex":
    case "compares": {
      const kind = { isText: ch`startsWith(${value}, 's')`, isNumber: ch`startsWith(${value}, 'n')` };
      const scalar = ch`(${attributeExists(key)} and ${passes(test, text, kind)})`;
      const isElement = hasElement(value, text, passesElement(test));
      const mayHold = test.kind === "matches" ? ch`${likePattern(text, listWith(test.pattern))} and ` : ch``;
      return ch`(${scalar} or (${mayHold}${isElement}))`;
    }
  }
}

type RangeTest = FieldTest & { readonly kind: "compares" };
type ValueTest = Exclude<FieldTest, { readonly kind: "equals" | "exists" }>;

interface ValueKind {
  readonly isText: Statement;
  readonly isNumber: Statement;
}

function passes(test: ValueTest, text: Statement, { isText, isNumber }: ValueKind): Statement {
  switch (test.kind) {
    case "matches":
      return likePattern(text, test.pattern);
    case "regex":
      return matchesRegex(text, test.regex);
    case "compares": {
      const bound = readNumber(test.value);
      if (bound === undefined) return ch`(${isText} and ${compareAmountOrText(text, test)})`;
      return compareNumber({ text, isText, isNumber }, test, bound);
    }
  }
}

/** Whether the attribute is a list with such an element. The index knows the elements of all lists of a row. */
function equalsElement(value: Statement, text: Statement, wanted: string): Statement {
  const equal = ch`[${joined(
    elementsEqualTo(wanted).map((element) => ch`${element}`),
    ", ",
  )}]`;
  const isElement = hasElement(value, text, ch`has(${equal}, element)`);
  return ch`(multiSearchAny(${text}, ${equal}) and ${isElement} and hasAny(${listElements}, ${equal}))`;
}

/** `condition` is about `element`, which is JSON. */
function hasElement(value: Statement, text: Statement, condition: Statement): Statement {
  return ch`(startsWith(${value}, 's[') and match(${text}, ${listPattern}) and
    arrayExists(element -> element != '' and ${condition}, extractAll(${text}, ${listElementPattern})))`;
}

function passesElement(test: ValueTest): Statement {
  const isText = ch`startsWith(element, '"')`;
  const text = ch`if(${isText}, JSONExtractString(element), element)`;
  const passing = passes(test, text, { isText, isNumber: ch`match(element, ${numberPattern})` });
  return ch`element != 'null' and ifNull(${passing}, false)`;
}

/** What stands behind the letter of its type. */
export function attributeText(key: string): Statement {
  return ch`substring(attributes[${key}], 2)`;
}

/** Neither absent nor null. */
export function attributeExists(key: string): Statement {
  return ch`attributes[${key}] not in ('', 'z')`;
}

/** One comparison for each type the text can be read as. */
function equalsAttribute(value: Statement, wanted: string): Statement {
  return joined(
    readingsOf(wanted).map((reading) => ch`${value} = ${encodeAttribute(reading)}`),
    " or ",
  );
}

interface Value extends ValueKind {
  readonly text: Statement;
}

function compareNumber({ text, isText, isNumber }: Value, { operator, value }: RangeTest, bound: number): Statement {
  const large = readIntegerBound(operator, value);
  if (!large) {
    const number = ch`multiIf(${isNumber}, toFloat64OrNull(${text}), ${isText}, ${readableNumber(text)}, null)`;
    return ch`(${number} ${verbatim(operator)} ${bound})`;
  }
  const order = verbatim(large.operator);
  return ch`multiIf(
    ${isNumber}, toFloat64OrNull(${text}) ${order} ${large.nearest},
    not ${isText}, null,
    match(${text}, ${integerPattern}), toInt128OrNull(${text}) ${verbatim(operator)} toInt128(${String(large.integer)}),
    ${readableNumber(text)} ${order} ${large.nearest})`;
}

function readableNumber(text: Statement): Statement {
  return ch`if(match(${text}, ${numberPattern}), toFloat64OrNull(${text}), null)`;
}

/** As texts, bytes are compared: UTF-8 keeps the order of code points. */
function compareAmountOrText(text: Statement, { operator, value }: RangeTest): Statement {
  const limit = readAmount(value);
  if (limit === undefined) return ch`(${text} ${verbatim(operator)} ${value})`;
  return ch`(${amountOf(text, limit.form)} ${verbatim(operator)} ${limit.amount})`;
}

/** The amount that a text is, or null. */
function amountOf(text: Statement, { pattern, factors }: AmountForm): Statement {
  const parts = factors.map((factor, index) => ch`toFloat64OrZero(m[${verbatim(String(index + 2))}]) * ${factor}`);
  // A lambda, so that the text is taken apart once.
  const sum = ch`arrayMap(m -> if(m[1] = '-', -1, 1) * (${joined(parts, " + ")}), [extractGroups(${text}, ${pattern})])[1]`;
  return ch`if(match(${text}, ${amountStart}) and match(${text}, ${pattern}), ${sum}, null)`;
}

/** Whether the pattern covers the text, without case. `lower` folds ASCII alone, and what it makes of a message has an index. */
function likePattern(text: Statement, pattern: TextPattern): Statement {
  const { like, expression } = likeOf(pattern, literal);
  const covered = ch`lower(${text}) like ${like}`;
  return expression === undefined ? covered : ch`(${covered} and match(${text}, ${expression}))`;
}

function literal(character: string): string {
  return character > "\x7f" || /[0-9A-Za-z]/.test(character) ? character : escaped(character.charCodeAt(0));
}

function matchesRegex(text: Statement, regex: Regex): Statement {
  return ch`match(${text}, ${printRegex(regex, { word: "\\b", inside: "\\B", escaped })})`;
}

function escaped(point: number): string {
  return `\\x${point.toString(16).padStart(2, "0")}`;
}
