import { appendFileSync, renameSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { SazabiAdmin } from "@sazabi/sdk";
import { startTestService, type TestService } from "@sazabi/service/testing";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { openCuttableProxy } from "../../../service/test/support/proxy.ts";
import { scaled } from "../../../service/test/support/scale.ts";
import { type Stop, startGate } from "../support/gate.ts";
import { finished, sazabi, start } from "../support/process.ts";
import { scratchDirectory } from "../support/terminal.ts";

let service: TestService;
let admin: SazabiAdmin;
beforeAll(async () => {
  service = await startTestService();
  admin = new SazabiAdmin({ secretKey: service.secretKey, baseUrl: service.url });
});
afterAll(() => service?.close());

/** A project of its own, and the environment of somebody who works in it. */
async function newProject(url = service.url) {
  const project = await admin.projects.create({ name: `p${Math.random().toString(36).slice(2)}` });
  const { value } = await admin.publicKeys.create({ name: "writer", projectId: project.id });
  const env = { SAZABI_API_URL: url, SAZABI_SECRET_KEY: service.secretKey, SAZABI_PROJECT_ID: project.id };
  const home = scratchDirectory();
  const send = async (lines: readonly string[]) => {
    const file = join(home, "app.log");
    writeFileSync(file, `${lines.join("\n")}\n`);
    const { code, err } = await sazabi(home, ["logs", "send", file, "--public-key", value], {
      env: { ...env, SAZABI_API_URL: service.url },
    });
    if (code !== 0) expect.fail(err);
  };
  return { env, home, key: value, send, run: (argv: readonly string[]) => sazabi(home, argv, { env }) };
}

/** A tail as a process; `lines` and `talk` grow. */
function startTail(home: string, env: Record<string, string>, argv: readonly string[]) {
  const child = start(home, ["logs", "tail", ...argv], { env });
  onTestFinished(() => void child.kill("SIGKILL"));
  const lines: string[] = [];
  let rest = "";
  let talk = "";
  child.stdout?.setEncoding("utf8").on("data", (text: string) => {
    const parts = (rest + text).split("\n");
    rest = parts.pop() as string;
    lines.push(...parts);
  });
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    talk += text;
  });
  return {
    lines,
    talk: () => talk,
    stop: () => child.kill("SIGINT"),
    exitCode: new Promise<number | null>((resolve) => child.on("close", resolve)),
    until: async (isThere: () => boolean) => {
      while (!isThere()) {
        if (child.exitCode !== null) expect.fail(`The tail has ended: ${talk}`);
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    },
  };
}

describe("logs tail", () => {
  test("prints what is sent, as it is stored, and ends with 130 on Ctrl-C", async () => {
    const { env, home, send } = await newProject();
    const tail = startTail(home, env, ["level:error"]);
    // What is sent before it is connected does not come.
    while (tail.lines.length === 0) await send(["ERROR one", "INFO two"]);
    expect(tail.lines[0]).toMatch(/^\S+ \S+ {2}ERROR {2}app {2}ERROR one$/);
    tail.stop();
    expect(await tail.exitCode).toBe(130);
    expect(tail.talk()).toMatch(
      /^Following what is stored from now on, in project \S+ \(SAZABI_PROJECT_ID\); Ctrl-C ends it\.\n$/,
    );
  });

  test("--since shows what there is first, and every entry once, however fast more is sent", async () => {
    const { env, home, send } = await newProject();
    const count = 3000;
    await send(Array.from({ length: count / 2 }, (_, i) => `n${i}`));
    const early = startTail(home, env, ["--since", "1h", "--limit", "1"]);
    expect(await early.exitCode).toBe(0);
    expect(early.talk()).toMatch(
      /^Following what is stored since \S+ \S+, and from now on, in project \S+ \(.*\); Ctrl-C/,
    );
    const tail = startTail(home, env, ["--since", "1h", "--json", "--limit", `${count}`]);
    for (let i = count / 2; i < count; i += 300) await send(Array.from({ length: 300 }, (_, k) => `n${i + k}`));
    expect(await tail.exitCode).toBe(0);
    const found = tail.lines.map((line) => JSON.parse(line).message as string);
    expect(new Set(found).size).toBe(count);
    expect(found).toHaveLength(count);
  });

  test("ends with exit code 1 and the reason when its query takes too many steps", async () => {
    const { env, home, send } = await newProject();
    const tail = startTail(home, env, [`${"a?".repeat(1_900)}b OR begin`]);
    while (tail.lines.length === 0) await send(["begin"]);
    await send(["a".repeat(250_000)]);
    expect(await tail.exitCode).toBe(1);
    expect(tail.talk()).toMatch(/The tail ended: its query takes more than 2,000,000 steps on entry \d+\./);
    expect(tail.talk()).not.toContain("The connection was lost");
  });

  test("says what the service refuses, and does not try it again", async () => {
    const { run } = await newProject();
    const { code, err } = await run(["logs", "tail", "--project", "00000000-0000-4000-8000-000000000000"]);
    expect(code).toBe(3);
    expect(err).toContain("there is no such project");
    expect(err).not.toContain("Following");
  });

  test("asks which project before it says that it follows", async () => {
    const { env, home } = await newProject();
    const { code, err } = await sazabi(home, ["logs", "tail"], { env: { ...env, SAZABI_PROJECT_ID: undefined } });
    expect(code).toBe(2);
    expect(err).toContain("Specify a project");
    expect(err).not.toContain("Following");
  });

  const entries = scaled({ committed: 5_000, full: 100_000 });
  const cuts = scaled({ committed: 5, full: 50 });
  test(`loses nothing and shows nothing twice over ${entries} entries and ${cuts} cuts, and says each`, async () => {
    const proxy = await openCuttableProxy(service.url);
    onTestFinished(() => proxy.close());
    const { env, home, send } = await newProject(proxy.url.replace(/\/$/, ""));
    const tail = startTail(home, env, ["--ndjson"]);
    const expected: string[] = [];
    const sendSome = async (size: number) => {
      const lines = Array.from({ length: size }, (_, i) => `entry ${expected.length + i}`);
      await send(lines);
      expected.push(...lines);
    };
    // The tail begins somewhere in here.
    while (tail.lines.length === 0) await sendSome(1);
    const gaps = () => tail.talk().split("Nothing is missing.").length - 1;
    const rest = entries - expected.length;
    for (let cut = 0; cut < cuts; cut++) {
      const sending = sendSome(Math.ceil(rest / cuts));
      await new Promise((resolve) => setTimeout(resolve, Math.random() * 300));
      proxy.cut();
      await sending;
      proxy.restore();
      await tail.until(() => gaps() > cut);
    }
    await tail.until(() => tail.lines.at(-1)?.includes(expected.at(-1) as string) ?? false);
    tail.stop();
    expect(await tail.exitCode).toBe(130);
    const found = tail.lines.map((line) => JSON.parse(line).message as string);
    // In the order in which they were stored, from the first that was seen.
    expect(found).toEqual(expected.slice(expected.indexOf(found[0] as string)));
    expect(gaps()).toBe(cuts);
  }, 600_000);
});

describe("logs send --follow", () => {
  test("sends every line once, over a rotation, a cut file and a service that goes away", async () => {
    const proxy = await openCuttableProxy(service.url);
    onTestFinished(() => proxy.close());
    const { env, home, key, run } = await newProject();
    const file = join(home, "live.log");
    writeFileSync(file, "line 1\nline 2\n");
    const child = start(home, ["logs", "send", "--follow", file, "--public-key", key], {
      env: { ...env, SAZABI_API_URL: proxy.url.replace(/\/$/, "") },
    });
    onTestFinished(() => void child.kill("SIGKILL"));
    const end = finished(child);
    const stored = async () => {
      const { out } = await run(["logs", "query", "service:live", "--all", "--json", "--fields", "message"]);
      return out
        .split("\n")
        .filter(Boolean)
        .map((line) => JSON.parse(line).message as string);
    };
    const until = async (count: number) => {
      while ((await stored()).length < count) {
        if (child.exitCode !== null) expect.fail(`It has ended: ${(await end).err}`);
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    };
    await until(2);
    // Half a line is no line yet.
    appendFileSync(file, "line 3\nline");
    await until(3);
    appendFileSync(file, " 4\nline 5");
    renameSync(file, `${file}.1`);
    appendFileSync(`${file}.1`, " of the old file\n");
    writeFileSync(file, "line 6\n");
    await until(6);
    proxy.cut();
    appendFileSync(file, "line 7, sent while nobody answers\n");
    await new Promise((resolve) => setTimeout(resolve, 1000));
    proxy.restore();
    await until(7);
    truncateSync(file);
    await new Promise((resolve) => setTimeout(resolve, 500));
    appendFileSync(file, "line 8\n");
    await until(8);
    child.kill("SIGINT");
    const { code, err } = await end;
    expect(code).toBe(130);
    for (const words of [
      "was replaced",
      "Retrying",
      "The service accepted it",
      "was truncated",
      "Stopped after 8 accepted",
    ]) {
      expect(err).toContain(words);
    }
    expect((await stored()).toSorted()).toEqual([
      "line 1",
      "line 2",
      "line 3",
      "line 4",
      "line 5 of the old file",
      "line 6",
      "line 7, sent while nobody answers",
      "line 8",
    ]);
  });

  /** A file that is followed by a process that is killed again and again. */
  async function newFollowed(url?: string) {
    const project = await newProject(url);
    const { env, home, key, run } = project;
    const file = join(home, "live.log");
    const follow = (...more: readonly string[]) => {
      const child = start(home, ["logs", "send", "--follow", file, "--public-key", key, ...more], { env });
      onTestFinished(() => void child.kill("SIGKILL"));
      let talk = "";
      child.stderr?.setEncoding("utf8").on("data", (text: string) => {
        talk += text;
      });
      const end = new Promise<void>((resolve) => child.on("close", () => resolve()));
      const isAlive = () => child.exitCode === null && child.signalCode === null;
      const kill = async () => {
        child.kill("SIGKILL");
        await end;
      };
      return { kill, talk: () => talk, isAlive };
    };
    const stored = async () => {
      const { out } = await run(["logs", "query", "service:live", "--all", "--json", "--fields", "message"]);
      const lines = out.split("\n").filter(Boolean);
      return lines.map((line) => JSON.parse(line).message as string);
    };
    const untilStored = async (last: string, follower: ReturnType<typeof follow>) => {
      while (!(await stored()).includes(last)) {
        if (!follower.isAlive()) expect.fail(`It has ended: ${follower.talk()}`);
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    };
    return { ...project, file, follow, stored, untilStored };
  }

  const kills = scaled({ committed: 12, full: 60 });
  test(`stores every entry once over ${kills} kills, whenever they come, and rotations in between`, async () => {
    const { file, follow, stored, untilStored } = await newFollowed();
    const expected: string[] = [];
    const next = () => {
      const number = expected.length;
      const trace = number % 7 === 0;
      const text = trace ? `entry ${number} failed\n  at one\n  at two` : `entry ${number}`;
      expected.push(text);
      return `${text}\n`;
    };
    const append = (count: number) => appendFileSync(file, Array.from({ length: count }, next).join(""));
    writeFileSync(file, "");
    append(1500);
    const first = follow();
    await untilStored("entry 1", first);
    await first.kill();
    for (let round = 0; round < kills; round++) {
      const follower = follow();
      append(200);
      // From before the first request to after the last one.
      await new Promise((resolve) => setTimeout(resolve, 150 + Math.random() * 700));
      append(400);
      if (round % 4 === 1) await new Promise((resolve) => setTimeout(resolve, Math.random() * 400));
      await follower.kill();
      append(300);
      if (round % 4 === 3) {
        renameSync(file, `${file}.${round}`);
        writeFileSync(file, "");
        append(100);
      }
      // At most one rotation while nobody reads.
      if (round % 4 === 3) {
        const between = follow();
        await untilStored(expected.at(-1) as string, between);
        await between.kill();
      }
    }
    const last = follow();
    append(1);
    await untilStored(expected.at(-1) as string, last);
    await last.kill();
    expect((await stored()).toSorted()).toEqual(expected.toSorted());
  }, 600_000);

  test.each<[Stop["when"], number]>([
    ["before", 1],
    ["after", 1],
    ["before", 2],
    ["after", 2],
  ])("stores a batch once when it is killed %s the service stores it: batch %i", async (when, turn) => {
    const gate = await startGate(service.url);
    const { file, follow, stored, untilStored } = await newFollowed(gate.url);
    const count = 1_200;
    writeFileSync(file, Array.from({ length: count }, (_, i) => `line ${i}\n`).join(""));
    const held = gate.stopAt({ request: /^POST \/v1\/logs$/, when, turn });
    const first = follow();
    await held;
    await first.kill();
    gate.open();
    // A rotation while nobody reads: what is left of the old file is sent first.
    renameSync(file, `${file}.1`);
    writeFileSync(file, "end\n");
    const second = follow();
    await untilStored("end", second);
    await second.kill();
    expect((await stored()).toSorted()).toEqual(
      [...Array.from({ length: count }, (_, i) => `line ${i}`), "end"].toSorted(),
    );
  });

  test("stores what an array at the beginning of the file holds once, when it is stopped before its end", async () => {
    const { file, follow, stored, untilStored } = await newFollowed(service.url);
    writeFileSync(file, '[\n{"message":"line 1"},\n{"message":"line 2"},\n');
    const first = follow();
    await untilStored("line 2", first);
    await first.kill();
    const second = follow();
    appendFileSync(file, '{"message":"end"}\n]\n');
    await untilStored("end", second);
    await second.kill();
    expect((await stored()).toSorted()).toEqual(["end", "line 1", "line 2"]);
  });

  test("stores lines once that a pause separated, when a part of a line is still open at the kill", async () => {
    const { file, follow, stored, untilStored } = await newFollowed(service.url);
    const cri = (rest: string) => `${new Date().toISOString()} ${rest}\n`;
    writeFileSync(file, cri("stdout P one ") + cri("stderr F boom"));
    const first = follow();
    await untilStored("boom", first);
    appendFileSync(file, cri("stderr F   at one"));
    await untilStored("  at one", first);
    await first.kill();
    const second = follow();
    appendFileSync(file, cri("stdout F line") + cri("stderr F end"));
    await untilStored("end", second);
    await second.kill();
    expect((await stored()).toSorted()).toEqual(["  at one", "boom", "end", "one line"]);
  });

  test("stores what was read of a file that is gone, too", async () => {
    const { file, follow, stored, untilStored } = await newFollowed(service.url);
    const cri = (rest: string) => `${new Date().toISOString()} ${rest}\n`;
    writeFileSync(file, cri("stdout P one ") + cri("stderr F boom"));
    const first = follow();
    await untilStored("boom", first);
    await first.kill();
    rmSync(file);
    writeFileSync(file, cri("stdout F line") + cri("stderr F end"));
    const second = follow();
    await untilStored("end", second);
    expect(second.talk()).toContain("is not in it any more");
    await second.kill();
    expect((await stored()).toSorted()).toEqual(["boom", "end", "one line"]);
  });

  test("goes on where it ended, says so, and begins anew when it is told to", async () => {
    const { file, follow, stored, untilStored } = await newFollowed();
    writeFileSync(file, "one\ntwo\n");
    const first = follow();
    await untilStored("two", first);
    await first.kill();
    appendFileSync(file, "three\n");
    const second = follow();
    await untilStored("three", second);
    expect(second.talk()).toContain(`Going on with ${file} after line 2.`);
    await second.kill();
    // Cut, and grown beyond its former length by other lines.
    writeFileSync(file, `four\n${"five\n".repeat(9)}six\n`);
    const third = follow();
    await untilStored("six", third);
    expect(third.talk()).toContain("is not in it any more");
    await third.kill();
    expect(await stored()).toHaveLength(3 + 11);
    const anew = follow("--from-start");
    appendFileSync(file, "seven\n");
    await untilStored("seven", anew);
    expect(anew.talk()).not.toContain("Going on");
    await anew.kill();
    expect(await stored()).toHaveLength(3 + 11 + 12);
  });

  test("follows without a place for positions, and says what that means", async () => {
    const { env, home, key, file, untilStored } = await newFollowed();
    writeFileSync(file, "one\n");
    const child = start(home, ["logs", "send", "--follow", file, "--public-key", key], {
      env: { ...env, SAZABI_CONFIG_DIR: "/proc/none" },
    });
    onTestFinished(() => void child.kill("SIGKILL"));
    const end = finished(child);
    await untilStored("one", { kill: async () => {}, talk: () => "", isAlive: () => child.exitCode === null });
    child.kill("SIGINT");
    expect((await end).err).toContain("The next run cannot tell how far");
  });
});

describe("logs volume", () => {
  test("counts exactly what a query finds, in every form", async () => {
    const { send, run } = await newProject();
    await send([...Array(30).fill("ERROR bad"), ...Array(7).fill("INFO good")]);
    const asked = ["logs", "volume", "level:error", "--since", "1h"];
    const text = await run(asked);
    expect(text.code).toBe(0);
    expect(text.out).toMatch(/^\S+ \S+ +30 {2}#+$/m);
    expect(text.out.trimEnd().split("\n").length).toBeGreaterThan(10);
    expect(text.err).toMatch(/^30 in all, by 5m, from /);
    const { total, rows } = JSON.parse((await run([...asked, "--json"])).out);
    expect(total).toBe(30);
    expect(rows.reduce((sum: number, row: { count: number }) => sum + row.count, 0)).toBe(30);
    const csv = (await run([...asked, "--by", "level", "--csv", "--fields", "group,count"])).out;
    expect(csv).toBe("group,count\r\nerror,30\r\n");
    const byLevel = await run(["logs", "volume", "--by", "level"]);
    expect(byLevel.out.split("\n").map((line) => line.split(/\s+/).slice(0, 2))).toEqual([
      ["error", "30"],
      ["info", "7"],
      [""],
    ]);
    expect((await run(["logs", "volume", "nothing-like-it"])).err).toContain("Nothing matches.");
  });
});

describe("logs patterns", () => {
  test("says what messages have in common, and how many of each there are", async () => {
    const { send, run } = await newProject();
    const failed = Array.from({ length: 12 }, (_, i) => `ERROR payment ${1000 + i} failed after ${i * 7} ms`);
    await send([...failed, ...Array(5).fill("INFO cache is warm")]);
    const text = await run(["logs", "patterns"]);
    expect(text.code).toBe(0);
    expect(text.out).toMatch(/^12 +ERROR +\S+ +ERROR payment <\*> failed after <\*>/m);
    expect(text.out).toMatch(/^5 +INFO +\S+ +INFO cache is warm/m);
    expect(text.err).toMatch(/^From .* and later /);
    const { rows } = JSON.parse((await run(["logs", "patterns", "level:error", "--json"])).out);
    expect(rows.map(({ occurrences }: { occurrences: number }) => occurrences)).toEqual([12]);
    const one = await run(["logs", "patterns", "--limit", "1", "--csv", "--fields", "occurrences"]);
    expect(one.out).toBe("occurrences\r\n12\r\n");
    expect((await run(["logs", "patterns", "--limit", "1"])).err).toContain("There may be more than these 1");
    expect((await run(["logs", "patterns", "nothing-like-it"])).err).toContain("Nothing matches.");
  });
});

describe("logs query --context", () => {
  test("prints each hit among its neighbours, oldest first, each entry once", async () => {
    const { send, run } = await newProject();
    const startMs = Date.now() - 60_000;
    const lines = Array.from({ length: 12 }, (_, i) =>
      JSON.stringify({
        timestamp: new Date(startMs + i * 1000).toISOString(),
        message: `line ${i}${[2, 4, 10].includes(i) ? " hit" : ""}`,
      }),
    );
    await send(lines);
    const { code, out } = await run(["logs", "query", "hit", "--context", "1"]);
    expect(code).toBe(0);
    const shown = out
      .trimEnd()
      .split("\n")
      .map((line) => `${line.startsWith(">") ? "> " : ""}${/line \d+|^--/.exec(line)?.[0]}`);
    expect(shown).toEqual([
      "line 1",
      "> line 2",
      "line 3",
      "> line 4",
      "line 5",
      "--",
      "line 9",
      "> line 10",
      "line 11",
    ]);
    const json = await run(["logs", "query", "hit", "--context", "1", "--json"]);
    expect(
      json.out
        .trimEnd()
        .split("\n")
        .map((line) => JSON.parse(line).match),
    ).toEqual([false, true, false, true, false, false, true, false]);
    expect((await run(["logs", "query", "hit", "--context", "1", "--all"])).code).toBe(2);
  });
});
