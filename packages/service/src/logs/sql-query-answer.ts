import { type ApiError, invalidMember } from "../errors.ts";
import type { NativeAnswer } from "./log-store.ts";

/** What a native query may take, whatever it runs in. */
export const nativeBounds = {
  timeMs: 10_000,
  columns: 100,
  rows: 10_000,
  /** Of a value; a longer one is cut. */
  cellCharacters: 4_000,
  /** Of all that is answered. */
  resultCharacters: 1024 * 1024,
} as const;

/** The text that a native query is answered with, row by row, up to its bounds. */
export class NativeText {
  #text: string;
  #rows = 0;
  #truncated = false;

  constructor(columns: readonly string[]) {
    this.#text = `${columns.map(escaped).join("\t")}\n`;
  }

  /** False when there is no room for the row; then it is the last that is asked for. */
  add(cells: readonly (string | null)[]): boolean {
    const line = `${cells.map(cellText).join("\t")}\n`;
    this.#rows += 1;
    if (this.#rows > nativeBounds.rows || this.#text.length + line.length > nativeBounds.resultCharacters) {
      this.#truncated = true;
      return false;
    }
    this.#truncated ||= cells.some((cell) => (cell?.length ?? 0) > nativeBounds.cellCharacters);
    this.#text += line;
    return true;
  }

  answer(): NativeAnswer {
    return { text: this.#text, truncated: this.#truncated };
  }
}

/** As PostgreSQL's and ClickHouse's tab-separated formats have it. */
function cellText(value: string | null): string {
  if (value === null) return "\\N";
  const { cellCharacters } = nativeBounds;
  return value.length > cellCharacters ? `${escaped(value.slice(0, cellCharacters))}…` : escaped(value);
}

const escapes: Readonly<Record<string, string>> = { "\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r" };

function escaped(text: string): string {
  return text.replace(/[\\\t\n\r]/g, (character) => escapes[character] as string);
}

/** What is wrong with a query, for its author. */
export function refusedQuery(fault: string): ApiError {
  return invalidMember("query", fault);
}
