import { randomBytes } from "node:crypto";
import fc from "fast-check";
import { expect, test } from "vitest";
import { DigestTable } from "../../src/auth/digest-table.ts";
import { wordsOf } from "../../src/auth/key-digest.ts";

const newDigest = () => wordsOf(randomBytes(32).toString("base64"));
/** All of them have one slot, whatever the table's factors. */
const crowded = (last: number) => Int32Array.from([7, 7, 0, 0, 0, 0, 0, last]);

test("each of 20,000 digests is found again while the table grows, and no other one", () => {
  const table = new DigestTable<{ n: number }>();
  const entries = Array.from({ length: 20_000 }, (_, n) => ({ digest: newDigest(), value: { n } }));
  for (const { digest, value } of entries) table.set(digest, value);
  expect(table.size).toBe(20_000);
  for (const { digest, value } of entries) expect(table.get(digest)).toBe(value);
  for (let n = 0; n < 1_000; n++) expect(table.get(newDigest())).toBeUndefined();
});

test("a digest that is set again has its new value, and counts once", () => {
  const table = new DigestTable<{ n: number }>();
  const digest = newDigest();
  table.set(digest, { n: 1 });
  table.set(digest, { n: 2 });
  expect([table.get(digest), table.size]).toEqual([{ n: 2 }, 1]);
});

test("a digest that differs in any one bit is another", () => {
  const table = new DigestTable<object>();
  const digest = newDigest();
  table.set(digest, {});
  for (let bit = 0; bit < 256; bit++) {
    const other = digest.slice();
    (other[bit >> 5] as number) ^= 1 << (bit & 31);
    expect(table.get(other)).toBeUndefined();
  }
});

test("a table is told the digest, not where it is written: the array may hold another one afterwards", () => {
  const table = new DigestTable<{ n: number }>();
  const digest = newDigest();
  const copy = digest.slice();
  table.set(digest, { n: 1 });
  digest.fill(0);
  expect(table.get(copy)).toEqual({ n: 1 });
});

test("whatever is set, deleted and cleared, among digests that want one place too, the table holds what a Map would", () => {
  const digests = [...Array.from({ length: 12 }, (_, n) => crowded(n)), ...Array.from({ length: 12 }, newDigest)];
  const index = fc.nat(digests.length - 1);
  const step = fc.oneof(
    { weight: 10, arbitrary: fc.record({ kind: fc.constant("set" as const), index }) },
    { weight: 8, arbitrary: fc.record({ kind: fc.constant("delete" as const), index }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant("clear" as const), index }) },
  );
  fc.assert(
    fc.property(fc.array(step, { minLength: 10, maxLength: 120 }), (steps) => {
      const table = new DigestTable<object>();
      const model = new Map<number, object>();
      for (const { kind, index } of steps) {
        const digest = digests[index] as Int32Array;
        if (kind === "set") {
          const value = {};
          table.set(digest, value);
          model.set(index, value);
        } else if (kind === "delete") {
          table.delete(digest);
          model.delete(index);
        } else {
          table.clear();
          model.clear();
        }
        expect(table.size).toBe(model.size);
        for (const [known, digest] of digests.entries()) expect(table.get(digest)).toBe(model.get(known));
      }
    }),
    { numRuns: 300 },
  );
});

test("digests that are alike in their first numbers are found while the table grows around them", () => {
  const table = new DigestTable<{ n: number }>();
  for (let n = 0; n < 300; n++) table.set(crowded(n), { n });
  for (let n = 0; n < 3_000; n++) table.set(newDigest(), { n });
  for (let n = 0; n < 300; n += 2) table.delete(crowded(n));
  for (let n = 0; n < 300; n++) expect(table.get(crowded(n))).toEqual(n % 2 === 0 ? undefined : { n });
});
