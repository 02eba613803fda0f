import fc from "fast-check";
import { expect, test } from "vitest";
import { TimeSlices } from "../../src/concurrency/event-loop-fairness.ts";
import { JsonFault, JsonLimit, parseInSteps } from "../../src/concurrency/json-steps.ts";

const slices = new TimeSlices();
const steps = (text: string, stepLength: number, maxMembers = 1_000_000) =>
  parseInSteps(text, { slices, maxMembers, stepLength });

/** Undefined for what is no JSON, which JSON never is. */
async function outcomes(text: string, stepLength: number): Promise<[expected: unknown, actual: unknown]> {
  let expected: unknown;
  try {
    expected = JSON.parse(text);
  } catch {}
  const actual = await steps(text, stepLength).catch((error: unknown) => {
    if (!(error instanceof JsonFault)) throw error;
    return undefined;
  });
  return [expected, actual];
}

test("parses what JSON.parse parses, to the same value, whatever the length of a step", async () => {
  const json = fc
    .tuple(fc.json({ maxDepth: 6 }), fc.constantFrom(undefined, 1, "\t"))
    .map(([text, indent]) => JSON.stringify(JSON.parse(text), undefined, indent));
  await fc.assert(
    fc.asyncProperty(json, fc.integer({ min: 1, max: 40 }), async (text, stepLength) => {
      const [expected, actual] = await outcomes(text, stepLength);
      expect(actual).toEqual(expected);
      // The order of members counts, too.
      expect(JSON.stringify(actual)).toBe(JSON.stringify(expected));
    }),
    { numRuns: 1_000 },
  );
});

test("refuses what JSON.parse refuses", async () => {
  const character = fc.constantFrom(...'{}[],:" \\\n\u00a0\ufeff0a');
  const edited = fc
    .tuple(fc.json({ maxDepth: 4 }), fc.nat(), fc.nat(3), fc.array(character, { maxLength: 3 }))
    .map(([text, place, cut, put]) => {
      const at = place % (text.length + 1);
      return text.slice(0, at) + put.join("") + text.slice(at + cut);
    });
  const brackets = fc
    .array(fc.constantFrom("{", "}", "[", "]", ",", ":", '"a"', '"a":', "1", " "))
    .map((all) => all.join(""));
  await fc.assert(
    fc.asyncProperty(fc.oneof(edited, brackets), fc.integer({ min: 1, max: 20 }), async (text, stepLength) => {
      const [expected, actual] = await outcomes(text, stepLength);
      expect([text, actual]).toEqual([text, expected]);
    }),
    { numRuns: 5_000 },
  );
});

test.each([
  '{"__proto__":{"a":1},"b":[1,2,{"__proto__":3}]}',
  '{"a":1,"b":2,"a":{"c":[1,2,3]},"1":0}',
  '[[[[],[]],[{}]],{"":[]}]',
  '  {"a" : [ 1 , { } ] , "b" :\n{"c":"]},\\"{"} }\n',
])("%s", async (text) => {
  for (let stepLength = 1; stepLength < 20; stepLength++) {
    const actual = await steps(text, stepLength);
    expect(actual).toStrictEqual(JSON.parse(text));
    expect(JSON.stringify(actual)).toBe(JSON.stringify(JSON.parse(text)));
  }
});

test("counts members and elements at every depth, and stops beyond the limit", async () => {
  const text = '{"a":[1,2,{"b":"1,2,3,4","c":4}],"d":5}';
  expect(await steps(text, 4, 7)).toEqual(JSON.parse(text));
  await expect(steps(text, 4, 6)).rejects.toBeInstanceOf(JsonLimit);
});

test("refuses what is nested so deep that its parser would need the memory of the service", async () => {
  await expect(steps("[".repeat(1_000_000), 16_384)).rejects.toThrow(/nested more than 10000 levels deep/);
});
