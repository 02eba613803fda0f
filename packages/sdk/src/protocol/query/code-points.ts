export type CodePointRange = readonly [from: number, to: number];

/** What `\w` matches. */
export const wordRanges: readonly CodePointRange[] = [
  [0x30, 0x39],
  [0x41, 0x5a],
  [0x5f, 0x5f],
  [0x61, 0x7a],
];

/** Whether a code point is in one of the ranges, which are ascending and apart. */
export function holdsPoint(ranges: readonly CodePointRange[], point: number): boolean {
  let low = 0;
  let high = ranges.length - 1;
  while (low <= high) {
    const middle = (low + high) >> 1;
    const [from, to] = ranges[middle] as CodePointRange;
    if (point < from) high = middle - 1;
    else if (point > to) low = middle + 1;
    else return true;
  }
  return false;
}

/** The same code points in ranges that are ascending and apart. */
export function mergeRanges(ranges: readonly CodePointRange[]): readonly CodePointRange[] {
  const result: [number, number][] = [];
  for (const [from, to] of [...ranges].sort((a, b) => a[0] - b[0])) {
    const last = result.at(-1);
    if (last && from <= last[1] + 1) last[1] = Math.max(last[1], to);
    else result.push([from, to]);
  }
  return result;
}

/** The place of the first number that is not less, in ascending numbers; their length when there is none. */
export function firstAtLeast(numbers: Int32Array, wanted: number): number {
  let low = 0;
  let high = numbers.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((numbers[middle] as number) < wanted) low = middle + 1;
    else high = middle;
  }
  return low;
}
