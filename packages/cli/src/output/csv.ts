import { textOf, valueAt } from "./fields.ts";
import { visibleText } from "./visible.ts";

/**
 * CSV is opened in spreadsheets and printed on terminals, and log messages are untrusted. So a text that a spreadsheet
 * would read as a formula is prefixed with `'`, and control characters are escaped. Line ends and tabs are unchanged.
 * JSON output has the exact bytes.
 */

/** Returns one line of RFC 4180, with its line end. */
export function csvLine(cells: readonly (string | undefined)[]): string {
  return `${cells.map((cell) => quoted(cell ?? "")).join(",")}\r\n`;
}

/** Returns a line of the values with these names. Null is an empty cell. */
export function csvRow(row: unknown, names: readonly string[]): string {
  return csvLine(names.map((name) => cellOf(valueAt(row, name))));
}

function cellOf(value: unknown): string | undefined {
  const text = textOf(value);
  return text === undefined || typeof value === "number" ? text : withoutFormula(visibleText(text));
}

/** The characters with which spreadsheets begin a formula, in both widths, and those that they skip before it. */
const formula = /^[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]/;
const decimal = /^-?\d+(\.\d+)?$/;

function withoutFormula(text: string): string {
  return formula.test(text) && !decimal.test(text) ? `'${text}` : text;
}

function quoted(cell: string): string {
  return /[",\r\n]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell;
}
