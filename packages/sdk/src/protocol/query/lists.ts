import type { AttributeValue } from "../resources.ts";
import type { StepMeter } from "./steps.ts";
import { readNumber } from "./text.ts";

/*
 * A list is kept as its JSON text. So a text is a list when it reads as one without white space, as intake writes it. The
 * patterns are regular expressions that JavaScript, PostgreSQL and RE2 read alike.
 */

/** What any parser of JSON reads alike: without NUL and halves of characters. */
const stringPattern = `"(?:[^"\\\\\u0001-\u001f]|\\\\["\\\\bfnrt]|\\\\u00(?:0[1-7be-f]|1[0-9a-f]))*"`;
const scalarPattern = "true|false|null|-?[0-9][0-9.eE+-]*";
const tokenPattern = `${stringPattern}|${scalarPattern}|[,:{}]|\\[|\\]`;

/** Matches a list. Whether its brackets come in pairs does not matter. */
export const listPattern = `^\\[(?:${tokenPattern})*\\]$`;

/**
 * Takes a list apart, match by match. The group is a scalar element, as JSON, of the list or of one inside it; a match
 * without it is anything else.
 */
export const listElementPattern = `[[,{]${stringPattern}:|[[,](${stringPattern}|${scalarPattern})|${stringPattern}|[^"]`;

/** The scalar elements of a list and of those inside it, as JSON. None when the text is no list. */
export function listElements(text: string, meter: StepMeter): readonly string[] {
  if (!text.startsWith("[") || !text.endsWith("]")) return [];
  meter.spend(text.length);
  const elements: string[] = [];
  const tokens = new RegExp(tokenPattern, "y");
  let before = "";
  while (tokens.lastIndex < text.length) {
    const token = tokens.exec(text)?.[0];
    if (token === undefined) return [];
    const isName = token.startsWith('"') && text[tokens.lastIndex] === ":";
    if ((before === "[" || before === ",") && !/^[[\]{},:]/.test(token) && !isName) elements.push(token);
    before = token;
  }
  return elements;
}

/** What an element, as JSON, may be in order to equal a text. */
export function elementsEqualTo(wanted: string): readonly string[] {
  return readingsOf(wanted).map((value) => JSON.stringify(value));
}

/** The text itself, and the number, the boolean or the null that it reads as. */
export function readingsOf(wanted: string): readonly AttributeValue[] {
  const values: AttributeValue[] = [wanted];
  const number = readNumber(wanted);
  if (number !== undefined) values.push(number);
  if (wanted === "true" || wanted === "false") values.push(wanted === "true");
  if (wanted === "null") values.push(null);
  return values;
}
