import type { Column } from "../fields.ts";
import type { AttributeValue } from "../resources.ts";
import { readAmount } from "./amounts.ts";
import type { FieldTest, QueryNode, TextScope } from "./ast.ts";
import { compareIntegers, isInRange } from "./large-integers.ts";
import { elementsEqualTo, listElements } from "./lists.ts";
import { coversFolded, occursInFolded } from "./match-pattern.ts";
import { matchesRegex } from "./match-regex.ts";
import { nativeSteps, type StepMeter, unlimitedSteps } from "./steps.ts";
import { compareText, decimalText, fold, isAscii, readInteger, readNumber } from "./text.ts";

/** An entry as intake normalised it: what a query can see. */
export interface QueriedEntry {
  /** Rank: place in `levels`. */
  readonly level: number;
  readonly service: string;
  readonly environment: string | null;
  readonly traceId: string | null;
  readonly spanId: string | null;
  readonly message: string;
  /** Flat: `{ "http.status": 500 }`. */
  readonly attributes: Readonly<Record<string, AttributeValue>>;
}

/**
 * Whether the entry is an answer to the query. This is the meaning of the language; the compilers have to agree
 * with it on every query and entry. Throws `StepLimitError` when it takes more steps than the meter allows.
 */
export function evaluate(query: QueryNode, entry: QueriedEntry, meter: StepMeter = unlimitedSteps): boolean {
  meter.spend(stepsPerNode);
  switch (query.kind) {
    case "everything":
      return true;
    case "and":
      return query.nodes.every((node) => evaluate(node, entry, meter));
    case "or":
      return query.nodes.some((node) => evaluate(node, entry, meter));
    case "not":
      return !evaluate(query.node, entry, meter);
    case "text":
      return holdsForAny(entry, query.scope, (text) => occursInFolded(query.pattern, foldOf(text, meter), meter));
    case "regex":
      return holdsForAny(entry, query.scope, (text) => matchesRegex(query.regex, text, meter));
    case "level":
      return query.ranks.includes(entry.level);
    case "field":
      if ("column" in query.field) return passesColumn(query.test, columnOf(entry, query.field.column), meter);
      return passesAttribute(query.test, attributeOf(entry, query.field.attribute), meter);
  }
}

const stepsPerNode = 4;

function holdsForAny(entry: QueriedEntry, scope: TextScope, holds: (text: string) => boolean): boolean {
  const { message, attributes } = entry;
  if (scope !== "attributes" && holds(message)) return true;
  if (scope === "message" || (scope === "entry" && message !== "")) return false;
  return Object.values(attributes).some((value) => value !== null && holds(textOf(value)));
}

/** The last texts that were folded: the conditions of a query ask for the same ones, and so do the queries of tails. */
const folds = new Map<string, string>();
const maxFolds = 4;
/** Shorter texts are folded faster than they are looked up. */
const shortestKept = 256;

function foldOf(text: string, meter: StepMeter): string {
  if (text.length < shortestKept) {
    meter.spend(nativeSteps(text.length));
    return fold(text);
  }
  const known = folds.get(text);
  if (known !== undefined) return known;
  meter.spend(isAscii(text) ? nativeSteps(text.length) : text.length);
  const folded = fold(text);
  if (folds.size >= maxFolds) folds.clear();
  folds.set(text, folded);
  return folded;
}

function columnOf(entry: QueriedEntry, column: Column): string | null {
  switch (column) {
    case "message":
      return entry.message;
    case "service":
      return entry.service;
    case "environment":
      return entry.environment;
    case "trace_id":
      return entry.traceId;
    case "span_id":
      return entry.spanId;
  }
}

function attributeOf({ attributes }: QueriedEntry, key: string): AttributeValue | undefined {
  return Object.hasOwn(attributes, key) ? attributes[key] : undefined;
}

/** A column holds text or nothing, and an empty one exists as little as an absent one. */
function passesColumn(test: FieldTest, value: string | null, meter: StepMeter): boolean {
  if (value === null) return false;
  if (test.kind === "exists") return value !== "";
  return test.kind === "equals" ? value === test.value : passes(test, value, meter);
}

/** A list passes as its text, or by any element. */
function passesAttribute(test: FieldTest, value: AttributeValue | undefined, meter: StepMeter): boolean {
  if (passes(test, value, meter)) return true;
  if (typeof value !== "string" || test.kind === "exists") return false;
  const elements = listElements(value, meter);
  if (elements.length === 0) return false;
  if (test.kind === "equals") {
    const wanted = elementsEqualTo(test.value);
    return elements.some((element) => wanted.includes(element));
  }
  return elements.some((element) => passesElement(test, element, meter));
}

function passesElement(test: ElementTest, element: string, meter: StepMeter): boolean {
  if (element === "null") return false;
  const isText = element.startsWith('"');
  if (test.kind === "compares" && !isText) return passes(test, readNumber(element) ?? true, meter);
  return passes(test, isText ? JSON.parse(element) : element, meter);
}

type ElementTest = Exclude<FieldTest, { readonly kind: "equals" | "exists" }>;

function passes(test: FieldTest, value: AttributeValue | undefined, meter: StepMeter): boolean {
  if (value === undefined) return false;
  if (test.kind === "equals") return equals(value, test.value);
  if (value === null) return false;
  switch (test.kind) {
    case "exists":
      return true;
    case "matches":
      return coversFolded(test.pattern, foldOf(textOf(value), meter), meter);
    case "regex":
      return matchesRegex(test.regex, textOf(value), meter);
    case "compares": {
      const order = compare(value, test.value);
      return order !== undefined && isInRange(test.operator, order);
    }
  }
}

function equals(value: AttributeValue, wanted: string): boolean {
  if (typeof value === "string") return value === wanted;
  if (typeof value === "number") return readNumber(wanted) === value;
  return String(value) === wanted;
}

function compare(value: AttributeValue, wanted: string): number | undefined {
  const bound = readNumber(wanted);
  if (bound !== undefined) {
    const number = typeof value === "string" ? readNumber(value) : value;
    if (typeof number !== "number") return undefined;
    if (number !== bound || Number.isSafeInteger(bound)) return number - bound;
    // Several integers beyond 2^53 have the same double.
    const limit = readInteger(wanted);
    if (limit === undefined) return 0;
    const integer = typeof value === "string" ? readInteger(value) : undefined;
    return compareIntegers(integer ?? BigInt(bound), limit);
  }
  if (typeof value !== "string") return undefined;
  const limit = readAmount(wanted);
  if (limit === undefined) return compareText(value, wanted);
  const read = readAmount(value);
  return read?.form === limit.form ? read.amount - limit.amount : undefined;
}

function textOf(value: string | number | boolean): string {
  return typeof value === "number" ? decimalText(value) : String(value);
}
