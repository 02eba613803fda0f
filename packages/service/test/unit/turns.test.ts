import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { Turns } from "../../src/logs/turns.ts";

test("each organization runs so many at once, the others do not wait for it, and everybody gets a turn", async () => {
  const turns = new Turns({ atOnce: 2, waiting: 10 });
  const running = new Map<string, number>();
  const most = new Map<string, number>();
  const work = (organization: string) => async () => {
    const now = (running.get(organization) ?? 0) + 1;
    running.set(organization, now);
    most.set(organization, Math.max(now, most.get(organization) ?? 0));
    await sleep(Math.random() * 5);
    running.set(organization, (running.get(organization) as number) - 1);
    return organization;
  };
  const asked = ["a", "a", "b", "a", "a", "b", "a", "b", "a"];
  expect(await Promise.all(asked.map((name) => turns.take(name, work(name))))).toEqual(asked);
  expect(Object.fromEntries(most)).toEqual({ a: 2, b: 2 });
});

test("a line that is full is refused, and work that fails gives its place on", async () => {
  const turns = new Turns({ atOnce: 1, waiting: 1 });
  const failing = turns.take("a", async () => {
    await sleep(10);
    throw new Error("no");
  });
  const waiting = turns.take("a", async () => "done");
  await expect(turns.take("a", async () => "late")).rejects.toMatchObject({ code: "RATE_LIMIT_EXCEEDED" });
  await expect(failing).rejects.toThrow("no");
  expect(await waiting).toBe("done");
  expect(await turns.take("a", async () => "again")).toBe("again");
});
