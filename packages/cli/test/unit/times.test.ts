import { parseDuration } from "@sazabi/sdk";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { formatMoment, parseTime } from "../../src/times.ts";

const now = new Date("2026-11-22T08:00:00.000Z");
const parse = (text: string) => parseTime("--from", text, now).toISOString();

describe("a time", () => {
  test.each([
    ["now", "2026-11-22T08:00:00.000Z"],
    ["90s", "2026-11-22T07:58:30.000Z"],
    ["30m", "2026-11-22T07:30:00.000Z"],
    ["1h", "2026-11-22T07:00:00.000Z"],
    ["2d", "2026-11-20T08:00:00.000Z"],
    ["1w", "2026-11-15T08:00:00.000Z"],
    ["1d12h", "2026-11-20T20:00:00.000Z"],
    ["2026-11-22T06:00:00Z", "2026-11-22T06:00:00.000Z"],
    ["2026-11-22t06:00:00.123456789z", "2026-11-22T06:00:00.123Z"],
    ["2026-11-22 06:00 +02:00", "2026-11-22T04:00:00.000Z"],
    ["2026-11-22T06:00:00-0530", "2026-11-22T11:30:00.000Z"],
    ["2024-02-29", new Date(2024, 1, 29).toISOString()],
    ["2026-11-22T06:30", new Date(2026, 10, 22, 6, 30).toISOString()],
    ["  1h ", "2026-11-22T07:00:00.000Z"],
  ])("%j is %s", (text, iso) => {
    expect(parse(text)).toBe(iso);
  });

  test.each([
    "",
    "1",
    "h",
    "1x",
    "-1h",
    "yesterday",
    "2026",
    "2026-13-01",
    "2026-02-29",
    "2026-11-22T24:00",
    "2026-11-22T10:60",
    "2026-11-22T10:00+25:00",
    "22.11.2026",
    "1700000000",
  ])("%j is refused, saying what is accepted", (text) => {
    expect(() => parse(text)).toThrow(/--from/);
    try {
      parse(text);
    } catch (error) {
      expect((error as { hint: string }).hint).toContain("1h, 2d");
    }
  });

  test("that was printed reads back as the same moment", () => {
    const moment = fc.date({ min: new Date("1971-01-01"), max: new Date("2099-12-31"), noInvalidDate: true });
    fc.assert(
      fc.property(moment, (time) => {
        expect(parse(time.toISOString())).toBe(time.toISOString());
        expect(formatMoment(parseTime("--from", formatMoment(time), now))).toBe(formatMoment(time));
      }),
    );
  });

  test("whatever is typed is read or refused, and never anything else", () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.stringMatching(/^[\d\-:T+.Zsmhdw ]{0,24}$/)), (text) => {
        try {
          expect(parse(text)).toMatch(/^[+-]?\d{4,6}-/);
        } catch (error) {
          expect(error).toMatchObject({ exit: "usage" });
        }
      }),
    );
  });
});

test("durations add up", () => {
  expect(parseDuration("1w2d3h4m5s")).toBe((((7 + 2) * 24 + 3) * 60 + 4) * 60_000 + 5000);
  expect(parseDuration("1 h")).toBeUndefined();
});
