import { expect, test } from "vitest";
import type { KeyUse } from "../../src/keys/usage/store.ts";
import { UnwrittenUses } from "../../src/keys/usage/unwritten-uses.ts";

function use(keyId: string, minute: number, members: Partial<KeyUse> = {}): KeyUse {
  const minuteSeconds = minute * 60;
  const common = { generation: 1, accepted: 1, refused: 2, address: "192.0.2.1", agent: undefined };
  const lastUsedAtMs = members.lastUsedAtMs ?? minuteSeconds * 1000 + 5;
  return { keyId, ...common, minuteSeconds, lastUsedAtMs, lastValidAtMs: lastUsedAtMs, ...members };
}

test("uses of one secret within one minute are one row, and the latest says from where", () => {
  const uses = new UnwrittenUses();
  uses.add(use("a", 1));
  uses.add(use("a", 1, { lastUsedAtMs: 60_900, address: "192.0.2.2", agent: "later" }));
  uses.add(use("a", 1, { lastUsedAtMs: 60_100, address: "192.0.2.3" }));
  uses.add(use("a", 2));
  uses.add(use("a", 1, { generation: 2 }));
  expect(uses.rows).toBe(3);
  expect(uses.take()).toEqual([
    use("a", 1, { accepted: 3, refused: 6, lastUsedAtMs: 60_900, address: "192.0.2.2", agent: "later" }),
    use("a", 2),
    use("a", 1, { generation: 2 }),
  ]);
  expect(uses.rows).toBe(0);
});

test("a million rows are bounded, and no use of a key that has a row is lost", () => {
  const uses = new UnwrittenUses(1_000);
  for (let minute = 0; minute < 1_000; minute++) {
    for (let key = 0; key < 1_000; key++) uses.add(use(`key ${key}`, minute));
  }
  expect(uses.rows).toBe(1_000);
  expect(uses.takeDropped()).toBe(0);
  const rows = uses.take();
  expect(rows).toHaveLength(1_000);
  for (const row of rows)
    expect(row).toMatchObject({ accepted: 1_000, refused: 2_000, lastUsedAtMs: 999 * 60_000 + 5 });
});

test("keys that have no row when the bound is reached are counted as dropped", () => {
  const uses = new UnwrittenUses(2);
  for (const key of ["a", "b", "c", "d"]) uses.add(use(key, 1));
  expect(uses.takeDropped()).toBe(2);
  expect(uses.takeDropped()).toBe(0);
  expect(uses.rows).toBe(2);
});
