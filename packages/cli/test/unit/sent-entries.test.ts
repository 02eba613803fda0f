import { parseQuery } from "@sazabi/sdk/protocol";
import { describe, expect, test } from "vitest";
import { SentEntries } from "../../src/intake/sent-entries.ts";

const now = new Date("2026-11-30T12:00:00Z");
const hoursAgo = (hours: number) => (now.getTime() - hours * 3_600_000) * 1000;

function commandFor(...entries: readonly (readonly [service: string | undefined, timeMicros?: number])[]): string {
  const sent = new SentEntries();
  for (const [service, timeMicros] of entries) sent.add({ service, timeMicros });
  return sent.queryCommand(now);
}

describe("the command that shows what was sent", () => {
  test("names the services that were accepted", () => {
    expect(commandFor(["a"])).toBe("sazabi logs query service:a");
    expect(commandFor(["a"], ["b c"], ["a"])).toBe("sazabi logs query 'service:(a OR \"b c\")'");
    expect(commandFor(["a"], [undefined])).toBe("sazabi logs query");
    expect(commandFor([undefined])).toBe("sazabi logs query");
    expect(commandFor(["a"], ["b"], ["c"], ["d"], ["e"])).toBe("sazabi logs query");
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
