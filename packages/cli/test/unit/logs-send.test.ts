import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Answer, type Asked, projectId, refusal, secretKeyOf, someKey, startService } from "../support/service.ts";
import { terminal } from "../support/terminal.ts";

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "sazabi-send-"));
});
afterAll(() => rmSync(folder, { recursive: true }));

function file(name: string, content: string | Uint8Array): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

const entriesOf = (asked: readonly Asked[]) =>
  asked
    .filter(({ path }) => path === "/v1/logs")
    .flatMap(({ text }) => text.split("\n").map((line) => JSON.parse(line)));

/** Takes everything in, unless `answer` says otherwise. */
async function service(answer: (asked: Asked, turn: number) => Answer | undefined = () => undefined) {
  let turn = 0;
  const forwarding = someKey("public");
  const running = await startService({
    "POST /v1/logs": (asked) =>
      answer(asked, turn++) ?? {
        status: 202,
        body: { data: { accepted: asked.text.split("\n").length }, error: null },
      },
    "POST /v1/public-keys/log-forwarding/ensure": () => ({
      body: { publicKey: { ...secretKeyOf(forwarding), value: forwarding } },
    }),
  });
  const { url, publicKey } = running;
  return { ...running, forwarding, sendOnly: { SAZABI_API_URL: url, SAZABI_PUBLIC_KEY: publicKey } };
}

describe("logs send", () => {
  test("sends plain lines with the file's name as service and the level they name", async () => {
    const { sendOnly, asked } = await service();
    const path = file("shop.log", "one ERROR two\r\n\n   \nplain\n2026-11-22 [warn] careful");
    const { code, out, err } = await terminal({ env: sendOnly }).run(["logs", "send", path]);
    expect({ code, out }).toEqual({ code: 0, out: "3 accepted, 0 rejected\n" });
    expect(err).toContain("sazabi logs query service:shop");
    expect(entriesOf(asked)).toEqual([
      { message: "one ERROR two", level: "error", service: "shop" },
      { message: "plain", service: "shop" },
      { message: "2026-11-22 [warn] careful", level: "warn", service: "shop" },
    ]);
  });

  test("sends NDJSON as it is written, adding only what is missing", async () => {
    const { sendOnly, asked } = await service();
    const lines = [
      '{"message":"a","n":12345678901234567890}',
      '{ "msg": "b", "service": "own", "level": 50 }',
      '{"message":"c","resource":{"service.name":"inner"}}',
      "{}",
      '{"not": "json"',
    ];
    await terminal({ env: sendOnly }).run(["logs", "send", file("a.ndjson", lines.join("\n")), "--level", "debug"]);
    expect(asked[0]?.text.split("\n")).toEqual([
      '{"service":"a","level":"debug","message":"a","n":12345678901234567890}',
      '{ "msg": "b", "service": "own", "level": 50 }',
      '{"level":"debug","message":"c","resource":{"service.name":"inner"}}',
      '{"service":"a","level":"debug"}',
      '{"message":"{\\"not\\": \\"json\\"","level":"debug","service":"a"}',
    ]);
  });

  test("reads stdin when nothing is named, and gzip whatever it is called", async () => {
    const { sendOnly, asked } = await service();
    const { run } = terminal({ env: sendOnly });
    expect((await run(["logs", "send"], { stdin: "a\nb\n" })).out).toBe("2 accepted, 0 rejected\n");
    expect((await run(["logs", "send", "-", "--service", "s"], { stdin: gzipSync("c\n") })).code).toBe(0);
    expect(
      (await run(["logs", "send", file("x.log.1.gz", Buffer.concat([gzipSync("d\n"), gzipSync("e\n")]))])).code,
    ).toBe(0);
    expect(entriesOf(asked)).toEqual([
      { message: "a" },
      { message: "b" },
      { message: "c", service: "s" },
      { message: "d", service: "x" },
      { message: "e", service: "x" },
    ]);
  });

  test("sends batches of at most 1000 entries and 1 MiB, packed", async () => {
    const { sendOnly, asked } = await service();
    const { run } = terminal({ env: sendOnly });
    await run(["logs", "send", file("many.log", "x\n".repeat(2500))]);
    expect(asked.map(({ text }) => text.split("\n").length)).toEqual([1000, 1000, 500]);
    asked.length = 0;
    await run(["logs", "send", file("wide.log", `${"y".repeat(300_000)}\n`.repeat(7))]);
    expect(asked.map(({ text }) => text.split("\n").length)).toEqual([3, 3, 1]);
    for (const { headers, text } of asked) {
      expect(headers["content-encoding"]).toBe("gzip");
      expect(Buffer.byteLength(text)).toBeLessThanOrEqual(1024 * 1024);
    }
  });

  test("gets the project's own public key with the secret key, when it has no other", async () => {
    const { env, asked, forwarding, secretKey } = await service();
    const { out, err } = await terminal({ env }).run(["logs", "send", file("a.log", "x"), "--project", projectId]);
    expect(
      asked.map(({ path, json, headers }) => [path, json, headers["x-sazabi-key"], headers.authorization]),
    ).toEqual([
      ["/v1/public-keys/log-forwarding/ensure", { projectId }, undefined, `Bearer ${secretKey}`],
      ["/v1/logs", expect.anything(), forwarding, undefined],
    ]);
    expect(out + err).not.toContain(forwarding);
  });

  test("takes the time that lines begin with only when told to", async () => {
    const { sendOnly, asked } = await service();
    const path = file("t.log", "2026-11-22T08:00:00.5Z a\nno time\n2026-11-22 08:00:00,250+0200 b");
    await terminal({ env: sendOnly }).run(["logs", "send", path]);
    await terminal({ env: sendOnly }).run(["logs", "send", path, "--line-times"]);
    expect(entriesOf(asked).map(({ timestamp }) => timestamp)).toEqual([
      undefined,
      undefined,
      undefined,
      "2026-11-22T08:00:00.500Z",
      undefined,
      "2026-11-22T06:00:00.250Z",
    ]);
  });
});

test("logs send joins the lines of a stack trace of a file, and not of stdin", async () => {
  const { sendOnly, asked } = await service();
  const { run } = terminal({ env: sendOnly });
  const lines = "ERROR boom\n    at a\n    at b\nnext\n";
  await run(["logs", "send", file("trace.log", lines)]);
  await run(["logs", "send"], { stdin: lines });
  await run(["logs", "send", "--multiline", "on"], { stdin: lines });
  await run(["logs", "send", file("trace.log", lines), "--multiline", "off"]);
  expect(asked.map(({ text }) => text.split("\n").length)).toEqual([2, 4, 2, 4]);
  expect(entriesOf(asked)[0]).toEqual({ message: "ERROR boom\n    at a\n    at b", level: "error", service: "trace" });
});

test("logs send takes the time and the text out of a container's line", async () => {
  const { sendOnly, asked } = await service();
  const lines = [
    "2026-11-30T09:00:00.123456789Z stderr F ERROR boom",
    '2026-11-30T09:00:00.1Z stdout F {"message":"a","time":"2026-11-30T08:00:00Z"}',
    '2026-11-30T09:00:00.2Z stdout F {"message":"b"}',
  ];
  await terminal({ env: sendOnly }).run(["logs", "send", file("pod.log", lines.join("\n"))]);
  const common = { service: "pod", stream: "stdout" };
  expect(entriesOf(asked)).toEqual([
    { message: "ERROR boom", level: "error", ...common, stream: "stderr", timestamp: "2026-11-30T09:00:00.123456789Z" },
    { message: "a", time: "2026-11-30T08:00:00Z", ...common },
    { message: "b", timestamp: "2026-11-30T09:00:00.2Z", ...common },
  ]);
});

describe("logs send says", () => {
  const now = new Date("2026-11-22T00:00:00Z");

  test("how many entries are older than the service may keep, of plain lines and of JSON", async () => {
    const { sendOnly } = await service();
    const lines = ["2026-01-01T00:00:00Z a", '{"message":"b","time":"2026-01-02T00:00:00Z"}', "2026-11-21T00:00:00Z c"];
    const path = file("old.log", lines.join("\n"));
    const { run } = terminal({ env: sendOnly, now });
    const { code, err } = await run(["logs", "send", path, "--line-times"]);
    expect(code).toBe(0);
    expect(err).toContain(
      "2 entries are older than 30 days: if the service keeps logs for less time, they get the time of arrival.",
    );
    expect((await run(["logs", "send", path])).err).toContain("1 entry is older than 30 days");
  });

  test("how many lines have no time that --line-times reads", async () => {
    const { sendOnly } = await service();
    const path = file("times.log", "2026-11-21T00:00:00Z a\nno time\n\n2026-11-31 00:00:00 b\n{}\n");
    const { run } = terminal({ env: sendOnly, now });
    expect((await run(["logs", "send", path, "--line-times"])).err).toContain(
      "2 lines begin with no time that --line-times can read: the time of sending was used.",
    );
    expect((await run(["logs", "send", path])).err).not.toContain("--line-times");
  });

  test("which command shows what was sent", async () => {
    const { sendOnly } = await service();
    const { run } = terminal({ env: sendOnly, now });
    const own = file("own.log", '{"message":"a","service":"we ird (1)","time":"2026-11-19T00:00:00Z"}');
    expect((await run(["logs", "send", own])).err).toContain(
      "See them: sazabi logs query --since 4d 'service:\"we ird (1)\"'",
    );
  });

  test("which project it is in, when a command without --project searches another", async () => {
    const { env, sendOnly } = await service();
    const path = file("own.log", "x");
    const other = "00000000-0000-4000-8000-000000000001";
    const hintOf = async (variables: Record<string, string>, ...options: readonly string[]) => {
      const { err } = await terminal({ env: { ...env, ...variables } }).run(["logs", "send", path, ...options]);
      return /^See them: sazabi logs query (.*)$/m.exec(err)?.[1];
    };
    expect(await hintOf({ SAZABI_PROJECT_ID: other }, "--project", projectId)).toBe(
      `--project ${projectId} service:own`,
    );
    expect(await hintOf({}, "--project", projectId)).toBe(`--project ${projectId} service:own`);
    expect(await hintOf({ SAZABI_PROJECT_ID: other }, "--project", other)).toBe("service:own");
    expect(await hintOf({ SAZABI_PROJECT_ID: projectId })).toBe("service:own");
    // The public key decides the project, whatever else is named.
    const { SAZABI_PUBLIC_KEY: publicKey } = sendOnly;
    expect(await hintOf({}, "--project", projectId, "--public-key", publicKey)).toBe("service:own");
    expect(await hintOf({}, "--api-url", sendOnly.SAZABI_API_URL)).toBe(
      `--api-url ${sendOnly.SAZABI_API_URL} service:own`,
    );
  });

  test("how many lines were not UTF-8", async () => {
    const { sendOnly } = await service();
    const { run } = terminal({ env: sendOnly });
    const latin = (text: string) => file("latin.log", Buffer.from(text, "latin1"));
    expect((await run(["logs", "send", latin("gr\xfcn\nplain\nstra\xdfe\n")])).err).toContain(
      "2 lines were not UTF-8: unreadable bytes are stored as \ufffd.",
    );
    expect((await run(["logs", "send", latin("gr\xfcn\n")])).err).toContain("1 line was not UTF-8: ");
    expect((await run(["logs", "send", latin("plain\n")])).err).not.toContain("UTF-8");
  });

  test("nothing of what was rejected in the command", async () => {
    const { sendOnly } = await service(() => ({
      status: 202,
      body: {
        data: { accepted: 1, rejectedCount: 1, rejected: [{ index: 0, field: "message", message: "bad" }] },
        error: null,
      },
    }));
    const path = file("part.log", '{"message":"a","service":"bad"}\n{"message":"b","service":"good"}');
    expect((await terminal({ env: sendOnly }).run(["logs", "send", path])).err).toContain("logs query service:good");
  });
});

describe("lines that are not accepted", () => {
  test("are named with their line in the file and the reason, and the exit code says so", async () => {
    const { sendOnly } = await service((_, turn) =>
      turn === 1
        ? {
            status: 202,
            body: {
              data: {
                accepted: 998,
                rejectedCount: 2,
                rejected: [{ index: 4, field: "message", message: "too \u001bbad" }],
              },
              error: null,
            },
          }
        : undefined,
    );
    const path = file("r.log", `\n${"x\n".repeat(2000)}`);
    const { code, out, err } = await terminal({ env: sendOnly }).run(["logs", "send", path]);
    expect(code).toBe(1);
    expect(out).toBe("1,998 accepted, 2 rejected\n");
    // One blank line, a batch of 1000, and four before it in its own batch.
    expect(err).toContain("rejected: line 1006, message: too \\x1bbad");
  });

  test("a whole batch that is bad does not keep the next from being sent", async () => {
    const { sendOnly } = await service((_, turn) =>
      turn === 0
        ? refusal(400, "VALIDATION_ERROR", "None is good.", {
            issues: [{ path: "logs[0].message", message: "is empty" }],
          })
        : undefined,
    );
    const path = file("b.log", "x\n".repeat(1500));
    const { code, out, err } = await terminal({ env: sendOnly }).run(["logs", "send", path, "--json"]);
    expect(code).toBe(1);
    expect(JSON.parse(out)).toEqual({ accepted: 500, rejected: 1000 });
    expect(err).toContain("line 1, message: is empty");
  });
});

describe("a busy service", () => {
  test("gets the same batch again, under the same idempotency key, after the time it names", async () => {
    const { sendOnly, asked } = await service((_, turn) =>
      turn === 1 || turn === 2
        ? refusal(turn === 1 ? 429 : 503, "UNAVAILABLE", "Busy.", { retryAfterSeconds: 0 })
        : undefined,
    );
    const { code, out, err } = await terminal({ env: sendOnly }).run([
      "logs",
      "send",
      file("c.log", "x\n".repeat(1500)),
    ]);
    expect({ code, out }).toEqual({ code: 0, out: "1,500 accepted, 0 rejected\n" });
    expect(err).toContain("limiting requests; waiting 0 s");
    const keys = asked.map(({ headers }) => headers["idempotency-key"]);
    expect(keys).toHaveLength(4);
    expect(new Set(keys).size).toBe(2);
    expect(new Set(keys.slice(1)).size).toBe(1);
  });

  test("that wants more time than there is ends the command, with what was done", async () => {
    const { sendOnly } = await service((_, turn) =>
      turn === 1 ? refusal(429, "RATE_LIMIT_EXCEEDED", "Too much.", { retryAfterSeconds: 3600 }) : undefined,
    );
    const { code, err } = await terminal({ env: sendOnly }).run(["logs", "send", file("d.log", "x\n".repeat(1500))]);
    expect(code).toBe(6);
    expect(err).toContain("Stopped after 1,000 accepted and 0 rejected.");
  });
});

describe("logs send refuses", () => {
  test.each([
    ["a file that is not there", ["/nowhere.log"], "no such file or directory", 2],
    ["a directory", ["/tmp"], "is a directory", 2],
    ["a binary", [process.execPath], "is not text", 2],
    ["a secret key as public key", ["/dev/null", "--public-key", someKey("secret")], "is a secret key", 4],
    ["a mistyped key", ["/dev/null", "--public-key", "pk_live_x"], "its length is wrong", 4],
    ["key and logs both from stdin", ["--public-key", "-"], "both", 2],
    ["an unknown level", ["/dev/null", "--level", "loud"], "Allowed choices", 2],
  ])("%s", async (_, argv, words, exitCode) => {
    const { sendOnly, asked } = await service();
    const { code, err } = await terminal({ env: sendOnly }).run(["logs", "send", ...argv]);
    expect(err).toContain(words);
    expect(code).toBe(exitCode);
    expect(asked).toEqual([]);
  });

  test("to wait for lines that nobody sends", async () => {
    const { sendOnly } = await service();
    const { code, err } = await terminal({ env: sendOnly, columns: 80 }).run(["logs", "send"]);
    expect(code).toBe(2);
    expect(err).toContain("Nothing to send");
  });

  test("nothing that is too long, but says that it is cut", async () => {
    const { sendOnly } = await service();
    const path = file(
      "long.log",
      `${"x".repeat(300_000)}\nshort\n{"message":"${"é".repeat(140_000)}"}\n${'"'.repeat(200_000)}\n`,
    );
    const { code, err } = await terminal({ env: sendOnly }).run(["logs", "send", path]);
    expect(code).toBe(0);
    expect(err).toContain("2 entries were longer than the 256 KiB that the service keeps: cut, and flagged so.");
  });

  test("gzip that is damaged, after what could be read of it", async () => {
    const { sendOnly, asked } = await service();
    const cut = gzipSync(Array.from({ length: 3500 }, () => `${Math.random()}\n`).join("")).subarray(0, -8);
    const { code, err } = await terminal({ env: sendOnly }).run(["logs", "send", file("cut.gz", cut)]);
    expect(code).toBe(1);
    expect(err).toContain("damaged gzip");
    const sent = entriesOf(asked).length;
    expect(sent).toBeGreaterThan(3000);
    expect(err).toContain(`Stopped after ${sent.toLocaleString("en")} accepted and 0 rejected.`);
  });

  test.each([
    ["text", "trailing"],
    ["one byte", "x"],
    ["text after zeros", "\0\0\0trailing"],
  ])("nothing of gzip that %s follows, and says that it is left out", async (_, trailing) => {
    for (const lines of [1, 5000]) {
      const packed = gzipSync(Array.from({ length: lines }, (_, i) => `${i}\n`).join(""));
      const bytes = Buffer.concat([packed, Buffer.from(trailing, "latin1")]);
      const path = file("trailing.gz", bytes);
      for (const [argv, stdin] of [[[path], ""] as const, [["-"], bytes] as const]) {
        const { sendOnly, asked } = await service();
        const { code, out, err } = await terminal({ env: sendOnly }).run(["logs", "send", ...argv], { stdin });
        expect({ code, out }).toEqual({ code: 0, out: `${lines.toLocaleString("en")} accepted, 0 rejected\n` });
        expect(err).toContain("has bytes after its gzip data; they are left out, as by gunzip.");
        expect(entriesOf(asked)).toHaveLength(lines);
      }
    }
  });

  test("nothing of several members, padded with zeros, and says nothing", async () => {
    const { sendOnly, asked } = await service();
    const bytes = Buffer.concat([gzipSync("a\n"), gzipSync(""), gzipSync("b\n"), Buffer.alloc(70_000)]);
    const { code, err } = await terminal({ env: sendOnly }).run(["logs", "send", file("members.gz", bytes)]);
    expect({ code, sent: entriesOf(asked).length }).toEqual({ code: 0, sent: 2 });
    expect(err).not.toContain("left out");
  });

  test("no counts when there is nothing in it", async () => {
    const { sendOnly } = await service();
    for (const bytes of [Buffer.alloc(0), gzipSync("")]) {
      const { code, out } = await terminal({ env: sendOnly }).run(["logs", "send", file("empty.gz", bytes)]);
      expect({ code, out }).toEqual({ code: 0, out: "0 accepted, 0 rejected\n" });
    }
  });

  test("gzip is not followed", async () => {
    const { sendOnly, asked } = await service();
    const path = file("followed.gz", gzipSync("a\n"));
    const { code, err } = await terminal({ env: sendOnly }).run(["logs", "send", "--follow", path]);
    expect({ code, asked: asked.length }).toEqual({ code: 2, asked: 0 });
    expect(err).toContain("--follow reads text");
  });
});

describe("while sending", () => {
  test("progress shows at a terminal, and nowhere else", async () => {
    const { sendOnly } = await service();
    const path = file("p.log", "x\n".repeat(2000));
    const { run } = terminal({ env: sendOnly });
    expect((await run(["logs", "send", path], { columns: 80 })).err).toContain("1,000 lines sent…");
    for (const more of [{}, { columns: 80, env: { CI: "true" } }]) {
      expect((await run(["logs", "send", path], more)).err).not.toContain("lines sent…");
    }
    expect((await run(["logs", "send", path, "--json"], { columns: 80 })).err).toBe("");
  });

  test("Ctrl-C stops with 130 and says how far it came", async () => {
    const controller = new AbortController();
    const { sendOnly } = await service((_, turn) => {
      if (turn === 1) controller.abort();
      return undefined;
    });
    const { code, err } = await terminal({ env: sendOnly, signal: controller.signal }).run([
      "logs",
      "send",
      file("i.log", "x\n".repeat(3000)),
    ]);
    expect(code).toBe(130);
    expect(err).toContain("Stopped after 1,000 accepted");
  });
});
