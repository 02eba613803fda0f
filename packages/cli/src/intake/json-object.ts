import { parseExactJson } from "@sazabi/sdk/protocol";

export type Members = Readonly<Record<string, unknown>>;

/** Parses a JSON object. Returns undefined for any other text. */
export function parseObject(text: string): Members | undefined {
  if (!text.startsWith("{") || !text.endsWith("}")) return undefined;
  const value = parse(text);
  return isObject(value) ? value : undefined;
}

/** Parses a JSON array that contains only objects. */
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
