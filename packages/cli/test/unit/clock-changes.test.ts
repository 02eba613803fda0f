import { afterEach, describe, expect, test } from "vitest";
import { formatIntervalStart, formatMinute, formatMoment, formatSpan, formatTime, parseTime } from "../../src/times.ts";
import { startService } from "../support/service.ts";
import { terminal } from "../support/terminal.ts";

const zone = process.env.TZ;
afterEach(() => {
  process.env.TZ = zone ?? "UTC";
});

describe("where the clocks change", () => {
  test("each end of a span has its own zone", () => {
    process.env.TZ = "America/New_York";
    expect(formatSpan(new Date("2026-11-01T04:00:00Z"), new Date("2026-11-02T05:00:00Z"))).toBe(
      "2026-11-01 00:00:00 (UTC-04:00) to 2026-11-02 00:00:00 (UTC-05:00)",
    );
    expect(formatSpan(new Date("2026-11-02T05:00:00Z"), new Date("2026-11-03T05:00:00Z"))).toBe(
      "2026-11-02 00:00:00 to 2026-11-03 00:00:00 (UTC-05:00)",
    );
  });

  test.each([
    ["logs", "query"],
    ["logs", "volume"],
    ["logs", "patterns"],
  ])("sazabi %s %s says both", async (...words) => {
    process.env.TZ = "Europe/Berlin";
    const from = "2026-10-25T00:30:00.000Z";
    const to = "2026-10-25T01:30:00.000Z";
    const { env } = await startService({
      "POST /v1/logs/query": () => ({
        body: { data: [], nextCursor: null, meta: { count: 0, took: 1, from, to, warnings: [] } },
      }),
      "POST /v1/logs/volume": () => ({ body: { series: [], total: 0, interval: "1h", meta: { warnings: [] } } }),
      "POST /v1/logs/patterns": () => ({ body: { patterns: [], total: 0, warnings: [] } }),
    });
    const argv = [...words, "--from", "2026-10-25T02:30+02:00", "--to", "2026-10-25T02:30+01:00"];
    const { err } = await terminal({ env }).run(argv);
    expect(err).toContain("2026-10-25 02:30:00 (UTC+02:00) to 2026-10-25 02:30:00 (UTC+01:00)");
  });

  test.each([
    ["America/New_York", "2026-11-01T05:30:00Z", "2026-11-01 01:30:00.000 -04:00"],
    ["America/New_York", "2026-11-01T06:30:00Z", "2026-11-01 01:30:00.000 -05:00"],
    ["America/New_York", "2026-11-01T04:59:59.999Z", "2026-11-01 00:59:59.999"],
    ["America/New_York", "2026-11-01T05:00:00Z", "2026-11-01 01:00:00.000 -04:00"],
    ["America/New_York", "2026-11-01T06:59:59.999Z", "2026-11-01 01:59:59.999 -05:00"],
    ["America/New_York", "2026-11-01T07:00:00Z", "2026-11-01 02:00:00.000"],
    ["America/New_York", "2026-03-08T07:30:00Z", "2026-03-08 03:30:00.000"],
    ["Europe/London", "2026-10-25T00:30:00Z", "2026-10-25 01:30:00.000 +01:00"],
    ["Europe/London", "2026-10-25T01:30:00Z", "2026-10-25 01:30:00.000 +00:00"],
    ["Australia/Lord_Howe", "2026-04-04T14:45:00Z", "2026-04-05 01:45:00.000 +11:00"],
    ["Australia/Lord_Howe", "2026-04-04T15:15:00Z", "2026-04-05 01:45:00.000 +10:30"],
    ["UTC", "2026-11-01T05:30:00Z", "2026-11-01 05:30:00.000"],
  ])("in %s %s is %s: with its offset where the clock shows a time twice", (name, time, text) => {
    process.env.TZ = name;
    expect(formatMoment(new Date(time))).toBe(text);
    expect(formatTime(new Date(time))).toBe(text.replace(/\.\d{3}/, ""));
    expect(formatMinute(new Date(time))).toBe(text.replace(/:\d\d\.\d{3}/, ""));
    if (text.includes("0 ")) expect(parseTime("--from", text, new Date())).toEqual(new Date(time));
  });

  test("intervals of a day and six hours are named by UTC", () => {
    process.env.TZ = "America/New_York";
    const start = new Date("2026-11-01T06:00:00Z");
    expect(formatIntervalStart(start, "1d")).toBe("2026-11-01 UTC");
    expect(formatIntervalStart(start, "6h")).toBe("2026-11-01 06:00 UTC");
    expect(formatIntervalStart(start, "1h")).toBe("2026-11-01 01:00:00 -05:00");
  });

  test.each([
    ["1d", ["2026-11-01 UTC", "2026-11-02 UTC"]],
    ["6h", ["2026-11-01 00:00 UTC", "2026-11-01 06:00 UTC"]],
    ["1h", ["2026-10-31 20:00:00", "2026-10-31 21:00:00"]],
  ])("logs volume --interval %s has the lines %j", async (interval, titles) => {
    process.env.TZ = "America/New_York";
    const [startDate, endDate] = ["2026-11-01T00:00:00.000Z", "2026-11-03T00:00:00.000Z"];
    const series = [{ group: "", total: 1, points: [{ bucket: startDate, count: 1 }] }];
    const { env } = await startService({
      "POST /v1/logs/volume": () => ({
        body: { series, total: 1, interval, startDate, endDate, meta: { warnings: [] } },
      }),
    });
    const argv = ["logs", "volume", "--interval", interval, "--from", startDate, "--to", endDate];
    const { out } = await terminal({ env }).run(argv);
    expect(out.split("\n").slice(0, 2)).toEqual(titles.map((title) => expect.stringMatching(`^${title}  +[01]`)));
  });

  test("a time that the clocks skip is refused, and a date that begins with one is not", () => {
    process.env.TZ = "Europe/Berlin";
    expect(() => parseTime("--from", "2026-03-29T02:30", new Date())).toThrow("does not understand");
    expect(parseTime("--from", "2026-03-29T02:30+01:00", new Date()).toISOString()).toBe("2026-03-29T01:30:00.000Z");
    process.env.TZ = "America/Asuncion";
    expect(parseTime("--from", "2023-10-01", new Date()).toISOString()).toBe("2023-10-01T04:00:00.000Z");
  });
});

test.each([
  [["keys", "create", "x", "--expires", "99999999999999999999d"]],
  [["keys", "create", "x", "--expires", "3000000d"]],
  [["keys", "secret-keys", "update", "x", "--expires", "99999999999999999999d"]],
  [["logs", "query", "--since", "9999999d"]],
  [["logs", "query", "--from", "99999999999999999999w"]],
  [["logs", "query", "--to", "9999999d"]],
  [["logs", "volume", "--since", "9999999d"]],
  [["logs", "patterns", "--since", "9999999d"]],
  [["logs", "tail", "--since", "9999999d"]],
  [["audit", "list", "--since", "9999999d"]],
  [["keys", "usage", "x", "--since", "9999999d"]],
  [["keys", "list", "--unused-for", "99999999999999999999d"]],
  [["keys", "rotate", "x", "--grace", "99999999999999999999d"]],
])("%j is wrong use, and no request is made of it", async (argv) => {
  const { env, asked } = await startService();
  const { code, err } = await terminal({ env }).run(argv);
  expect({ code, asked: asked.length }).toEqual({ code: 2, asked: 0 });
  expect(err).not.toContain("bug");
});
