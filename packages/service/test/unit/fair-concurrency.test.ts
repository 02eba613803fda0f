import { setImmediate as nextTick } from "node:timers/promises";
import { expect, test } from "vitest";
import {
  type ConcurrencyLimits,
  FairConcurrencyLimiter,
  type Requester,
} from "../../src/concurrency/fair-concurrency.ts";

const limits: ConcurrencyLimits = {
  total: { running: 4, waiting: 100 },
  organization: { running: 3, waiting: 12 },
  unnarrowed: { running: 3, waiting: 8 },
  project: { running: 2, waiting: 4 },
  key: { running: 2, waiting: 4 },
  what: "searches",
  waitMs: 60_000,
};

const organization = (keyId: string): Requester => ({ organizationId: "o", projectId: undefined, keyId });
const narrowed = (projectId: string, keyId: string): Requester => ({ organizationId: "o", projectId, keyId });

/** Searches that run until they are ended, in the order in which they began. */
function searches(limiter = new FairConcurrencyLimiter(limits)) {
  const running: { readonly name: string; end(): void }[] = [];
  const begun: string[] = [];
  return {
    begun,
    names: () => running.map(({ name }) => name).sort(),
    ask(name: string, requester: Requester, signal?: AbortSignal) {
      const work = () =>
        new Promise<string>((resolve) => {
          begun.push(name);
          running.push({ name, end: () => resolve(name) });
        });
      const answer = limiter.run(requester, work, signal);
      answer.catch(() => undefined);
      return answer;
    },
    async endOne(name: string) {
      const index = running.findIndex((one) => one.name === name);
      running.splice(index, 1)[0]?.end();
      await nextTick();
    },
  };
}

test("a key narrowed to a project never takes the last place of its organization, and its queue is its own", async () => {
  const { ask, names } = searches();
  const asked = Array.from({ length: 18 }, (_, n) => ask(`slow ${n}`, narrowed("p", "n")));
  expect(names()).toEqual(["slow 0", "slow 1"]);
  for (const refused of asked.slice(6)) await expect(refused).rejects.toMatchObject({ code: "RATE_LIMIT_EXCEEDED" });
  ask("administrator", organization("a"));
  expect(names()).toContain("administrator");
});

test("many keys of one project get no more than one of them", async () => {
  const { ask, names } = searches();
  for (let n = 0; n < 50; n++) ask(`key ${n}`, narrowed("p", `n${n}`));
  expect(names()).toEqual(["key 0", "key 1"]);
  const asked = [ask("administrator", organization("a")), ask("another project", narrowed("q", "m"))];
  expect(names()).toEqual(["administrator", "key 0", "key 1"]);
  // It waits, though the queue of the organization may be full of others.
  expect(await Promise.race([asked[1], nextTick("waits")])).toBe("waits");
});

test("a free place goes round robin, among projects and then among their keys", async () => {
  const { ask, begun, endOne } = searches();
  for (const name of ["x", "y", "z"]) ask(name, organization(name === "z" ? "b" : "a"));
  for (const n of [1, 2]) {
    ask(`p first ${n}`, narrowed("p", "first"));
    ask(`p second ${n}`, narrowed("p", "second"));
    ask(`q ${n}`, narrowed("q", "only"));
  }
  for (let n = 0; n < begun.length; n++) await endOne(begun[n] as string);
  expect(begun.slice(3)).toEqual(["p first 1", "q 1", "p second 1", "q 2", "p first 2", "p second 2"]);
});

test("organizations do not wait for each other while there are places", async () => {
  const { ask, names } = searches();
  for (let n = 0; n < 20; n++) ask(`o ${n}`, organization(`key ${n}`));
  ask("other", { organizationId: "other", projectId: undefined, keyId: "k" });
  expect(names()).toHaveLength(4);
  expect(names()).toContain("other");
});

test("a search whose client disconnects leaves the queue at once, and another may wait in its place", async () => {
  const { ask, begun, endOne } = searches();
  const gone = new AbortController();
  for (const name of ["x", "y"]) ask(name, narrowed("p", "n"));
  const waiting = Array.from({ length: 4 }, (_, n) => ask(`gone ${n}`, narrowed("p", "n"), gone.signal));
  await expect(ask("too many", narrowed("p", "n"))).rejects.toMatchObject({ code: "RATE_LIMIT_EXCEEDED" });
  gone.abort(new Error("gone"));
  for (const one of waiting) await expect(one).rejects.toThrow("gone");
  const stays = ask("stays", narrowed("p", "n"));
  await endOne("x");
  await endOne("stays");
  expect(await stays).toBe("stays");
  expect(begun).toEqual(["x", "y", "stays"]);
  await expect(ask("late", narrowed("p", "n"), gone.signal)).rejects.toThrow("gone");
});

test("a search that fails frees its place", async () => {
  const limiter = new FairConcurrencyLimiter({ ...limits, total: { running: 1, waiting: 1 } });
  const failing = limiter.run(organization("a"), async () => {
    await nextTick();
    throw new Error("no");
  });
  const waiting = limiter.run(organization("a"), async () => "done");
  await expect(failing).rejects.toThrow("no");
  expect(await waiting).toBe("done");
  expect(await limiter.run(organization("a"), async () => "again")).toBe("again");
});

test("a search does not wait for ever", async () => {
  const { ask } = searches(new FairConcurrencyLimiter({ ...limits, waitMs: 1 }));
  for (const name of ["x", "y"]) ask(name, narrowed("p", "n"));
  await expect(ask("waits", narrowed("p", "n"))).rejects.toMatchObject({ code: "RATE_LIMIT_EXCEEDED" });
});

test("10,000 searches of anybody: limits hold at every moment, and each ends", async () => {
  let seed = 1;
  const random = (below: number) => {
    seed = (seed * 16_807) % 2_147_483_647;
    return seed % below;
  };
  const limiter = new FairConcurrencyLimiter({
    ...limits,
    total: { running: 4, waiting: 10_000 },
    organization: { running: 3, waiting: 10_000 },
    project: { running: 2, waiting: 10_000 },
    unnarrowed: { running: 3, waiting: 10_000 },
    key: { running: 2, waiting: 10_000 },
  });
  const running = new Map<string, number>();
  const change = (names: readonly (readonly [string, number])[], by: number) => {
    for (const [name, limit] of names) {
      running.set(name, (running.get(name) ?? 0) + by);
      expect(running.get(name)).toBeLessThanOrEqual(limit);
    }
  };
  let aborted = 0;
  let ended = 0;
  await Promise.all(
    Array.from({ length: 10_000 }, async () => {
      const [o, p, k] = [random(3), random(4), random(3)];
      const projectId = p === 0 ? undefined : `${o} ${p}`;
      const names = [
        ["all", 4],
        [`${o}`, 3],
        [`${o} ${p}`, p === 0 ? 3 : 2],
        [`${o} ${p} ${k}`, 2],
      ] as const;
      const client = new AbortController();
      if (random(5) === 0) setTimeout(() => client.abort(new Error("gone")), random(20));
      const work = async () => {
        change(names, 1);
        await nextTick();
        change(names, -1);
      };
      const requester = { organizationId: `${o}`, projectId, keyId: `${o} ${p} ${k}` };
      await limiter.run(requester, work, client.signal).then(
        () => (ended += 1),
        () => (aborted += 1),
      );
    }),
  );
  expect(aborted + ended).toBe(10_000);
  expect(ended).toBeGreaterThan(5_000);
  expect([...running.values()].every((count) => count === 0)).toBe(true);
});
