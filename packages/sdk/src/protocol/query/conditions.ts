import type { FieldReference } from "../fields.ts";
import { canonicalId } from "../fields.ts";
import { levels, parseLevel } from "../levels.ts";
import { allOf, type Comparison, everything, type QueryNode, type TextPattern, type TextScope } from "./ast.ts";
import { covers } from "./match-pattern.ts";
import { matchesRegex } from "./match-regex.ts";
import type { Regex } from "./regex.ts";
import { fold } from "./text.ts";

/** What a condition asks of, once the name is resolved. */
export type ConditionField = FieldReference | "level";

/** The entry contains this text, without case; nothing in it is a wildcard. */
export function containsText(text: string, scope: TextScope = "entry"): QueryNode {
  return text === "" ? everything : { kind: "text", pattern: [fold(text)], scope };
}

/** The entry contains the word; `*` and `?` in it are wildcards. `*` alone asks for nothing. */
export function containsWord(word: string, scope: TextScope = "entry"): QueryNode {
  const pattern = trimRuns(patternOf(word));
  return pattern.length === 0 ? everything : { kind: "text", pattern, scope };
}

/** `field:value`: the value as it is written, with `*` and `?` as wildcards; `*` alone: there is a value. */
export function hasValue(field: ConditionField, value: string): QueryNode {
  if (/^\*+$/.test(value)) return exists(field);
  if (!/[*?]/.test(value)) return equalsText(field, value);
  return field !== "level" && "column" in field && field.column === "message"
    ? containsWord(value, "message")
    : matchesPattern(field, patternOf(value));
}

/** `field:"value"`: nothing in the value is special. */
export function equalsText(field: ConditionField, value: string): QueryNode {
  if (field === "level") {
    const level = parseLevel(value);
    return level ? { kind: "level", ranks: [levels.indexOf(level)] } : spelledLevel(value);
  }
  if ("attribute" in field) return { kind: "field", field, test: { kind: "equals", value } };
  switch (field.column) {
    case "message":
      return containsText(value, "message");
    case "service":
    case "environment":
      return { kind: "field", field, test: { kind: "matches", pattern: [fold(value)] } };
    case "trace_id":
    case "span_id":
      return { kind: "field", field, test: { kind: "equals", value: canonicalId(value) } };
  }
}

/** The whole value is covered by the pattern, without case. */
export function matchesPattern(field: ConditionField, pattern: TextPattern): QueryNode {
  if (field !== "level") return { kind: "field", field, test: { kind: "matches", pattern } };
  return levelsThat((name) => covers(pattern, name));
}

export function exists(field: ConditionField): QueryNode {
  return field === "level" ? everything : { kind: "field", field, test: { kind: "exists" } };
}

/** `field:/regex/`. */
export function matchesExpression(field: ConditionField, regex: Regex): QueryNode {
  if (field !== "level") {
    if ("column" in field && field.column === "message") return { kind: "regex", regex, scope: "message" };
    return { kind: "field", field, test: { kind: "regex", regex } };
  }
  return levelsThat((name) => matchesRegex(regex, name));
}

/** `field:>=value`; a level by its rank, and a word that is none excludes every entry. */
export function compares(field: ConditionField, operator: Comparison, value: string): QueryNode {
  if (field !== "level") return { kind: "field", field, test: { kind: "compares", operator, value } };
  const level = parseLevel(value);
  if (!level) return { kind: "level", ranks: [] };
  const bound = levels.indexOf(level);
  return levelsThat((_, rank) => {
    if (operator === ">") return rank > bound;
    if (operator === ">=") return rank >= bound;
    return operator === "<" ? rank < bound : rank <= bound;
  });
}

/** `field:[from TO to]`; an end that is undefined is open, and with both open the value only has to exist. */
export function isBetween(
  field: ConditionField,
  from: { readonly operator: ">" | ">="; readonly value: string } | undefined,
  to: { readonly operator: "<" | "<="; readonly value: string } | undefined,
): QueryNode {
  const ends = [from, to].filter((end) => end !== undefined);
  if (ends.length === 0) return exists(field);
  return allOf(ends.map(({ operator, value }) => compares(field, operator, value)));
}

function levelsThat(holds: (name: string, rank: number) => boolean): QueryNode {
  return { kind: "level", ranks: levels.flatMap((name, rank) => (holds(name, rank) ? [rank] : [])) };
}

/** A level that is none of ours was stored as info, with the sender's word beside it. */
function spelledLevel(word: string): QueryNode {
  return { kind: "field", field: { attribute: "level.original" }, test: { kind: "matches", pattern: [fold(word)] } };
}

function patternOf(text: string): TextPattern {
  // Question marks alone are more likely meant than "any character".
  if (/^\?+$/.test(text)) return [text];
  return (text.match(/[*?]|[^*?]+/g) ?? [])
    .map((part) => (part === "*" ? { any: "many" as const } : part === "?" ? { any: "one" as const } : fold(part)))
    .filter((part, place, parts) => !(isRun(part) && place > 0 && isRun(parts[place - 1])));
}

/** Somewhere in the text is what a pattern of text means anyway. */
function trimRuns(pattern: TextPattern): TextPattern {
  return pattern.slice(isRun(pattern[0]) ? 1 : 0, pattern.length > 1 && isRun(pattern.at(-1)) ? -1 : undefined);
}

function isRun(part: TextPattern[number] | undefined): boolean {
  return typeof part === "object" && part.any === "many";
}
