import { dayMicros } from "./days.ts";

/** Microseconds since 1970. */
export interface TimeRange {
  /** Included. */
  readonly fromMicros: number;
  /** Excluded. */
  readonly toMicros: number;
}

export interface SearchSlice extends TimeRange {
  /** Few rows, to be read one by one in the order of time until there are enough. */
  readonly along: boolean;
}

export interface SearchSliceOptions {
  /** From the first row of the order to where the first part ends. */
  readonly nearest: TimeRange;
  /** Rows in it. */
  readonly nearestRows: number;
  readonly direction: "asc" | "desc";
  /** Before this, rows are found by index: days cost little there. No part crosses it. */
  readonly sealedBeforeMicros: number;
  /** Matches in the parts so far, and how many are still wanted. */
  readonly progress: () => { readonly found: number; readonly wanted: number };
}

/** So much longer each part is than all before it: what is read in vain is a small share of what is read. */
const growth = 16;

/** More rows than this are not read one by one in the hope that matches go on as they began. */
const rowsAlong = 100_000;

/** Parts, and so statements, of any search: two for each time that what is covered grows, and three at its edges. */
export function maxSearchSlices(range: TimeRange, nearest: TimeRange): number {
  const times = (range.toMicros - range.fromMicros) / (nearest.toMicros - nearest.fromMicros);
  return 3 + 2 * Math.ceil(Math.log(Math.max(1, times)) / Math.log(1 + growth));
}

/**
 * The range in parts that follow each other in the order of the search and cover it. First the nearest rows. Where they
 * say that enough matches will come soon, so many more, read one by one. After such a guess that was wrong, and where
 * matches are rare, ever longer parts, at least a day at once where days are sealed. Never more than `maxParts`.
 */
export function* searchSlices(range: TimeRange, options: SearchSliceOptions): Generator<SearchSlice> {
  const { nearest, nearestRows, direction, sealedBeforeMicros, progress } = options;
  const descending = direction === "desc";
  let { fromMicros, toMicros } = range;
  let length = nearest.toMicros - nearest.fromMicros;
  const longestAlong = (length * rowsAlong) / nearestRows;
  let covered = 0;
  let along = true;
  let isFirst = true;
  let end = descending ? nearest.fromMicros : nearest.toMicros;
  for (;;) {
    if (descending) {
      const start = Math.max(fromMicros, end);
      yield { fromMicros: start, toMicros, along };
      toMicros = start;
    } else {
      const stop = Math.min(toMicros, end);
      yield { fromMicros, toMicros: stop, along };
      fromMicros = stop;
    }
    if (fromMicros >= toMicros) return;
    covered += length;
    const { found, wanted } = progress();
    // Twice as far as it should take.
    const likely = found === 0 ? Number.POSITIVE_INFINITY : Math.ceil((2 * covered * wanted) / found);
    along = (isFirst || !along) && likely <= longestAlong;
    isFirst = false;
    const isSealed = descending ? toMicros <= sealedBeforeMicros : fromMicros < sealedBeforeMicros;
    // Matches may not go on as they began: a page that is nearly full must not make the parts tiny.
    length = along
      ? Math.max(likely, Math.min(covered, longestAlong))
      : Math.max(covered * growth, isSealed ? dayMicros : 0);
    end = descending ? toMicros - length : fromMicros + length;
    const crosses = descending
      ? end < sealedBeforeMicros && sealedBeforeMicros < toMicros
      : fromMicros < sealedBeforeMicros && sealedBeforeMicros < end;
    if (crosses) end = sealedBeforeMicros;
  }
}
