import { textOf, valueAt } from "./fields.ts";
import { visibleText } from "./visible.ts";

/**
 * CSV is opened in spreadsheets and printed with `cat`, and log messages are written by strangers. So a text that a
 * spreadsheet would take for a formula gets a `'` in front, and control characters are shown, not carried out; line
 * ends and tabs stay. Who needs the bytes asks for JSON.
 */

/** One line by RFC 4180, with its line end. */
export function csvLine(cells: readonly (string | undefined)[]): string {
  return `${cells.map((cell) => quoted(cell ?? "")).join(",")}\r\n`;
}

/** The values of `row` with these names, as a line; null is an empty cell. */
export function csvRow(row: unknown, names: readonly string[]): string {
  return csvLine(names.map((name) => cellOf(valueAt(row, name))));
}

function cellOf(value: unknown): string | undefined {
  const text = textOf(value);
  return text === undefined || typeof value === "number" ? text : withoutFormula(visibleText(text));
}

/** What spreadsheets begin a formula with, in both widths, and what they skip before it. */
const formula = /^[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]/;
const decimal = /^-?\d+(\.\d+)?$/;

function withoutFormula(text: string): string {
  return formula.test(text) && !decimal.test(text) ? `'${text}` : text;
}

function quoted(cell: string): string {
  return /[",\r\n]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell;
}
