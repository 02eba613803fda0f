import type { AttributeValue, LogFilter, QueriedEntry } from "@sazabi/sdk/protocol";
import fc from "fast-check";

/**
 * Pieces from which both entries and queries are made, few enough that queries find something, and chosen for the
 * places where engines differ: case beyond ASCII (one letter with three forms, letters that fold to ASCII or to two
 * letters, letters beyond U+FFFF), LIKE's and the regular expressions' special characters, numbers and what looks
 * like them, the order of text beyond U+FFFF.
 */
const pieces = [
  ..."aAbBkKzZ019_%\\*?.-/()[]{}|^$+<>=:;,'\"#@ \t\n~",
  ..."éÉßẞςσΣµμΜıİKkåÅÅǆǅǄſsюЮ取😀🚒𐐀𐐨\uffee\u00a0\u2400",
  "error",
  "Error",
  "TIMEOUT",
  "time out",
  "foo",
  "Foo::bar",
];
const numbers = [
  "0",
  "-0",
  "1",
  "500",
  "500.0",
  "5e2",
  "+5",
  ".5",
  "-0.5",
  "1e21",
  "1e-7",
  "9007199254740993",
  "1e99",
  "1e400",
];
/** Durations and sizes; with those that are no ASCII in a text with a space, since RE2 finds `\\B` inside of a character. */
export const amounts = [
  "90ms",
  "150ms",
  "1.2s",
  "2m",
  "1m59.9s",
  "1h0m0.5s",
  "3 µs",
  "3 μs",
  "-5ms",
  "0ns",
  "1d",
  "512B",
  "5KB",
  "10kb",
  "4.5 KiB",
  "1MiB",
  "0.1GB",
];
const words = ["true", "false", "null", "", "prod", "PROD", "api", "API", "Überlauf", "überlauf", "NaN", "Infinity"];
const keys = [
  "a",
  "http.status",
  "user-id",
  "weird key",
  "__proto__",
  "constructor",
  "größe",
  "level.original",
  'q"\\',
];

const text = fc.array(fc.constantFrom(...pieces), { maxLength: 8 }).map((parts) => parts.join(""));
const value = fc.oneof(text, fc.constantFrom(...numbers, ...words, ...amounts));
const short = fc.oneof(fc.constantFrom(...words, ...numbers), text);

/** As intake stores them, and texts that look like one. */
const lists = fc.oneof(
  fc
    .array(
      fc.oneof(
        value,
        value,
        fc.constantFrom(0, 1, 500, 0.5, -0.5, 1e21, true, false, null),
        fc.constant({ a: "foo", b: 1 }),
        fc.constant(["a", 5]),
      ),
      { maxLength: 4 },
    )
    .map((list) => JSON.stringify(list)),
  fc
    .array(
      fc.constantFrom("[", "]", ",", ":", "{", "}", '"', '"foo"', '"a"', "500", "5e2", "true", "null", "\\", " "),
      { maxLength: 6 },
    )
    .map((parts) => `[${parts.join("")}]`),
);

const attributeValue: fc.Arbitrary<AttributeValue> = fc.oneof(
  value,
  fc.constantFrom(0, 1, 500, 0.5, -0.5, 5, 1e21, 1e-7, 1.5e-10, 2 ** 53, 1e99, 1.7976931348623157e308, 5e-324),
  fc.boolean(),
  fc.constant(null),
  lists,
);

export const entries: fc.Arbitrary<QueriedEntry> = fc.record({
  level: fc.integer({ min: 0, max: 5 }),
  service: short,
  environment: fc.option(short),
  traceId: fc.option(fc.oneof(fc.constantFrom("abcdef01", "ABC-xyz"), short)),
  spanId: fc.option(short),
  message: fc.oneof(
    text,
    fc.array(value, { maxLength: 4 }).map((parts) => parts.join(" ")),
  ),
  attributes: fc
    .array(fc.tuple(fc.constantFrom(...keys), attributeValue), { maxLength: 5 })
    .map((members) => Object.assign(Object.create(null), Object.fromEntries(members))),
});

const name = fc.oneof(
  fc.constantFrom("level", "service", "ENV", "trace_id", "span_id", "message", "body", "severity"),
  fc.constantFrom(...keys).map((key) => (/^[\w.-]+$/.test(key) && key !== "__proto__" ? key : `@"${escaped(key)}"`)),
);
const level = fc.constantFrom("trace", "debug", "INFO", "warning", "err", "fatal", "w*", "bogus");
const quoted = value.map((inside) => `"${escaped(inside)}"`);
const plain = fc.oneof(value, level);
const operand = fc.oneof(plain, quoted);

/** Expressions of the subset, and beside it. */
const expressions: fc.Arbitrary<string> = fc.letrec<{ all: string; atom: string }>((tie) => ({
  all: fc
    .array(fc.tuple(tie("atom"), fc.constantFrom("", "", "", "*", "+", "?", "{2}", "{1,3}", "{0,}", "*?")), {
      maxLength: 4,
    })
    .map((parts) => parts.map(([atom, times]) => `${atom}${times}`).join("")),
  atom: fc.oneof(
    { depthSize: "small" },
    fc.constantFrom("\\bfoo", "error\\b", "\\Bo", "^[A-Z]", "\\bA", "time.?out"),
    fc.constantFrom(
      "a",
      "B",
      "k",
      "é",
      "ß",
      "Σ",
      "\\.",
      ".",
      "\\d",
      "\\w",
      "\\S",
      "\\b",
      "^",
      "$",
      " ",
      "0",
      "_",
      "😀",
      "𐐀",
      "%",
    ),
    fc.constantFrom(
      "[a-c]",
      "[^a-k]",
      "[é-ü]",
      "[\\d_]",
      "[\\]^-]",
      "[^\\s]",
      "[-a]",
      "[À-Ý]",
      "[𐐀-𐐃]",
      "[^\\u0041]",
      "[Σa]",
    ),
    tie("all").map((inside) => `(${inside})`),
    fc.tuple(tie("all"), tie("all")).map(([left, right]) => `(?:${left}|${right})`),
  ),
})).all;

const condition = fc.oneof(
  fc.tuple(name, operand).map(([field, wanted]) => `${field}:${wanted}`),
  fc
    .tuple(name, fc.constantFrom(">", ">=", "<", "<="), operand)
    .map(([field, sign, bound]) => `${field}:${sign}${bound}`),
  fc
    .tuple(name, fc.constantFrom("[", "{"), operand, operand, fc.constantFrom("]", "}"))
    .map(([field, open, from, to, close]) => `${field}:${open}${from} TO ${to}${close}`),
  fc.tuple(name, operand, operand, operand).map(([field, a, b, c]) => `${field}:(${a} OR -${b} OR ${c})`),
  name.map((field) => `${field}:*`),
  fc.tuple(name, value).map(([field, start]) => `${field}:${start}*`),
  fc.tuple(name, expressions).map(([field, expression]) => `${field}:/${expression}/`),
);
const term = fc.oneof(
  value,
  quoted,
  condition,
  condition,
  expressions.map((expression) => `/${expression}/`),
);

/** Queries as people write them, and some that nobody would. */
export const queries: fc.Arbitrary<string> = fc.letrec<{ query: string; part: string }>((tie) => ({
  query: fc
    .array(fc.tuple(fc.constantFrom(" ", " ", " OR ", " AND "), tie("part")), { minLength: 1, maxLength: 4 })
    .map((parts) => parts.map(([joint, part], place) => (place === 0 ? part : joint + part)).join("")),
  part: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    term,
    term.map((inside) => `-${inside}`),
    term.map((inside) => `NOT ${inside}`),
    tie("query").map((inside) => `(${inside})`),
    tie("query").map((inside) => `-(${inside})`),
  ),
})).query;

const scalar = fc.oneof(value, fc.constantFrom(0, 500, 0.5, -0.5, 1e21), fc.boolean());
const filterField = fc.oneof(
  fc.constantFrom("service", "severity", "environment", "trace_id", "body", "message", "span_id"),
  fc.constantFrom(...keys).map((key) => `attributes[${key}]`),
  fc.constantFrom(...keys),
);

export const filters: fc.Arbitrary<LogFilter> = fc.oneof(
  fc.record({
    field: filterField,
    op: fc.constantFrom("eq", "neq", "contains", "starts_with", "gt", "gte", "lt", "lte"),
    value: fc.oneof(scalar, level),
  }),
  fc.record({ field: filterField, op: fc.constant("in"), value: fc.array(scalar, { minLength: 1, maxLength: 4 }) }),
  fc.record({ field: filterField, op: fc.constant("between"), value: fc.record({ from: value, to: value }) }),
  fc.record({ field: filterField, op: fc.constant("exists"), value: fc.boolean() }),
) as fc.Arbitrary<LogFilter>;

function escaped(inside: string): string {
  return inside.replace(/["\\]/g, "\\$&");
}
