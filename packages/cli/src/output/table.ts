import type { Palette } from "./colour.ts";
import { visible } from "./visible.ts";
import { fit, pad, widthOf } from "./width.ts";

export interface Column<T> {
  readonly title: string;
  readonly value: (row: T) => string | null | undefined;
  /**
   * What happens to the column on a narrow terminal. `keep` prints it whole (an id to copy), `cut` truncates its
   * longest texts, and `drop` omits it if the columns before it leave no room.
   */
  readonly narrow: "keep" | "cut" | "drop";
  /** The minimum width when truncated. */
  readonly least?: number;
}

export interface RenderedTable {
  readonly lines: readonly string[];
  /** Titles of columns left out to fit. */
  readonly dropped: readonly string[];
}

const gap = "  ";
const defaultLeast = 8;

/**
 * Returns the lines of an aligned table, at most `width` wide as far as its columns allow. Without a width nothing is
 * truncated.
 */
export function renderTable<T>(
  columns: readonly Column<T>[],
  rows: readonly T[],
  options: { readonly width: number | undefined; readonly palette: Palette },
): RenderedTable {
  const all = columns.map((column) => {
    const cells = rows.map((row) => visible(column.value(row) ?? "-"));
    return { ...column, cells, width: Math.max(widthOf(column.title), ...cells.map(widthOf)) };
  });
  const { kept, dropped } = fitColumns(all, options.width ?? Number.POSITIVE_INFINITY);
  const line = (cellOf: (column: (typeof kept)[number]) => string) =>
    kept
      .map((column) => pad(fit(cellOf(column), column.width), column.width))
      .join(gap)
      .trimEnd();
  return {
    lines: [
      options.palette.bold(line((column) => column.title.toUpperCase())),
      ...rows.map((_, i) => line((column) => column.cells[i] as string)),
    ],
    dropped: dropped.map((column) => column.title),
  };
}

interface Sized extends Pick<Column<unknown>, "narrow" | "least"> {
  readonly width: number;
}

function fitColumns<C extends Sized>(columns: readonly C[], width: number) {
  const fitting = new Set(columns.filter(({ narrow }) => narrow !== "drop"));
  for (const column of columns) if (narrowestTotal([...fitting, column]) <= width) fitting.add(column);
  const kept = columns.filter((column) => fitting.has(column));
  return { kept: cutColumns(kept, width), dropped: columns.filter((column) => !fitting.has(column)) };
}

/** Narrows the widest column that may be cut, until the table fits. */
function cutColumns<C extends Sized>(columns: readonly C[], width: number): readonly C[] {
  const cut = [...columns];
  for (let over = total(cut) - width; over > 0; over--) {
    let widest = -1;
    for (const [i, column] of cut.entries()) {
      const cuttable = column.narrow === "cut" && column.width > leastOf(column);
      if (cuttable && column.width > (cut[widest]?.width ?? 0)) widest = i;
    }
    const column = cut[widest];
    if (!column) break;
    cut[widest] = { ...column, width: column.width - 1 };
  }
  return cut;
}

function total(columns: readonly Sized[]): number {
  return columns.reduce((sum, column) => sum + column.width, 0) + gap.length * (columns.length - 1);
}

/** Returns the minimum width. A column that may be dropped counts in full. */
function narrowestTotal(columns: readonly Sized[]): number {
  const narrowest = columns.map((column) =>
    column.narrow === "cut" ? { ...column, width: Math.min(column.width, leastOf(column)) } : column,
  );
  return total(narrowest);
}

const leastOf = ({ least = defaultLeast }: Sized) => least;
