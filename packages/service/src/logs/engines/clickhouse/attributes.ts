import { type AttributeValue, decimalText, listElementPattern } from "@sazabi/sdk/protocol";
import { verbatim } from "./statement.ts";

/**
 * How a value stands in the map `attributes`: a letter for its type (`s` text, `n` number, `b` boolean, `z` null), and
 * the value as text. A key that is absent reads as the empty text, which is none of these.
 */
export function encodeAttribute(value: AttributeValue): string {
  if (typeof value === "string") return `s${value}`;
  if (typeof value === "number") return `n${decimalText(value)}`;
  return value === null ? "z" : `b${value}`;
}

/** Written out, since an index answers only for the very expression that it is on. */
const elementPattern = `'${listElementPattern.replace(/[\\']/g, "\\$&")}'`;

/** The scalar elements of all attributes that are lists, as JSON, and empty texts between them: what the index `list_elements` is on. */
export const listElements = verbatim(
  `arrayFlatten(arrayMap(v -> extractAll(v, ${elementPattern}), arrayFilter(v -> startsWith(v, 's['), mapValues(attributes))))`,
);

export function decodeAttributes(encoded: Readonly<Record<string, string>>): Record<string, AttributeValue> {
  const attributes: Record<string, AttributeValue> = Object.create(null);
  for (const key of Object.keys(encoded)) attributes[key] = decode(encoded[key] as string);
  return attributes;
}

function decode(encoded: string): AttributeValue {
  const text = encoded.slice(1);
  switch (encoded[0]) {
    case "n":
      return Number(text);
    case "b":
      return text === "true";
    case "z":
      return null;
    default:
      return text;
  }
}
