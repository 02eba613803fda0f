import { expect, test } from "vitest";
import type { CachedKey } from "../../src/auth/verify/cached-key.ts";
import { DeadKeyUses } from "../../src/auth/verify/dead-key-uses.ts";

const key = (keyId: string) => ({ keyId, kind: "secret", organizationId: "org" }) as CachedKey;

function watch() {
  const lines: Readonly<Record<string, unknown>>[] = [];
  let now = 0;
  const uses = new DeadKeyUses(
    (fields) => lines.push(fields),
    () => now,
  );
  const pass = (ms: number) => {
    now += ms;
    uses.flush();
  };
  return { uses, lines, pass };
}

test("the first use is written at once, the others once a minute with how many they were", () => {
  const { uses, lines, pass } = watch();
  uses.record(key("a"), "revoked", "10.0.0.1");
  const first = { keyId: "a", kind: "secret", organizationId: "org", reason: "revoked", times: 1, address: "10.0.0.1" };
  expect(lines).toEqual([first]);
  for (let index = 0; index < 500; index++) uses.record(key("a"), "revoked", "10.0.0.2");
  pass(59_999);
  expect(lines).toHaveLength(1);
  pass(1);
  expect(lines[1]).toEqual({ ...first, times: 500, address: "10.0.0.2" });
  pass(60_000);
  pass(60_000);
  expect(lines).toHaveLength(2);
  uses.record(key("a"), "revoked", "10.0.0.3");
  expect(lines[2]).toMatchObject({ times: 1, address: "10.0.0.3" });
  uses.close();
});

test("a key whose old secret is used is told apart from a revoked one, and each is counted", () => {
  const { uses, lines } = watch();
  uses.record(key("a"), "rotated", "10.0.0.1");
  uses.record(key("a"), "revoked", "10.0.0.1");
  uses.record(key("b"), "expired", "10.0.0.1");
  expect(lines.map(({ keyId, reason }) => `${keyId} ${reason}`)).toEqual(["a rotated", "a revoked", "b expired"]);
  expect(uses.samples()).toEqual([
    { labels: { reason: "revoked" }, value: 1 },
    { labels: { reason: "expired" }, value: 1 },
    { labels: { reason: "rotated" }, value: 1 },
  ]);
  uses.close();
});

test("with very many keys the memory and the lines are bounded, and nothing goes uncounted", () => {
  const { uses, lines, pass } = watch();
  for (let index = 0; index < 5_000; index++) uses.record(key(`key ${index}`), "revoked", "10.0.0.1");
  expect(lines).toHaveLength(1_000);
  pass(10_000);
  expect(lines[1_000]).toEqual({ keyId: "others", times: 4_000 });
  uses.record(key("one more"), "revoked", "10.0.0.1");
  pass(10_000);
  expect(lines).toHaveLength(1_001);
  expect(uses.samples()[0]).toEqual({ labels: { reason: "revoked" }, value: 5_001 });
  uses.close();
});
