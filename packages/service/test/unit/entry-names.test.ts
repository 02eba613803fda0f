import { expect, test } from "vitest";
import { copyJson } from "../../src/logs/engines/postgres/copy-json.ts";
import { parsePath } from "../../src/logs/ingest/entry-names.ts";

const flood = (label: string) => Array.from({ length: 60_000 }, (_, index) => `${label}.${index}`);

test("a flood of names does not keep those that come later from being remembered", () => {
  for (const name of flood("flood")) parsePath(name);
  expect(parsePath("later")).toBe(parsePath("later"));
  // Nor are names forgotten that go on beside it.
  const known = parsePath("later");
  for (const [index, name] of flood("again").entries()) {
    parsePath(name);
    if (index % 1_000 === 0) expect(parsePath("later")).toBe(known);
  }
});

test("keys are written in the order in which jsonb keeps them, also after a flood of others", () => {
  for (const name of flood("flood")) copyJson({ [name]: 1 });
  // The first entry teaches them.
  copyJson({ bb: 1, a: 2, b: 3, ab: 4 });
  expect(copyJson({ bb: 1, a: 2, b: 3, ab: 4 })).toBe('{"a":2,"b":3,"ab":4,"bb":1}');
});
