import { describe, expect, test } from "vitest";
import { type Asked, projectId, startService } from "../support/service.ts";
import { terminal } from "../support/terminal.ts";

const meta = { count: 1, took: 1, from: "2026-11-21T08:00:00.000Z", to: "2026-11-23T08:00:00.000Z", warnings: [] };

const entry = (more: object = {}) => ({
  id: "1",
  projectId,
  timestamp: "2026-11-22T07:59:58.123Z",
  level: "error",
  severity: "ERROR",
  service: "checkout",
  environment: null,
  message: "payment failed",
  body: "payment failed",
  trace_id: null,
  span_id: null,
  attributes: {},
  resource: {},
  ...more,
});

async function service(page: object | ((asked: Asked) => object) = {}) {
  return startService({
    "POST /v1/logs/query": (asked) => ({
      body: { data: [entry()], nextCursor: null, meta, ...(typeof page === "function" ? page(asked) : page) },
    }),
  });
}

const now = new Date("2026-11-22T08:00:00.000Z");

describe("logs patterns", () => {
  test.each([60, 80])("shows what there is of the pattern before anything else at %i columns", async (columns) => {
    const pattern = "payment <*> of order <*> failed after <*> ms: connection refused by <*>";
    const row = { pattern, occurrences: 12_345, severity: "ERROR", serviceName: "checkout-payments-worker" };
    const patterns = [{ ...row, lastSeen: "2026-11-22T07:59:58.123Z" }];
    const { env } = await startService({
      "POST /v1/logs/patterns": () => ({ body: { patterns, total: 1, warnings: [] } }),
    });
    const { out, err } = await terminal({ env: { ...env, NO_COLOR: "1" }, columns }).run(["logs", "patterns"]);
    expect(Math.max(...out.split("\n").map((line) => line.length))).toBeLessThanOrEqual(columns);
    expect(out).toContain("payment <*> of order <*> failed");
    expect(err.includes("Left out to fit the terminal: last seen.")).toBe(columns === 60);
  });
});

describe("logs query", () => {
  test("prints the entries, and on stderr the time that was searched", async () => {
    const { env } = await service({ data: [entry({ attributes: { "http.status": 502, path: "/a b" } })] });
    const { code, out, err } = await terminal({ env }).run(["logs", "query", "level:error"]);
    expect(code).toBe(0);
    expect(out).toMatch(
      /^\d{4}-\d\d-\d\d \d\d:\d\d:58\.123 {2}ERROR {2}checkout {2}payment failed {2}http\.status=502 path="\/a b"\n$/,
    );
    expect(err).toMatch(/^1 shown\. Searched 2026-11-2\d \d\d:\d\d:\d\d and later \(UTC.*\)\.\n$/);
  });

  test("sends the query as it was typed; the service reads it", async () => {
    const { env, asked } = await service();
    const { run } = terminal({ env });
    await run(["logs", "query", 'level:error  "two  words" -x']);
    await run(["logs", "query", "level:error", "timeout"]);
    await run(["logs", "query"]);
    expect(asked.map(({ json }) => (json as { search?: unknown }).search)).toEqual([
      { query: 'level:error  "two  words" -x' },
      { query: "level:error timeout" },
      undefined,
    ]);
  });

  test("takes words that begin with - after --, and a query with spaces even without", async () => {
    const { env, asked } = await service();
    const { run } = terminal({ env });
    await run(["logs", "query", "--", "-debug", "error"]);
    await run(["logs", "query", "-debug error", "--limit", "5"]);
    await run(["logs", "query", "--limit", "5", "--", "-a", "--limit"]);
    expect(asked.map(({ json }) => (json as { search: { query: string } }).search.query)).toEqual([
      "-debug error",
      "-debug error",
      "-a --limit",
    ]);
    const { code, err } = await run(["logs", "query", "-debug"]);
    expect(code).toBe(2);
    expect(err).toContain("put -- before it");
  });

  test("reads times as ago, local, zoned or a date", async () => {
    const { env, asked } = await service();
    const { run } = terminal({ env, now });
    await run(["logs", "query", "--since", "1h"]);
    await run(["logs", "query", "--from", "2026-11-22T06:00:00+02:00", "--to", "2026-11-22T05:00:00Z"]);
    await run(["logs", "query", "--from", "2026-11-20"]);
    expect(asked.map(({ json }) => (json as { filters: unknown }).filters)).toEqual([
      [{ field: "timestamp", op: "gte", value: "2026-11-22T07:00:00.000Z" }],
      [
        { field: "timestamp", op: "gte", value: "2026-11-22T04:00:00.000Z" },
        { field: "timestamp", op: "lt", value: "2026-11-22T05:00:00.000Z" },
      ],
      [{ field: "timestamp", op: "gte", value: new Date(2026, 10, 20).toISOString() }],
    ]);
  });

  test.each([
    [["--since", "yesterday-ish"], "Accepted:"],
    [["--from", "2026-02-30"], "Accepted:"],
    [["--since", "1h", "--from", "2h"], "exclude each other"],
    [["--from", "1h", "--to", "2h"], "time span is empty"],
    [["--from", "2999-01-01"], "it starts at 2999-01-01 00:00:00, and now it is"],
    [["--limit", "0"], "whole number"],
  ])("%j is refused with what is accepted, before anything is sent", async (options, words) => {
    const { env, asked } = await service();
    const { code, err } = await terminal({ env, now }).run(["logs", "query", ...options]);
    expect(code).toBe(2);
    expect(err).toContain(words);
    expect(asked).toEqual([]);
  });

  test("a limit is never silent, not even with --json", async () => {
    const page = { data: [entry(), entry({ id: "2" })], nextCursor: "more" };
    const { env, asked } = await service(page);
    const { run } = terminal({ env });
    for (const more of [[], ["--json"]]) {
      const { err } = await run(["logs", "query", "--limit", "2", ...more]);
      expect(err).toMatch(/^2 shown, more match: --limit or --all\./);
    }
    expect(asked.map(({ json }) => (json as { pagination: unknown }).pagination)).toEqual([{ limit: 2 }, { limit: 2 }]);
  });

  test("--all and a large --limit read page after page", async () => {
    const { env, asked } = await service(({ json }) => {
      const { cursor } = (json as { pagination: { cursor?: string } }).pagination;
      const data = Array.from({ length: 1000 }, (_, i) => entry({ id: `${cursor ?? "a"}${i}` }));
      return { data, nextCursor: cursor === "c" ? null : cursor === "b" ? "c" : "b" };
    });
    const { run } = terminal({ env });
    expect((await run(["logs", "query", "--all", "--json"])).out.trimEnd().split("\n")).toHaveLength(3000);
    expect(asked).toHaveLength(3);
    const { out, err } = await run(["logs", "query", "--limit", "1500", "--json"]);
    expect(out.trimEnd().split("\n")).toHaveLength(1500);
    expect(err).toContain("1500 shown, more match");
  });

  test("says that nothing matches", async () => {
    const { env } = await service({ data: [] });
    expect(await terminal({ env }).run(["logs", "query", "x"])).toMatchObject({
      code: 0,
      out: "",
      err: expect.stringContaining("Nothing matches"),
    });
  });

  test("marks the part of the query that was taken as text", async () => {
    const warnings = [{ message: "Taken as text.", start: 5, end: 10 }];
    const { env } = await service({ meta: { ...meta, warnings } });
    const { err } = await terminal({ env }).run(["logs", "query", "日本 \u001b (oops"]);
    expect(err.split("\n").slice(0, 3)).toEqual(["warning: Taken as text.", "  日本 ? (oops", "         ^^^^^"]);
  });

  test("searches the project of the flag, the environment or the profile, and says which", async () => {
    const { env, asked } = await service();
    const { run } = terminal({ env });
    const words = (source: string) => new RegExp(`later \\(UTC.*\\), in project ${projectId}${source}\\.\n$`);
    expect((await run(["logs", "query", "--project", projectId])).err).toMatch(words(""));
    const ofEnvironment = await run(["logs", "query"], { env: { SAZABI_PROJECT_ID: projectId } });
    expect(ofEnvironment.err).toMatch(words(" \\(SAZABI_PROJECT_ID\\)"));
    await run(["config", "set", "projectId", projectId]);
    expect((await run(["logs", "query"])).err).toMatch(words(" \\(profile default\\)"));
    expect(asked.map(({ json }) => (json as { projectId: string }).projectId)).toEqual(Array(3).fill(projectId));
  });
});

describe("an entry that tries to drive the terminal", () => {
  const hostile =
    "a\u001b[31mred\u001b[0m \u001b]0;title\u0007 \u009b2J \u202eright-to-left\r\n2026-11-22 ERROR forged";

  test("is shown and not carried out, and cannot pass for two entries", async () => {
    const { env } = await service({
      data: [entry({ message: hostile, service: "x\u001bc", attributes: { "k\u001b": "\u0000" } })],
    });
    for (const columns of [undefined, 80]) {
      const { out } = await terminal({ env, ...(columns ? { columns } : {}) }).run([
        "logs",
        "query",
        "--color",
        "never",
      ]);
      // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there.
      expect(out).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e]/);
      expect(out).toContain("ared \\x1b]0;title\\x07 \\x9b2J \\u202eright-to-left");
      expect(out.split("\n")[1]).toBe("    | 2026-11-22 ERROR forged");
    }
  });

  test("arrives in JSON to the byte, one object a line, and safe to print", async () => {
    const { env } = await service({ data: [entry({ message: hostile }), entry({ message: "\ud800 lone" })] });
    const { out, err } = await terminal({ env }).run(["logs", "query", "--json"]);
    const lines = out.trimEnd().split("\n");
    expect(lines.map((line) => JSON.parse(line).message)).toEqual([hostile, "\ud800 lone"]);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there.
    expect(out).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e]/);
    expect(err).toBe("");
  });
});
