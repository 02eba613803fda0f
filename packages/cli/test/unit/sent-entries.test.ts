import { parseQuery } from "@sazabi/sdk/protocol";
import { describe, expect, test } from "vitest";
import { SentEntries } from "../../src/intake/sent-entries.ts";

const now = new Date("2026-11-30T12:00:00Z");
const hoursAgo = (hours: number) => (now.getTime() - hours * 3_600_000) * 1000;

type Entry = readonly [service: string | undefined, timeMicros?: number];

function hintFor(entries: readonly Entry[], options: readonly string[] = []): string {
  const sent = new SentEntries();
  for (const [service, timeMicros] of entries) sent.add({ service, timeMicros });
  return sent.queryHint(now, options);
}

const commandFor = (...entries: readonly Entry[]) => hintFor(entries).replace("See them: ", "");

describe("the command that shows what was sent", () => {
  test("names the services that were accepted", () => {
    expect(commandFor(["a"])).toBe("sazabi logs query service:a");
    expect(commandFor(["a"], ["b c"], ["a"])).toBe("sazabi logs query 'service:(a OR \"b c\")'");
    const ten = [..."abcdefghij"];
    expect(commandFor(...ten.map((name) => [name] as const))).toBe(`sazabi logs query 'service:(${ten.join(" OR ")})'`);
  });

  test("finds those without a service", () => {
    expect(commandFor([undefined])).toBe("sazabi logs query 'NOT service:*'");
    expect(commandFor(["a"], [undefined])).toBe("sazabi logs query 'service:a OR NOT service:*'");
    expect(commandFor(["a"], [undefined], ["b c"])).toBe("sazabi logs query 'service:(a OR \"b c\") OR NOT service:*'");
  });

  test("of too many services shows the others of that time, too, and the hint says so", () => {
    const eleven = [..."abcdefghijk"];
    expect(hintFor(eleven.map((name) => [name]))).toBe("See them, among others: sazabi logs query --since 1h");
    expect(hintFor(eleven.map((name) => [name, hoursAgo(2)]))).toBe(
      "See them, among others: sazabi logs query --since 3h",
    );
    expect(hintFor(eleven.map((name) => [name, hoursAgo(-5)]))).toBe(
      "See them, among others: sazabi logs query --since 1h",
    );
    // A batch that the last run left, whose entries are not known.
    expect(hintFor([])).toBe("See them, among others: sazabi logs query --since 1h");
  });

  test("has the options that the search needs, as a shell reads them", () => {
    expect(hintFor([["a"]], ["--project", "my shop"])).toBe(
      "See them: sazabi logs query --project 'my shop' service:a",
    );
  });

  test("covers their times", () => {
    expect(commandFor(["a", hoursAgo(2)])).toBe("sazabi logs query service:a");
    expect(commandFor(["a", hoursAgo(2)], ["a", hoursAgo(30)])).toBe("sazabi logs query --since 31h service:a");
    expect(commandFor(["a", hoursAgo(23.5)])).toBe("sazabi logs query --since 25h service:a");
    expect(commandFor(["a", hoursAgo(24 * 10)])).toBe("sazabi logs query --since 11d service:a");
  });

  test.each(["we ird (1)", "*", "a*b", 'q"uo\\te', "a:b", "OR", "-x", "/x/", "it's", "ünï", ">5", "[a TO b]"])(
    "names %s so that the query means that service, and nothing else",
    (service) => {
      const [, word = ""] = /^sazabi logs query (.*)$/.exec(commandFor([service])) ?? [];
      const unquoted = word.startsWith("'") ? word.slice(1, -1).replaceAll("'\\''", "'") : word;
      const { ast, warnings } = parseQuery(unquoted);
      expect(warnings).toEqual([]);
      expect(ast).toEqual({
        kind: "field",
        field: { column: "service" },
        test: { kind: "matches", pattern: [service.toLowerCase()] },
      });
    },
  );
});
