import { parseExactJson } from "@sazabi/sdk/protocol";

export type Members = Readonly<Record<string, unknown>>;

/** The object that a text of JSON is; undefined when it is anything else. */
export function parseObject(text: string): Members | undefined {
  if (!text.startsWith("{") || !text.endsWith("}")) return undefined;
  const value = parse(text);
  return isObject(value) ? value : undefined;
}

/** The objects of a text that is a JSON array of objects and nothing else. */
export function parseObjects(text: string): readonly Members[] | undefined {
  if (!text.endsWith("]") || !/^\[\s*\{/.test(text)) return undefined;
  const values = parse(text);
  return Array.isArray(values) && values.every(isObject) ? values : undefined;
}

function parse(text: string): unknown {
  try {
    return parseExactJson(text);
  } catch {
    return undefined;
  }
}

function isObject(value: unknown): value is Members {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
