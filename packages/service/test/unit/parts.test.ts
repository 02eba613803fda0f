import fc from "fast-check";
import { expect, test } from "vitest";
import {
  maxSearchSlices,
  type SearchSliceOptions,
  searchSlices,
  type TimeRange,
} from "../../src/logs/engines/postgres/adaptive-time-slices.ts";

const day = 86_400_000_000;
const longest = 60 * day;

const cases = fc
  .record({
    from: fc.integer({ min: 0, max: longest }),
    length: fc.integer({ min: 1, max: longest }),
    nearest: fc.tuple(fc.double({ min: 0, max: 1, noNaN: true }), fc.double({ min: 0, max: 1, noNaN: true })),
    direction: fc.constantFrom("asc" as const, "desc" as const),
    sealedBeforeMicros: fc.integer({ min: 0, max: 2 * longest }),
    found: fc.integer({ min: 0, max: 50 }),
  })
  .map(({ from, length, nearest, direction, sealedBeforeMicros, found }) => {
    const range: TimeRange = { fromMicros: from, toMicros: from + length };
    const places = nearest.map((part) => from + Math.floor(part * (length - 1))).sort((a, b) => a - b);
    const [first, last] = places as [number, number];
    const options: SearchSliceOptions = {
      nearest: { fromMicros: first, toMicros: last + 1 },
      nearestRows: 2_000,
      direction,
      sealedBeforeMicros,
      progress: () => ({ found, wanted: 101 - found }),
    };
    return { range, options };
  });

test("parts cover the range exactly, in the order of the search", () => {
  fc.assert(
    fc.property(cases, ({ range, options }) => {
      const parts = [...searchSlices(range, options)];
      const ascending = options.direction === "asc" ? parts : [...parts].reverse();
      let at = range.fromMicros;
      for (const { fromMicros, toMicros } of ascending) {
        expect(fromMicros).toBe(at);
        expect(toMicros).toBeGreaterThan(fromMicros);
        at = toMicros;
      }
      expect(at).toBe(range.toMicros);
    }),
    { numRuns: 5000 },
  );
});

test("the first part holds the nearest rows, and no later one crosses the border of the sealed days", () => {
  fc.assert(
    fc.property(cases, ({ range, options }) => {
      const [first, ...others] = [...searchSlices(range, options)];
      expect(first?.along).toBe(true);
      expect(first?.fromMicros).toBeLessThanOrEqual(options.nearest.fromMicros);
      expect(first?.toMicros).toBeGreaterThanOrEqual(options.nearest.toMicros);
      for (const { fromMicros, toMicros } of others) {
        expect(fromMicros < options.sealedBeforeMicros && options.sealedBeforeMicros < toMicros).toBe(false);
      }
    }),
    { numRuns: 5000 },
  );
});

test("whatever is found in them, there are never more parts than the window allows for", () => {
  const progress = fc.array(fc.tuple(fc.integer({ min: 0, max: 1_001 }), fc.integer({ min: 1, max: 1_001 })), {
    minLength: 1,
    maxLength: 100,
  });
  fc.assert(
    fc.property(cases, progress, ({ range, options }, steps) => {
      let step = 0;
      const next = () => {
        const [found, wanted] = steps[step++ % steps.length] as [number, number];
        return { found, wanted };
      };
      const parts = [...searchSlices(range, { ...options, progress: next })];
      expect(parts.length).toBeLessThanOrEqual(maxSearchSlices(range, options.nearest));
    }),
    { numRuns: 20_000 },
  );
  // Ten years, of which the nearest rows were all of one microsecond.
  const years = { fromMicros: 0, toMicros: 3_650 * day };
  expect(maxSearchSlices(years, { fromMicros: 0, toMicros: 1 })).toBe(27);
});

test("a page that is nearly full does not make the parts tiny", () => {
  const options = { ...sixtyDays(0), progress: () => ({ found: 1_000, wanted: 1 }) };
  const parts = [...searchSlices({ fromMicros: 0, toMicros: longest }, options)];
  expect(parts.map(({ along }) => along)).toEqual([true, true, false, true]);
});

/** Sixty days of one row a minute, of which the first 2,000 held so many matches. */
function sixtyDays(found: number): SearchSliceOptions {
  return {
    nearest: { fromMicros: longest - 2_000 * 60_000_000, toMicros: longest },
    nearestRows: 2_000,
    direction: "desc",
    sealedBeforeMicros: 0,
    progress: () => ({ found, wanted: 100 - found }),
  };
}

test("where nothing matched, parts grow, and few of them cover the range", () => {
  const parts = [...searchSlices({ fromMicros: 0, toMicros: longest }, sixtyDays(0))];
  expect(parts.map(({ along }) => along)).toEqual([true, false, false]);
});

test("where some matched, twice the rows that should hold the rest are read along", () => {
  const [, second] = [...searchSlices({ fromMicros: 0, toMicros: longest }, sixtyDays(20))];
  expect(second?.along).toBe(true);
  expect((second as TimeRange).toMicros - (second as TimeRange).fromMicros).toBe(2 * 4 * 2_000 * 60_000_000);
});
