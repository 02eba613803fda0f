import { spawn, spawnSync } from "node:child_process";
import { closeSync, cpSync, existsSync, mkdirSync, openSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { version } from "../../src/version.ts";
import { bin, finished, isolated, sazabi, start } from "../support/process.ts";
import { refusal, secretKeyOf, someKey, startService } from "../support/service.ts";
import { scratchDirectory } from "../support/terminal.ts";

describe("the process", () => {
  test("prints its version without loading anything", async () => {
    expect(await sazabi(scratchDirectory(), ["--version"])).toEqual({ code: 0, out: `sazabi ${version}\n`, err: "" });
  });

  test.each([
    [["--version"], []],
    [["--help"], []],
    [
      ["keys", "rotate", "--help"],
      ["core", "keys"],
    ],
    [
      ["keys", "inspect", someKey("secret")],
      ["core", "keys"],
    ],
    [
      ["config", "path"],
      ["core", "config", "sdk"],
    ],
  ])("loads for %j only what it needs", async (argv, files) => {
    const home = scratchDirectory();
    await sazabi(home, argv, { env: { NODE_V8_COVERAGE: join(home, "loaded") } });
    const [report] = readdirSync(join(home, "loaded"));
    const { result } = JSON.parse(readFileSync(join(home, "loaded", report as string), "utf8"));
    const loaded = (result as { url: string }[]).map(({ url }) => url).filter((url) => url.startsWith("file:"));
    const expected = [...files.map((file) => `/dist/${file}.cjs`), "/bin/sazabi.cjs"];
    expect(loaded.map((url) => url.slice(url.lastIndexOf("/", url.lastIndexOf("/") - 1))).sort()).toEqual(
      expected.sort(),
    );
  });

  test.each([
    ["keys", "inspect"],
    ["logs", "send", "--public-key", someKey("public")],
    ["whoami"],
    ["keys", "list", "--json"],
    ["logs", "query", "--all"],
    ["api", "GET", "/v1/me"],
    ["doctor"],
  ])("fails when what it waits for never comes: %s", async (...argv) => {
    const { code, out, err } = await sazabi(scratchDirectory(), argv, {
      env: { SAZABI_SECRET_KEY: someKey("secret"), NODE_OPTIONS: `--require=${worldThatNeverAnswers()}` },
    });
    expect({ code, out }).toEqual({ code: 1, out: "" });
    expect(err).toContain("error: The command did not finish");
  });

  test.each([
    [["whoami"], "Not logged in"],
    [["keys", "list"], "Not logged in"],
    [["keys", "inspect", someKey("secret")], ""],
    [["logs", "send"], "Not logged in"],
    [["auth", "login", "--key", "-", "--store", "file"], "This user has no home directory"],
    [["config", "path"], "This user has no home directory"],
    [["doctor"], ""],
  ])("of a user without a home is told so in one sentence, if at all: %s", async (argv, words) => {
    const child = spawn(process.execPath, [`--require=${userWithoutHome()}`, bin, ...argv], {
      env: { PATH: process.env.PATH, SAZABI_API_URL: "http://127.0.0.1:9" },
    });
    child.stdin.on("error", () => {}).end(someKey("secret"));
    const { out, err } = await finished(child);
    expect(out + err).not.toMatch(/uv_os_homedir|bug in sazabi|\n\s+at /);
    expect(err).toContain(words);
    expect(err.trimEnd().split("\n").length).toBeLessThanOrEqual(1);
  });

  test("that is not built says what to do", async () => {
    const copy = join(scratchDirectory(), "bin");
    mkdirSync(copy);
    cpSync(bin, join(copy, "sazabi.cjs"));
    const child = spawnSync(process.execPath, [join(copy, "sazabi.cjs"), "whoami"], { encoding: "utf8" });
    expect(child.status).toBe(1);
    expect(child.stderr).toContain("npm run build");
  });

  test("ends quietly when its reader has seen enough", async () => {
    const entries = Array.from({ length: 1000 }, (_, i) => ({
      id: `${i}`,
      timestamp: "2026-11-22T08:00:00.000Z",
      level: "info",
      service: "s",
      message: "x".repeat(500),
      attributes: {},
    }));
    const meta = {
      from: "2026-11-21T08:00:00.000Z",
      to: "2026-11-22T08:00:00.000Z",
      warnings: [],
      count: 1000,
      took: 1,
    };
    const { env } = await startService({
      "POST /v1/logs/query": () => ({ body: { data: entries, nextCursor: `${Math.random()}`, meta } }),
    });
    const child = start(scratchDirectory(), ["logs", "query", "--all"], { env });
    child.stdout?.once("data", () => child.stdout?.destroy());
    const { code, err } = await finished(child);
    expect({ code, err }).toEqual({ code: 0, err: "" });
  });

  test.runIf(existsSync("/dev/full")).each(["is full", "is closed by who read it"])(
    "does what it was told also when stderr %s: a key that was made is printed",
    async (fault) => {
      const value = someKey("secret");
      const { env } = await startService({
        "POST /v1/secret-keys": () => ({ status: 201, body: { secretKey: { ...secretKeyOf(value), value } } }),
      });
      const full = openSync("/dev/full", "w");
      const child = spawn(process.execPath, [bin, "keys", "create", "ci"], {
        env: isolated(scratchDirectory(), env),
        stdio: ["ignore", "pipe", fault === "is full" ? full : "pipe"],
      });
      closeSync(full);
      child.stderr?.destroy();
      expect(await finished(child)).toMatchObject({ code: 0, out: `${value}\n` });
    },
  );

  test("keeps its exit code when stderr is full", async () => {
    const stderr = openSync("/dev/full", "w");
    onTestFinished(() => closeSync(stderr));
    const { status } = spawnSync(process.execPath, [bin, "keys", "lst"], { stdio: ["ignore", "pipe", stderr] });
    expect(status).toBe(2);
  });

  test("stops with 130 on Ctrl-C", async () => {
    const { env, asked } = await startService({ "GET /v1/me": () => new Promise(() => {}) });
    const child = start(scratchDirectory(), ["whoami"], { env });
    const end = finished(child);
    while (asked.length === 0) await new Promise((resolve) => setTimeout(resolve, 20));
    child.kill("SIGINT");
    expect(await end).toMatchObject({ code: 130, out: "" });
  });

  test("sends what a program that goes on writes, as it comes, and stops on Ctrl-C with a count", async () => {
    const { env, asked, publicKey } = await startService({
      "POST /v1/logs": () => ({ status: 202, body: { data: { accepted: 1 }, error: null } }),
    });
    const child = start(scratchDirectory(), ["logs", "send"], { env: { ...env, SAZABI_PUBLIC_KEY: publicKey } });
    const end = finished(child);
    child.stdin?.write("first\n");
    while (asked.length === 0) await new Promise((resolve) => setTimeout(resolve, 20));
    child.kill("SIGINT");
    expect(await end).toMatchObject({ code: 130, err: expect.stringContaining("Stopped after 1 accepted") });
  });

  test("needs no more memory for a long input than for a short one", async () => {
    const { env, publicKey } = await startService({
      "POST /v1/logs": ({ text }) => ({
        status: 202,
        body: { data: { accepted: text.split("\n").length }, error: null },
      }),
    });
    const { code, out } = await sazabi(scratchDirectory(), ["logs", "send"], {
      env: { ...env, SAZABI_PUBLIC_KEY: publicKey, NODE_OPTIONS: "--max-old-space-size=24" },
      stdin: `INFO ${"x".repeat(90)}\n`.repeat(400_000),
    });
    expect({ code, out }).toEqual({ code: 0, out: "400,000 accepted, 0 rejected\n" });
  }, 60_000);

  test("that fails does not wait for a program that still writes to it", async () => {
    const { env, publicKey } = await startService({ "POST /v1/logs": () => refusal(403, "FORBIDDEN", "No.") });
    const child = start(scratchDirectory(), ["logs", "send"], { env: { ...env, SAZABI_PUBLIC_KEY: publicKey } });
    child.stdin?.write("first\n");
    expect(await finished(child)).toMatchObject({ code: 4 });
  });

  test.runIf(process.platform === "linux")("does not leave a key in the process list", async () => {
    const { url } = await startService({ "GET /v1/me": () => new Promise(() => {}) });
    const key = someKey("secret");
    const child = start(scratchDirectory(), ["auth", "login", "--key", key], { env: { SAZABI_API_URL: url } });
    const end = finished(child);
    const shown = () => readFileSync(`/proc/${child.pid}/cmdline`, "utf8");
    const deadline = Date.now() + 5000;
    while (shown().includes(key) && Date.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 10));
    expect(shown()).not.toContain(key.slice(8));
    child.kill("SIGINT");
    await end;
  });

  test("of twenty that change settings at once none loses its change", async () => {
    const home = scratchDirectory();
    const names = Array.from({ length: 20 }, (_, i) => `p${i}`);
    const codes = await Promise.all(names.map(async (name) => (await sazabi(home, ["profiles", "create", name])).code));
    expect(codes).toEqual(names.map(() => 0));
    const settings = JSON.parse(readFileSync(join(home, ".config/sazabi/config.json"), "utf8"));
    expect(Object.keys(settings.profiles).sort()).toEqual([...names].sort());
  }, 60_000);

  test("goes through the proxy that the environment names, and not where NO_PROXY says", async () => {
    const service = await startService();
    const env = { ...service.env, SAZABI_API_URL: "http://sazabi.test:4600" };
    const seen: string[] = [];
    const proxy = createServer((socket) => {
      socket.once("data", (chunk) => {
        seen.push(chunk.toString().split("\r\n")[0] as string);
        socket.end("HTTP/1.1 502 No\r\ncontent-length: 0\r\n\r\n");
      });
    });
    await new Promise<void>((resolve) => proxy.listen(0, "127.0.0.1", resolve));
    onTestFinished(() => void proxy.close());
    const HTTP_PROXY = `http://127.0.0.1:${(proxy.address() as { port: number }).port}`;
    const home = scratchDirectory();
    expect((await sazabi(home, ["whoami"], { env: { ...env, HTTP_PROXY } })).code).not.toBe(0);
    expect(seen[0]).toContain("sazabi.test:4600");
    expect((await sazabi(home, ["whoami"], { env: { ...env, HTTP_PROXY, NO_PROXY: "*.test" } })).code).toBe(5);
    expect((await sazabi(home, ["whoami"], { env: { ...service.env, HTTP_PROXY } })).code).toBe(0);
    expect(seen).toHaveLength(1);
  });

  test("names a proxy that is down, as the source does: what was built tells errors apart, too", async () => {
    const env = { SAZABI_API_URL: "http://sazabi.test:4600", SAZABI_SECRET_KEY: someKey("secret") };
    const HTTP_PROXY = "http://me:secret@127.0.0.1:9";
    const { code, err } = await sazabi(scratchDirectory(), ["whoami"], { env: { ...env, HTTP_PROXY } });
    expect(code).toBe(5);
    expect(err).toContain("connection refused; on the way through the proxy http://127.0.0.1:9 (HTTP_PROXY)");
    expect(err).toContain("NO_PROXY=sazabi.test bypasses it");
    expect(err).not.toContain("secret");
  });

  test("says which folder it may not write to", async () => {
    const { url, secretKey } = await startService();
    const home = scratchDirectory();
    // Not even root can make a folder below a file, or one in /proc.
    writeFileSync(join(home, "file"), "");
    for (const directory of [join(home, "file", "sazabi"), "/proc/none/of/sazabi"]) {
      const env = { SAZABI_API_URL: url, SAZABI_CONFIG_DIR: directory };
      const argv = ["auth", "login", "--key", "-", "--store", "file"];
      const { code, err } = await sazabi(home, argv, { env, stdin: secretKey });
      expect(code).toBe(1);
      expect(err).toMatch(/^error: Cannot write .*\/sazabi .*SAZABI_CONFIG_DIR/);
    }
  });
});

const hasScript = spawnSync("script", ["--version"]).stdout?.toString().includes("util-linux") ?? false;

describe.runIf(hasScript)("at a real terminal", () => {
  test("a key that is typed does not show, and Ctrl-C gives the terminal back", async () => {
    const { url, secretKey } = await startService();
    const typed = await atTerminal({ SAZABI_API_URL: url }, "auth login --store file", `${secretKey}\r`);
    expect(typed.out).toContain("Secret key:");
    expect(typed.out).toContain("Logged in to Acme");
    expect(typed.out).not.toContain(secretKey.slice(8, -4));

    const stopped = await atTerminal({ SAZABI_API_URL: url }, "auth login --store file; echo rc $?; stty -a", "\u0003");
    expect(stopped.out).toContain("rc 130");
    expect(stopped.out).toMatch(/[^-]icanon/);
    expect(stopped.out).toMatch(/[^-]echo\b/);
  });

  test("nobody is asked for a key where there is no place to keep it", async () => {
    const { url } = await startService();
    const { out } = await atTerminal({ SAZABI_API_URL: url }, "auth login; echo rc $?", "");
    expect(out).toContain("rc 4");
    expect(out).toContain("no D-Bus");
    expect(out).not.toContain("Secret key:");
  });

  /** Runs in a pseudo-terminal, and types once the question shows. */
  async function atTerminal(env: Record<string, string>, command: string, typed: string) {
    const line = `${process.execPath} ${bin} ${command}`;
    const child = spawn("script", ["-qec", line, "/dev/null"], {
      env: isolated(scratchDirectory(), { TERM: "xterm", SHELL: "/bin/sh", ...env }),
    });
    child.stdout.on("data", (chunk: Buffer) => {
      if (chunk.toString().includes("Secret key:")) child.stdin.write(typed);
    });
    return finished(child);
  }
});

/**
 * What Node says where the user has no entry in the system's list of users, as in containers that run as any uid. A process
 * of such a user could read neither Node nor the clone where those are in a folder of root.
 */
function userWithoutHome(): string {
  const file = join(scratchDirectory(), "user.cjs");
  writeFileSync(
    file,
    `const os = require("node:os");
     for (const [name, syscall] of [["homedir", "uv_os_homedir"], ["userInfo", "uv_os_get_passwd"]]) {
       os[name] = () => {
         const message = "A system error occurred: " + syscall + " returned ENOENT (no such file or directory)";
         throw Object.assign(new Error(message), { name: "SystemError", code: "ERR_SYSTEM_ERROR", syscall });
       };
     }`,
  );
  return file;
}

/** To be loaded first: stdin and requests neither end nor keep the process. */
function worldThatNeverAnswers(): string {
  const file = join(scratchDirectory(), "never.cjs");
  writeFileSync(
    file,
    `const { EventEmitter } = require("node:events");
     const never = { [Symbol.asyncIterator]: () => ({ next: () => new Promise(() => {}) }), destroy() {} };
     Object.defineProperty(process, "stdin", { value: never });
     // The time limit of a request would only delay the end.
     const { setTimeout } = globalThis;
     globalThis.setTimeout = Object.assign((work, ms, ...more) => {
       const timer = setTimeout(work, ms, ...more);
       return ms >= 10_000 ? timer.unref() : timer;
     }, setTimeout);
     require("node:http").request = () => Object.assign(new EventEmitter(), { end() {}, destroy() {} });`,
  );
  return file;
}
