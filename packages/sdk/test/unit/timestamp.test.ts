import { expect, test } from "vitest";
import { parseTimestamp } from "../../src/protocol/index.ts";

const at = Date.UTC(2026, 10, 22, 10, 0, 0) * 1000;

test.each<[string | number, number | undefined]>([
  // ISO 8601 and what is close to it
  ["2026-11-22T10:00:00Z", at],
  ["2026-11-22T10:00:00.123Z", at + 123_000],
  ["2026-11-22T10:00:00.123456Z", at + 123_456],
  ["2026-11-22T10:00:00.123456789Z", at + 123_456],
  ["2026-11-22T10:00:00.1Z", at + 100_000],
  ["2026-11-22T10:00:00.4794180000Z", at + 479_418],
  ["2026-11-22T11:00:00+01:00", at],
  ["2026-11-22T04:30:00-0530", at],
  ["2026-11-22T12:00:00+02", at],
  ["2026-11-22 10:00:00", at],
  ["2026-11-22 10:00:00,123", at + 123_000],
  ["2026-11-22 10:00", at],
  ["2026/11/22 10:00:00", at],
  ["2026-11-22t10:00:00z", at],
  ["2026-11-22 10:00:00 UTC", at],
  ["2026-11-22T10:00:00Z[Etc/UTC]", at],
  ["2026-11-22", at - 36_000_000_000],
  ["2026-11-30T10:00:00Z", at + 8 * 86_400_000_000],
  ["2016-12-31T23:59:60Z", Date.UTC(2016, 11, 31, 23, 59, 59) * 1000 + 999_999],
  // RFC 2822, HTTP, access logs
  ["Sun, 22 Nov 2026 10:00:00 GMT", at],
  ["22 Nov 2026 11:00:00 +0100", at],
  ["22/Nov/2026:10:00:00 +0000", at],
  // Numbers, by size
  [1_795_341_600, at],
  [1_795_341_600.5, at + 500_000],
  [1_795_341_600_000, at],
  [1_795_341_600_000_001, at + 1],
  [1_795_341_600_000_000_000, at],
  ["1795341600", at],
  ["1795341600.123456", at + 123_456],
  ["1795341600000", at],
  ["1795341600000001", at + 1],
  ["1795341600000001999", at + 1],
  [0, 0],
  [-1, -1_000_000],
  // No times
  ["yesterday", undefined],
  ["", undefined],
  ["2026-13-01T00:00:00Z", undefined],
  ["2026-02-30T00:00:00Z", undefined],
  ["2026-11-22T24:00:00Z", undefined],
  ["2026-11-22T25:00:00Z", undefined],
  ["2026-11-22T10:00:00.12x456Z", undefined],
  ["+300000-01-01T00:00:00Z", undefined],
  ["error 5", undefined],
  ["12345678901234567890123", undefined],
  [1e300, undefined],
  [Number.NaN, undefined],
])("%s is read as %s", (value, micros) => {
  expect(parseTimestamp(value)).toBe(micros);
});

test("a time that is no text and no number is none", () => {
  for (const value of [null, undefined, true, {}, []]) expect(parseTimestamp(value)).toBeUndefined();
});
