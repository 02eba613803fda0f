import { afterEach, describe, expect, test } from "vitest";
import { formatSpan, parseTime } from "../../src/times.ts";
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
