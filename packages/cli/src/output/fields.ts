import type { Column } from "./table.ts";

/** The members of a list's rows, and those that were requested. */
export interface FieldSelection {
  /** In the order of a table's columns. */
  readonly all: readonly string[];
  /** The validated value of `--fields`; undefined without it. */
  readonly chosen?: readonly string[];
}

/**
 * Returns the value of a dotted name: `rotation.previousMasked`. A member's own name may contain dots, as in
 * `attributes.http.status`; the longest existing name counts. Returns null if there is none.
 */
export function valueAt(row: unknown, name: string): unknown {
  if (typeof row !== "object" || row === null) return null;
  if (Object.hasOwn(row, name)) return (row as Record<string, unknown>)[name] ?? null;
  for (let dot = name.lastIndexOf("."); dot > 0; dot = name.lastIndexOf(".", dot - 1)) {
    const member = name.slice(0, dot);
    if (Object.hasOwn(row, member)) return valueAt((row as Record<string, unknown>)[member], name.slice(dot + 1));
  }
  return null;
}

/** Returns a flat object with these members, in this order. */
export function pick(row: unknown, names: readonly string[]): Record<string, unknown> {
  const picked: Record<string, unknown> = Object.create(null);
  for (const name of names) picked[name] = valueAt(row, name);
  return picked;
}

/** Converts a value to text. Returns undefined for null. */
export function textOf(value: unknown): string | undefined {
  if (value === null || value === undefined) return undefined;
  return typeof value === "string" ? value : JSON.stringify(value);
}

/** Returns table columns for these members. */
export function columnsOf(names: readonly string[]): readonly Column<unknown>[] {
  return names.map((name) => ({
    title: name,
    value: (row) => textOf(valueAt(row, name)),
    narrow: /(^|\.|[a-z_])id$/i.test(name) ? "keep" : "cut",
  }));
}
