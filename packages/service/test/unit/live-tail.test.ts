import { evaluate, everything, parseQuery, type QueryNode } from "@sazabi/sdk/protocol";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type BufferOwner, bufferLimits, TailBuffers } from "../../src/logs/live-tail/buffers.ts";
import { TailQuotas, tailQuotas } from "../../src/logs/live-tail/quotas.ts";
import { ReadSlots } from "../../src/logs/live-tail/read-slots.ts";
import { StepBudgets, stepLimits } from "../../src/logs/live-tail/step-budgets.ts";
import { storeFilter } from "../../src/logs/live-tail/store-filter.ts";
import { entries, queries } from "../support/queries.ts";

describe("steps", () => {
  test("are shared by the tails of a key, and come back with time", () => {
    let now = 0;
    const budgets = new StepBudgets(() => now);
    expect(budgets.charge("a", stepLimits.keyBurst - 1)).toBe(true);
    expect(budgets.charge("a", 1)).toBe(false);
    expect(budgets.charge("b", 1)).toBe(true);
    expect(budgets.secondsUntilSteps("a")).toBe(1);
    now += 1_000;
    expect(budgets.secondsUntilSteps("a")).toBe(0);
    expect(budgets.charge("a", stepLimits.keyPerSecond)).toBe(false);
  });

  test("of many keys that use them come back more slowly: together no faster than the process allows", () => {
    let now = 0;
    const budgets = new StepBudgets(() => now);
    const keys = Array.from({ length: 50 }, (_, index) => `key ${index}`);
    for (const key of keys) budgets.charge(key, stepLimits.keyBurst);
    now += 10_000;
    let used = 0;
    for (const key of keys) while (budgets.charge(key, 1_000)) used += 1_000;
    expect(used).toBeLessThanOrEqual(10 * stepLimits.processPerSecond);
    expect(budgets.charge("a key that was quiet", 1_000_000)).toBe(true);
  });

  test("that quiet keys do not need go to the others", () => {
    let now = 0;
    const budgets = new StepBudgets(() => now);
    budgets.charge("busy", 2 * stepLimits.keyBurst);
    for (let index = 0; index < 1_000; index++) budgets.charge(`quiet ${index}`, 100);
    now += 5_000;
    expect(budgets.charge("busy", 0)).toBe(true);
  });

  test("are all there again after a while", () => {
    let now = 0;
    const budgets = new StepBudgets(() => now);
    budgets.charge("a", 10 * stepLimits.keyBurst);
    now += 3_600_000;
    expect(budgets.charge("a", stepLimits.keyBurst - 1)).toBe(true);
  });
});

describe("tails", () => {
  const owner = { keyId: "k", projectNumber: 1, organizationId: "o" };

  test.each<[string, (index: number) => typeof owner, number]>([
    ["a key", () => owner, tailQuotas.key.tails],
    ["a project", (index) => ({ ...owner, keyId: `k${index}` }), tailQuotas.project.tails],
    [
      "an organization",
      (index) => ({ ...owner, keyId: `k${index}`, projectNumber: index }),
      tailQuotas.organization.tails,
    ],
    ["the process", (index) => ({ keyId: `k${index}`, projectNumber: index, organizationId: `o${index}` }), 1_000],
  ])("of %s are bounded, and one that is closed makes room for one", (_, ownerOf, limit) => {
    const quotas = new TailQuotas();
    const leave = Array.from({ length: limit }, (__, index) => quotas.take(ownerOf(index), 10));
    expect(() => quotas.take(ownerOf(limit), 10)).toThrow(expect.objectContaining({ code: "RATE_LIMIT_EXCEEDED" }));
    expect(quotas.tails).toBe(limit);
    leave[0]?.();
    leave[0]?.();
    quotas.take(ownerOf(limit), 10);
    expect(() => quotas.take(ownerOf(limit + 1), 10)).toThrow();
  });

  test("have queries that are bounded together", () => {
    const quotas = new TailQuotas();
    quotas.take(owner, tailQuotas.key.queryCharacters);
    expect(() => quotas.take(owner, 1)).toThrow(/too large/);
    quotas.take({ ...owner, keyId: "other" }, 1);
  });
});

test("reads of tails that are behind: one of a key at a time, and a key with many does not delay another's", async () => {
  const slots = new ReadSlots(2);
  const order: string[] = [];
  const running = new Map<string, number>();
  let most = 0;
  const read = (keyId: string) =>
    slots.run(keyId, async () => {
      running.set(keyId, (running.get(keyId) ?? 0) + 1);
      most = Math.max(
        most,
        [...running.values()].reduce((sum, count) => sum + count),
      );
      expect(running.get(keyId)).toBe(1);
      await new Promise(setImmediate);
      running.set(keyId, 0);
      order.push(keyId);
    });
  await Promise.all([...Array.from({ length: 20 }, () => read("many")), read("one"), read("two")]);
  expect(most).toBe(2);
  expect(Math.max(order.indexOf("one"), order.indexOf("two"))).toBeLessThan(6);
});

test("a read that fails gives its slot back", async () => {
  const slots = new ReadSlots(1);
  await expect(slots.run("a", () => Promise.reject(new Error("away")))).rejects.toThrow("away");
  expect(await slots.run("a", () => Promise.resolve(1))).toBe(1);
});

describe("buffers", () => {
  const frame = 512 * 1024;

  class Reader implements BufferOwner {
    isEvicted = false;
    readonly keyId: string;
    readonly #buffers: TailBuffers;

    constructor(buffers: TailBuffers, keyId: string) {
      this.keyId = keyId;
      this.#buffers = buffers;
    }

    evict() {
      this.isEvicted = true;
      this.#buffers.release(this);
    }
  }

  test("are never more than the limit, and a reader that takes nothing is cut off when another needs room", async () => {
    const buffers = new TailBuffers();
    const stuck = Array.from({ length: 64 }, (_, index) => new Reader(buffers, `key ${index % 16}`));
    for (const reader of stuck) expect(buffers.tryHold(reader, frame)).toBe(true);
    const other = new Reader(buffers, "other");
    expect(buffers.tryHold(other, frame)).toBe(false);
    expect(buffers.tryHold(other, bufferLimits.small)).toBe(true);
    buffers.release(other);
    await buffers.reserve(other, frame);
    expect(buffers.bytes).toBeLessThanOrEqual(bufferLimits.process);
    expect(stuck.filter(({ isEvicted }) => isEvicted)).toEqual([stuck[0]]);
    for (const reader of [...stuck, other]) buffers.release(reader);
    expect(buffers.bytes).toBe(0);
  });

  test("of a key are bounded: its own readers make room", async () => {
    const buffers = new TailBuffers();
    const bystander = new Reader(buffers, "bystander");
    buffers.tryHold(bystander, frame);
    const own = Array.from({ length: 8 }, () => new Reader(buffers, "greedy"));
    for (const reader of own) expect(buffers.tryHold(reader, frame)).toBe(true);
    const next = new Reader(buffers, "greedy");
    expect(buffers.tryHold(next, frame)).toBe(false);
    await buffers.reserve(next, frame);
    expect(own.filter(({ isEvicted }) => isEvicted)).toHaveLength(1);
    expect(bystander.isEvicted).toBe(false);
  });

  test("that are released admit who waits, those of the key that holds least first", async () => {
    const buffers = new TailBuffers();
    const holders = Array.from({ length: 8 }, (_, index) => new Reader(buffers, `${index}`));
    for (const holder of holders) buffers.tryHold(holder, bufferLimits.key);
    const admitted: string[] = [];
    const [first, second] = [new Reader(buffers, "0"), new Reader(buffers, "new")];
    const waits = [
      buffers.reserve(first, frame).then(() => admitted.push("0")),
      buffers.reserve(second, frame).then(() => admitted.push("new")),
    ];
    buffers.release(holders[1] as Reader);
    await waits[1];
    expect(admitted).toEqual(["new"]);
    buffers.release(holders[0] as Reader);
    await waits[0];
  });

  test("are not waited for by a reader that leaves", async () => {
    const buffers = new TailBuffers();
    const reader = new Reader(buffers, "a");
    buffers.tryHold(new Reader(buffers, "a"), bufferLimits.key);
    const waiting = buffers.reserve(reader, frame);
    buffers.release(reader);
    await waiting;
    expect(buffers.bytes).toBe(bufferLimits.key);
  });
});

describe("what the store is asked for", () => {
  test("holds wherever the query holds", () => {
    let narrowed = 0;
    fc.assert(
      fc.property(queries, fc.array(entries, { minLength: 5, maxLength: 20 }), (query, samples) => {
        const { ast } = parseQuery(query);
        const filter = storeFilter(ast);
        for (const entry of samples) {
          if (!evaluate(ast, entry)) continue;
          expect([query, evaluate(filter, entry)]).toEqual([query, true]);
          if (filter.kind !== "everything") narrowed += 1;
        }
      }),
      { numRuns: 500 },
    );
    expect(narrowed).toBeGreaterThan(20);
  });

  const asked = (query: string): QueryNode => storeFilter(parseQuery(query).ast);

  test("is the query where the store answers it quickly, and without its expensive parts elsewhere", () => {
    for (const query of ["level:error service:api timeout", "k:v* -health", "a OR b"]) {
      expect(asked(query)).toEqual(parseQuery(query).ast);
    }
    expect(asked("level:error /time(out|r)/")).toEqual(parseQuery("level:error").ast);
    expect(asked("service:api foo*bar*baz*qux")).toEqual(parseQuery("service:api foo bar baz qux").ast);
    expect(asked(`"${"a".repeat(100)}"`)).toEqual(parseQuery("a".repeat(32)).ast);
    for (const query of [
      "/a/",
      "-/a/",
      "a OR /b/",
      "straße OR /x/",
      Array.from({ length: 40 }, (_, n) => `w${n}`).join(" "),
    ]) {
      expect(asked(query)).toEqual(everything);
    }
  });
});
