import { existsSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { makeBatches } from "../../src/intake/batches.ts";
import { followFile } from "../../src/intake/follow.ts";
import { readLines } from "../../src/intake/lines.ts";
import { Positions } from "../../src/intake/positions.ts";
import { scratchDirectory } from "../support/terminal.ts";

interface RunOptions {
  /** Batches after which the process is killed. */
  readonly killAfter?: number;
  /** Entries after which it is stopped, and a moment longer so that more would be seen. */
  readonly stopAt?: number;
  readonly multiline?: boolean;
}

/** Runs of `logs send --follow` on one file, which share a position file. Each returns the entries that it sends. */
function followed(content: string) {
  const directory = scratchDirectory();
  const file = join(directory, "app.log");
  writeFileSync(file, content);
  const run = async ({ killAfter = Number.POSITIVE_INFINITY, stopAt = 0, multiline = true }: RunOptions = {}) => {
    const stop = new AbortController();
    const positions = Positions.open(
      () => directory,
      { file, apiUrl: "http://127.0.0.1:1", publicKey: "k", anew: false },
      (problem) => expect.unreachable(problem.message),
    );
    const sent: string[] = [];
    const start = await positions.start(file);
    const bytes = followFile(file, {
      signal: stop.signal,
      onChange: () => {},
      onPart: (part) => positions.addPart(part),
      first: start?.first,
    });
    const options = { service: "s", level: undefined, lineTimes: false, multiline, now: new Date() };
    const batches = makeBatches(readLines(bytes), { ...options, from: start?.from, tellsPlaces: true }, stop.signal);
    let count = 0;
    if (stopAt === 0) setTimeout(() => stop.abort(new Error("stopped")), 1_500);
    try {
      for await (const batch of batches) {
        positions.begin(batch);
        sent.push(...batch.body.split("\n"));
        positions.done();
        count += 1;
        if (count >= killAfter) break;
        if (stopAt > 0 && sent.length >= stopAt) setTimeout(() => stop.abort(new Error("stopped")), 700);
      }
    } catch (error) {
      return { sent, error: (error as Error).message };
    }
    return { sent, error: undefined };
  };
  return { file, run };
}

describe("what a run held when it ended", () => {
  test("is sent once, also when the next is killed before it reads the file", async () => {
    const numbers = Array.from({ length: 3_500 }, (_, n) => `{"n":${n}}`);
    const { run } = followed(`[${numbers.join(",")}]\n`);
    const runs = [await run({ killAfter: 1 }), await run({ killAfter: 2 }), await run({ stopAt: 500 })];
    expect(runs.map(({ sent }) => sent.length)).toEqual([1_000, 2_000, 500]);
    expect(new Set(runs.flatMap(({ sent }) => sent)).size).toBe(3_500);
  });

  test("waits while the file is missing, and goes on when it is there again", async () => {
    const { file, run } = followed('plain one\n{\n "a": 1,\n');
    expect((await run({ stopAt: 1 })).sent).toHaveLength(1);
    renameSync(file, `${file}.elsewhere`);
    renameSync(`${file}.elsewhere`, join(scratchDirectory(), "gone.log"));
    for (let restart = 0; restart < 2; restart++) {
      expect(await run()).toEqual({ sent: [], error: expect.stringContaining("Cannot read") });
    }
    expect(existsSync(file)).toBe(false);
    writeFileSync(file, ' "b": 2\n}\n');
    const { sent } = await run({ stopAt: 1 });
    expect(sent.map((entry) => JSON.parse(entry))).toEqual([{ service: "s", a: 1, b: 2 }]);
  });

  test("is sent when the next joins no lines", async () => {
    const { file, run } = followed('plain one\n{\n "a": 1,\n');
    await run({ stopAt: 1 });
    writeFileSync(file, "plain two\n", { flag: "a" });
    const { sent } = await run({ stopAt: 2, multiline: false });
    expect(sent.join("\n")).toContain("a");
    expect(sent.at(-1)).toContain("plain two");
    expect((await run({ multiline: false })).sent).toEqual([]);
  });
});
