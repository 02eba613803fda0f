import { describe, expect, test } from "vitest";
import { maskedWords, shapeOf } from "../../src/logs/patterns/mask.ts";
import { mergeTemplates } from "../../src/logs/patterns/merge.ts";
import { PatternMiner, PatternMiners } from "../../src/logs/patterns/miner.ts";
import { type CorpusRow, corpusKinds, corpusOf } from "../support/log-corpus.ts";
import { seeded } from "../support/seeded.ts";

const rowsOfAKind = 2_000;

/** As they are counted: by what their templates became, when all were learned. */
function groupsOf(rows: readonly CorpusRow[]): readonly number[] {
  const miner = new PatternMiner();
  const mined = rows.map(({ message }) => miner.patternOf(message));
  const entries = new Map<number, number>();
  for (const { id } of mined) entries.set(id, (entries.get(id) ?? 0) + 1);
  const templates = new Map(
    mined.map((pattern) => [pattern.id, { ...pattern, entries: entries.get(pattern.id) as number }]),
  );
  const merged = mergeTemplates([...templates.values()]);
  return mined.map(({ id }) => merged.get(id)?.id as number);
}

/**
 * Grouping accuracy (Zhu et al., 2019): the part of the rows whose group holds exactly the rows of their template, no more and
 * no less.
 */
function accuracyOf(rows: readonly CorpusRow[], groups: readonly number[]): number {
  const ofTemplate = new Map<number, number>();
  const ofGroup = new Map<number, { readonly templates: Set<number>; rows: number }>();
  for (const [index, { template }] of rows.entries()) {
    ofTemplate.set(template, (ofTemplate.get(template) ?? 0) + 1);
    const group = ofGroup.get(groups[index] as number) ?? { templates: new Set(), rows: 0 };
    ofGroup.set(groups[index] as number, group);
    group.templates.add(template);
    group.rows += 1;
  }
  let right = 0;
  for (const { templates, rows: count } of ofGroup.values()) {
    const [only] = templates;
    if (templates.size === 1 && ofTemplate.get(only as number) === count) right += count;
  }
  return right / rows.length;
}

test.each([1, 2, 3])("twelve kinds of logs are grouped as they were made, by one configuration (seed %i)", (seed) => {
  const accuracies = corpusKinds.map((kind) => {
    const rows = corpusOf(kind, rowsOfAKind, seeded(seed));
    return accuracyOf(rows, groupsOf(rows));
  });
  const mean = accuracies.reduce((sum, accuracy) => sum + accuracy, 0) / accuracies.length;
  console.log(
    `grouping accuracy ${mean.toFixed(3)}: ${corpusKinds.map((kind, index) => `${kind} ${accuracies[index]?.toFixed(2)}`).join(", ")}`,
  );
  expect(mean).toBeGreaterThan(0.85);
});

test("all kinds mixed in one project are grouped as well", () => {
  const random = seeded(4);
  const rows = corpusKinds.flatMap((kind, kindIndex) =>
    corpusOf(kind, rowsOfAKind / 4, random).map(({ message, template }) => ({
      message,
      template: kindIndex * 100 + template,
    })),
  );
  const shuffled = rows
    .map((row) => ({ row, place: random(1_000_000_000) }))
    .sort((a, b) => a.place - b.place)
    .map(({ row }) => row);
  expect(accuracyOf(shuffled, groupsOf(shuffled))).toBeGreaterThan(0.85);
});

test("the measure can fail: one group for all, and a group for each row, are right for hardly any", () => {
  const rows = corpusOf("sshd", 500, seeded(1));
  expect(
    accuracyOf(
      rows,
      rows.map(() => 1),
    ),
  ).toBe(0);
  expect(
    accuracyOf(
      rows,
      rows.map((_, index) => index),
    ),
  ).toBeLessThan(0.02);
});

test("the same messages in the same order are of the same patterns", () => {
  const rows = corpusOf("openstack", 500, seeded(9));
  expect(groupsOf(rows)).toEqual(groupsOf(rows));
});

test("two processes that learned in different orders count the same patterns", () => {
  const rows = corpusKinds.flatMap((kind) => corpusOf(kind, 500, seeded(5)));
  const halves = [rows.filter((_, index) => index % 2 === 0), rows.filter((_, index) => index % 2 === 1).reverse()];
  const count = (parts: readonly (readonly CorpusRow[])[]) => {
    const entries = new Map<number, { template: string; id: number; entries: number }>();
    for (const part of parts) {
      const miner = new PatternMiner();
      for (const { message } of part) {
        const { id, template } = miner.patternOf(message);
        entries.set(id, { id, template, entries: (entries.get(id)?.entries ?? 0) + 1 });
      }
    }
    const merged = mergeTemplates([...entries.values()]);
    const counts = new Map<string, number>();
    for (const { id, entries: n } of entries.values()) {
      const { template } = merged.get(id) as { template: string };
      counts.set(template, (counts.get(template) ?? 0) + n);
    }
    return counts;
  };
  const alone = count([rows]);
  const together = count(halves);
  const sum = (counts: ReadonlyMap<string, number>) => [...counts.values()].reduce((a, b) => a + b, 0);
  expect(sum(together)).toBe(rows.length);
  // Whatever was learned where, nearly all patterns and their counts are the same.
  const same = [...alone].filter(([template, entries]) => together.get(template) === entries);
  expect(same.reduce((n, [, entries]) => n + entries, 0) / rows.length).toBeGreaterThan(0.9);
});

describe("what is a parameter by its looks", () => {
  test.each([
    ["took 35 ms", "took <*> ms"],
    ["from 10.1.2.3:8080 to 10.1.2.4", "from <*> to <*>"],
    ["2026-11-22 10:00:00,123 started", "<*> started"],
    ["session 0x7fae12 of 4bf92f35-77b3-4da6-a3ce-929d0e0e4736", "session <*> of <*>"],
    ["open /var/lib/sazabi/data.db failed", "open <*> failed"],
    ["healthy /healthz", "healthy /healthz"],
    ['said "hello there" to bob', 'said "<*>" to bob'],
    ["isn't it the user's", "isn't it the user's"],
    ['1.2.3.4 "GET /a/b HTTP/1.1" 200', '<*> "GET <*> <*>" <*>'],
    ["ids 1 2 3 4 deleted", "ids <*> deleted"],
    ["größe über 5 straße", "größe über <*> straße"],
    ["boom\n    at frame (file.js:3:4)", "boom"],
    ["\n\n", ""],
    ["", ""],
  ])("%j", (message, template) => {
    expect(maskedWords(message).join(" ")).toBe(template);
  });
});

test("messages that differ in numbers have one shape, and others have not", () => {
  expect(shapeOf("took 35 ms for u7")).toBe(shapeOf("took 1 ms for u12345"));
  expect(shapeOf("boom 1\nat a")).toBe(shapeOf("boom 2\nat b"));
  const shapes = new Set<number>();
  const texts = corpusKinds.flatMap((kind) =>
    corpusOf(kind, 500, seeded(8)).map(({ message }) =>
      message.replace(/[\w./@~%+-]*\d[\w./@~%+-]*|\/[\w.@~%+-]*\/[\w./@~%+-]*/g, "0"),
    ),
  );
  for (const text of texts) shapes.add(shapeOf(text));
  expect(shapes.size).toBe(new Set(texts).size);
});

test("where a third word comes into a place, the template becomes more general, and what was counted before joins it", () => {
  const miner = new PatternMiner();
  const [hit, miss] = ["cache hit for key", "cache miss for key"].map((message) => miner.patternOf(message));
  expect(hit?.template).toBe("cache hit for key");
  expect(miss?.template).toBe("cache miss for key");
  const other = miner.patternOf("cache error for key");
  expect(other.template).toBe("cache <*> for key");
  const templates = [hit, miss, other].map((pattern) => ({ id: 0, template: "", ...pattern, entries: 1 }));
  const merged = mergeTemplates(templates);
  expect(new Set([...merged.values()].map(({ template }) => template))).toEqual(new Set(["cache <*> for key"]));
});

test("memory is bounded, whatever comes, and everything still has a pattern", () => {
  const miner = new PatternMiner();
  const random = seeded(6);
  const word = () => Array.from({ length: 8 }, () => String.fromCharCode(97 + random(26))).join("");
  const templates = new Set<string>();
  for (let row = 0; row < 20_000; row++)
    templates.add(miner.patternOf(Array.from({ length: 5 }, word).join(" ")).template);
  expect(templates.size).toBeLessThanOrEqual(3_001);
  expect(templates).toContain("<*>");
  const miners = new PatternMiners();
  const first = miners.of(1);
  for (let project = 2; project <= 100; project++) miners.of(project);
  expect(miners.of(1)).toBe(first);
  for (let project = 101; project <= 250; project++) miners.of(project);
  expect(miners.of(1)).not.toBe(first);
});

describe("messages that have nothing in common", () => {
  const random = seeded(11);
  const word = () => Array.from({ length: 8 }, () => String.fromCharCode(97 + random(26))).join("");
  const junk = (count: number) => Array.from({ length: count }, () => `${word()} ${word()} ${word()}`);
  const payments = (count: number) =>
    Array.from({ length: count }, (_, index) => `payment ${index} of customer c${index} received`);

  test("do not keep a kind that comes later from being learned", () => {
    const miner = new PatternMiner();
    for (const message of junk(1_000)) miner.patternOf(message);
    const found = payments(300).map((message) => miner.patternOf(message).template);
    expect(new Set(found)).toEqual(new Set(["payment <*> of customer <*> received"]));
  });

  test("do not take a kind away that goes on beside them", () => {
    const miner = new PatternMiner();
    const found = new Set<string>();
    for (const [index, message] of junk(5_000).entries()) {
      miner.patternOf(message);
      if (index % 100 === 0) found.add(miner.patternOf(payments(1)[0] as string).template);
    }
    expect(found).toEqual(new Set(["payment <*> of customer <*> received"]));
  });

  test("make templates for one in twenty of them at most, beyond the first 2,000", () => {
    const miner = new PatternMiner();
    const templates = new Set(junk(40_000).map((message) => miner.patternOf(message).id));
    expect(templates.size).toBeLessThan(2_000 + 40_000 / 20 + 10);
    // And the next kind is learned within twenty messages.
    const found = payments(100).map((message) => miner.patternOf(message).template);
    expect(found.filter((template) => template.startsWith("payment")).length).toBeGreaterThanOrEqual(80);
  });

  test("that begin alike do neither", () => {
    const miner = new PatternMiner();
    for (let n = 0; n < 1_000; n++) miner.patternOf(`payment ${word()} ${word()} ${word()} ${word()} ${word()}`);
    const [first, last] = [
      miner.patternOf("payment was not taken from card"),
      miner.patternOf("payment was not taken from bank"),
    ];
    expect(first.template).not.toBe("<*>");
    expect(last.template).not.toBe("<*>");
  });
});
