import { createServer } from "node:net";
import { describe, expect, test } from "vitest";
import manifest from "../../package.json" with { type: "json" };
import { exits } from "../../src/errors.ts";
import { environment } from "../../src/help/environment.ts";
import { topics } from "../../src/help/topics.ts";
import { readHelpPages } from "../../src/reference.ts";
import { version } from "../../src/version.ts";
import { runnableCommands } from "../support/command-tree.ts";
import { refusal, someKey, startService } from "../support/service.ts";
import { terminal } from "../support/terminal.ts";

describe("an option of other command lines", () => {
  test.each<[string, string]>([
    ["keys list --format json", "--json"],
    ["keys list --format=json", "--json"],
    ["keys list -o json", "--json"],
    ["keys list -ojson", "--json"],
    ["whoami --output json", "--json"],
    ["whoami -o", "--json"],
    ["keys list -o csv", "--csv"],
    ["logs query error --format jsonl", "--ndjson"],
    ["keys list -n 5", "--limit 5"],
    ["keys list -n5", "--limit 5"],
    ["logs query error -n 5", "--limit 5"],
    ["logs query error --lines 5", "--limit 5"],
    ["audit list -n", "--limit <n>"],
  ])("%s is told what it is here: %s", async (line, meant) => {
    const { code, err } = await terminal().run(line.split(" "));
    expect(code).toBe(2);
    expect(err).toMatch(/unknown option/);
    expect(err).toContain(`Did you mean \`${meant}\`?`);
    expect(err).not.toContain("put --");
  });

  test.each([
    "whoami -n 5",
    "keys create -n 5",
    "keys secret-keys update x -n 5",
    "whoami -o csv",
    "keys list -o yaml",
    "keys list --nonsense json",
  ])("%s is not, where there is none", async (line) => {
    const { code, err } = await terminal().run(line.split(" "));
    expect(code).toBe(2);
    expect(err).not.toMatch(/Did you mean `--/);
  });
});

describe("help and version", () => {
  test("without a command the commands are listed, on stdout", async () => {
    const { code, out, err } = await terminal().run([]);
    expect(code).toBe(0);
    expect(out).toContain("Usage: sazabi");
    expect(out).toContain("logs");
    expect(err).toBe("");
  });

  test("--help anywhere prints the help of that command and runs nothing", async () => {
    const { code, out } = await terminal().run(["logs", "query", "level:error", "--help"]);
    expect(code).toBe(0);
    expect(out).toContain("Usage: sazabi logs query");
  });

  test("help and the words of a command print what --help after them prints", async () => {
    for (const words of [["keys"], ["keys", "rotate"], ["keys", "secret-keys", "list"], ["doctor"]]) {
      const page = await terminal().run(["help", ...words]);
      expect(page).toEqual(await terminal().run([...words, "--help"]));
      expect(page.out).toContain(`Usage: sazabi ${words.join(" ")}`);
    }
    expect((await terminal().run(["help", "keys"])).out).toContain("revoke-all");
  });

  test("may have the options of every command before it and between its words", async () => {
    const topic = await terminal().run(["help", "environment"]);
    for (const argv of [
      ["--json", "help", "environment"],
      ["--profile", "work", "help", "environment"],
      ["help", "--quiet", "environment"],
    ]) {
      expect(await terminal().run(argv)).toEqual(topic);
    }
    expect(await terminal().run(["--profile", "help", "help", "keys", "rotate"])).toEqual(
      await terminal().run(["keys", "rotate", "--help"]),
    );
    expect(await terminal().run(["help", "help"])).toEqual(await terminal().run(["help"]));
  });

  test("every page fits a terminal of 60 columns, apart from lines to copy", async () => {
    const examples = (await readHelpPages()).flatMap((page) => page.examples);
    for (const words of ["", ...(await runnableCommands()).keys()]) {
      const { out } = await terminal({ columns: 60 }).run([...words.split(" ").filter(Boolean), "--help"]);
      const isCopied = (line: string) => examples.includes(line.trim()) || !line.trim().includes(" ");
      const tooLong = out.split("\n").filter((line) => line.length > 60 && !isCopied(line));
      expect({ words, tooLong }).toEqual({ words, tooLong: [] });
    }
  });

  test("login and logout are other words for auth login and auth logout", async () => {
    for (const word of ["login", "logout"]) {
      expect((await terminal().run([word, "--help"])).out).toContain(`Usage: sazabi ${word}`);
      expect((await terminal().run(["help", word])).code).toBe(0);
    }
    expect((await terminal().run(["logout"])).code).toBe((await terminal().run(["auth", "logout"])).code);
  });

  test.each(topics.map(({ name }) => name))("sazabi help %s fits 80 columns, and a narrower terminal", async (name) => {
    for (const columns of [undefined, 80, 60]) {
      const { code, out, err } = await terminal(columns ? { columns } : {}).run(["help", name]);
      expect({ code, err }).toEqual({ code: 0, err: "" });
      expect(out.split("\n").filter((line) => line.length > (columns ?? 80))).toEqual([]);
      expect(out.length).toBeGreaterThan(300);
    }
    expect((await terminal().run(["--help"])).out).toMatch(new RegExp(`^  ${name}  +\\w`, "m"));
  });

  test("the topics are the code's own tables", async () => {
    const words = async (name: string) => (await terminal().run(["help", name])).out.replace(/\s+/g, " ");
    for (const { code, means } of Object.values(exits)) expect(await words("exit-codes")).toContain(`${code} ${means}`);
    for (const { names, means } of environment)
      expect(await words("environment")).toContain(`${names.join(", ")} ${means}`);
  });

  test("logs forward is another word for logs send", async () => {
    expect(await terminal().run(["logs", "forward", "--help"])).toEqual(
      await terminal().run(["logs", "send", "--help"]),
    );
  });

  test("the version is that of the package", async () => {
    expect(version).toBe(manifest.version);
    expect(await terminal().run(["--version"])).toEqual({ code: 0, out: `sazabi ${version}\n`, err: "" });
  });
});

describe("a wrong command line exits 2", () => {
  test.each([
    ["a mistyped command", ["lgos", "query"], "Did you mean logs?"],
    ["a mistyped command of a group", ["logs", "qeury"], "Did you mean query?"],
    ["a mistyped option", ["logs", "query", "--lmit", "3"], "Did you mean --limit?"],
    ["help for a mistyped command", ["help", "lgos"], "Did you mean logs?"],
    ["help for a mistyped topic", ["help", "enviroment"], "Did you mean environment?"],
    ["help for a topic in another number", ["help", "exit-code"], "Did you mean exit-codes?"],
    ["help for a mistyped command of a group", ["help", "keys", "rotat"], "Did you mean rotate?"],
    ["a command that ends something, in another group", ["keys", "delete", "x"], "See `sazabi keys --help`"],
    ["a command without its group", ["tail", "level:error"], "Did you mean `sazabi logs tail`?"],
    ["a short form that there is not", ["keys", "get", "ci"], "Did you mean `sazabi keys secret-keys get` or"],
    ["a topic without help", ["exit-codes"], "Did you mean `sazabi help exit-codes`?"],
    ["version as a word", ["version"], "Did you mean `sazabi --version`?"],
    ["a mistake in an option of every command", ["logs", "query", "--timeout", "0"], "See `sazabi logs query --help`."],
    ["an option without its value", ["logs", "query", "--limit"], "argument missing"],
    ["a limit that is no number", ["logs", "query", "--limit", "many"], "whole number"],
    ["too many words", ["auth", "logout", "now"], "too many arguments"],
    ["a choice that does not exist", ["auth", "login", "--store", "cloud"], "Allowed choices are keychain, file"],
  ])("%s", async (_, argv, words) => {
    const { code, out, err } = await terminal().run(argv);
    expect(code).toBe(2);
    expect(out).toBe("");
    expect(err).toMatch(/^error: /);
    expect(err).toContain(words);
    expect(err.trimEnd()).not.toContain("\n");
  });

  test("a group without a command shows the group's commands, on stderr", async () => {
    const { code, out, err } = await terminal().run(["keys"]);
    expect(code).toBe(2);
    expect(out).toBe("");
    expect(err).toContain("secret-keys");
  });

  test("with --json the error is one JSON object on stderr", async () => {
    const { code, err } = await terminal().run(["logs", "query", "--lmit", "3", "--json"]);
    expect(JSON.parse(err)).toMatchObject({ code: "USAGE", exitCode: code, message: expect.any(String) });
    const topic = await terminal().run(["help", "enviroment", "--json"]);
    expect(JSON.parse(topic.err)).toMatchObject({ code: "USAGE", exitCode: topic.code });
  });
});

describe("without a key", () => {
  test("a command exits 4 and names the ways in", async () => {
    const { code, err } = await terminal().run(["logs", "query", "level:error"]);
    expect(code).toBe(4);
    expect(err).toContain("sazabi auth login");
    expect(err).toContain("SAZABI_SECRET_KEY");
  });

  test("a profile that does not exist is named with those that do", async () => {
    const { run } = terminal();
    await run(["profiles", "create", "work"]);
    const { code, err } = await run(["whoami", "--profile", "wrok"]);
    expect(code).toBe(4);
    expect(err).toContain("There is no profile wrok. There are: work. `sazabi auth login --profile wrok` makes it.");
  });

  test.each([
    ["whoami", "--key-stdin"],
    ["auth", "login", "--key", "-"],
    ["keys", "inspect"],
  ])("%s %s: stdin that is empty is a usage error that says so", async (...argv) => {
    const { code, err } = await terminal().run(argv.filter(Boolean), { stdin: "\n" });
    expect(code).toBe(2);
    expect(err).toContain("from stdin, but stdin was empty");
  });

  test("a public key in the environment is told from a secret one before anything is sent", async () => {
    const { url, asked } = await startService();
    const env = { SAZABI_API_URL: url, SAZABI_SECRET_KEY: someKey("public") };
    const { code, err } = await terminal({ env }).run(["whoami"]);
    expect(code).toBe(4);
    expect(err).toContain("is a public key");
    expect(err).toContain("SAZABI_SECRET_KEY");
    expect(asked).toEqual([]);
  });

  test("a mistyped key is found out before anything is sent, and not repeated", async () => {
    const { url, asked } = await startService();
    const mistyped = `${someKey("secret")}x`;
    const { code, err } = await terminal({ env: { SAZABI_API_URL: url, SAZABI_TOKEN: mistyped } }).run(["whoami"]);
    expect(code).toBe(4);
    expect(err).toContain("SAZABI_TOKEN");
    expect(err).not.toContain(mistyped);
    expect(asked).toEqual([]);
  });
});

describe("which key is used", () => {
  test("SAZABI_SECRET_KEY goes before SAZABI_TOKEN, --key-stdin before both", async () => {
    const { url, asked, secretKey } = await startService();
    const other = someKey("secret");
    const { run } = terminal({ env: { SAZABI_API_URL: url } });
    await run(["whoami"], { env: { SAZABI_SECRET_KEY: secretKey, SAZABI_TOKEN: other } });
    await run(["whoami", "--key-stdin"], { env: { SAZABI_SECRET_KEY: other }, stdin: `${secretKey}\r\n` });
    expect(asked.map(({ headers }) => headers.authorization)).toEqual(Array(2).fill(`Bearer ${secretKey}`));
  });

  test("an empty variable is treated as unset, and a stray newline does no harm", async () => {
    const { url, secretKey } = await startService();
    const env = { SAZABI_API_URL: url, SAZABI_SECRET_KEY: "", SAZABI_TOKEN: `${secretKey}\n` };
    expect((await terminal({ env }).run(["whoami"])).code).toBe(0);
  });

  test("--profile goes before the environment", async () => {
    const { url, secretKey } = await startService();
    const { run } = terminal({ env: { SAZABI_API_URL: url } });
    await run(["auth", "login", "--profile", "work", "--key", "-"], { stdin: secretKey });
    const env = { SAZABI_SECRET_KEY: someKey("secret") };
    expect((await run(["whoami"], { env })).code).toBe(4);
    expect(await run(["whoami", "--profile", "work"], { env })).toMatchObject({
      code: 0,
      out: expect.stringContaining("profile work"),
    });
  });
});

describe("the service says no", () => {
  test.each([
    [refusal(401, "UNAUTHORIZED", "It was replaced.", { reason: "revoked_api_key" }), 4, "It was replaced."],
    [refusal(401, "UNAUTHORIZED", "It expired at noon.", { reason: "expired_api_key" }), 4, "It expired at noon."],
    [refusal(401, "UNAUTHORIZED", "No.", { reason: "invalid_api_key" }), 4, "does not know the key"],
    [refusal(403, "FORBIDDEN", "This needs read:logs.", { reason: "missing_scope" }), 4, "This needs read:logs."],
    [refusal(404, "NOT_FOUND", "No such thing."), 3, "No such thing."],
    [refusal(409, "CONFLICT", "Taken."), 1, "Taken."],
    [refusal(429, "RATE_LIMIT_EXCEEDED", "Slow down.", { retryAfterSeconds: 60 }), 6, "Try again in 60 s"],
    [refusal(500, "INTERNAL_ERROR", "Broken."), 1, "req-1"],
    [refusal(503, "UNAVAILABLE", "No database.", { retryAfterSeconds: 60 }), 5, "Try again in 60 s"],
    [{ status: 502, text: "<html>" }, 5, "502"],
  ])("%#: exit code and words", async (answer, exitCode, words) => {
    const { env, secretKey } = await startService({ "GET /v1/me": () => answer });
    const { code, out, err } = await terminal({ env }).run(["whoami"]);
    expect(code).toBe(exitCode);
    expect(err).toContain(words);
    expect(err.trimEnd()).not.toContain("\n");
    expect(out + err).not.toContain(secretKey);
    if (answer.status === 401) expect(err).toContain(`sk_live_…${secretKey.slice(-4)} (SAZABI_SECRET_KEY)`);
  });

  test.each(["revoked_api_key", "expired_api_key"])(
    "%s: the way to another key is the one this key came by",
    async (reason) => {
      const { url, env, secretKey } = await startService();
      const { run } = terminal({ env: { SAZABI_API_URL: url } });
      await run(["auth", "login", "--profile", "work", "--key", "-"], { stdin: secretKey });
      const no = await startService({ "GET /v1/projects": () => refusal(401, "UNAUTHORIZED", "No.", { reason }) });
      const refused = (argv: readonly string[], more: Parameters<typeof run>[1] = {}) =>
        run(["projects", "list", ...argv], { ...more, env: { ...more.env, SAZABI_API_URL: no.url } });
      expect((await refused([], { env: { SAZABI_TOKEN: no.secretKey } })).err).toContain(
        "Set SAZABI_TOKEN to another key",
      );
      expect((await refused(["--key-stdin"], { stdin: no.secretKey })).err).toContain("Use another key.");
      expect(env.SAZABI_SECRET_KEY).toBe(secretKey);
      await run(["auth", "login", "--profile", "home", "--key", "-"], {
        stdin: no.secretKey,
        env: { SAZABI_API_URL: no.url },
      });
      expect((await refused(["--profile", "home"])).err).toContain("`sazabi auth login --profile home`");
    },
  );

  test.each([
    [
      "a key without the right",
      refusal(403, "FORBIDDEN", "This needs read:logs."),
      "`sazabi auth status` says which key",
    ],
    ["too many requests, without a time", refusal(429, "RATE_LIMIT_EXCEEDED", "Slow down."), "Wait a minute"],
    [
      "a fault of the service",
      refusal(500, "INTERNAL_ERROR", "Broken."),
      "The service's log has more under request req-1",
    ],
    ["a gateway without a service", { status: 502, body: "<html>" }, "load balancer in between"],
  ])("%s: the error says what to check, and where the fault is", async (_, answer, words) => {
    const { env, url } = await startService({ "GET /v1/me": () => answer });
    const { err } = await terminal({ env }).run(["whoami"]);
    expect(err).toContain(words);
    if (answer.status && answer.status >= 500) expect(err).toContain(url);
  });

  test("config set projectId takes the name of a project, as --project does", async () => {
    const id = "7d0b4e0e-8a3c-4d9e-9f43-0f3a4a1b2c3d";
    const named = (name: string, more: object = {}) => ({ id, name, ...more });
    const projects = [named("Shop"), named("Twice"), named("Twice", { id: "other" })];
    const { env } = await startService({ "GET /v1/projects": () => ({ body: { projects } }) });
    const { run } = terminal({ env });
    expect((await run(["config", "set", "projectId", "Shop"])).code).toBe(0);
    expect((await run(["config", "get", "projectId"])).out).toBe(`${id}\n`);
    expect(await run(["config", "set", "projectId", "none"])).toMatchObject({
      code: 3,
      err: expect.stringContaining("There are: Shop"),
    });
    expect((await run(["config", "set", "projectId", "Twice"])).code).toBe(2);
    expect((await run(["config", "get", "projectId"])).out).toBe(`${id}\n`);
  });

  test("a project that does not exist is named with who chose it", async () => {
    const { env } = await startService({
      "GET /v1/public-keys": () => refusal(404, "NOT_FOUND", "No such project."),
    });
    const { run } = terminal({ env });
    const id = "7d0b4e0e-8a3c-4d9e-9f43-0f3a4a1b2c3d";
    const fromEnv = await run(["public-keys", "list"], { env: { SAZABI_PROJECT_ID: id } });
    expect(fromEnv.code).toBe(3);
    expect(fromEnv.err).toContain(`Project ${id} from SAZABI_PROJECT_ID: there is no such project.`);
    await run(["config", "set", "projectId", id]);
    const fromProfile = await run(["public-keys", "list"]);
    expect(fromProfile.code).toBe(3);
    expect(fromProfile.err).toContain(`Project ${id} from profile default: there is no such project.`);
    expect(fromProfile.err).toContain("sazabi projects use");
  });

  test("with --json its code, reason and request id reach programs", async () => {
    const { env } = await startService({
      "GET /v1/me": () => refusal(401, "UNAUTHORIZED", "No.", { reason: "revoked_api_key" }),
    });
    const { err } = await terminal({ env }).run(["whoami", "--json"]);
    expect(JSON.parse(err)).toMatchObject({
      code: "UNAUTHORIZED",
      reason: "revoked_api_key",
      requestId: "req-1",
      exitCode: 4,
    });
  });

  test("an error text that tries to drive the terminal is shown, not carried out", async () => {
    const { env } = await startService({
      "GET /v1/me": () => refusal(500, "INTERNAL_ERROR", "\u001b]0;owned\u0007 \u202edessap\u009b31m"),
    });
    const { err } = await terminal({ env }).run(["whoami"]);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there.
    expect(err).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e]/);
    expect(err).toContain("\\x1b]0;owned\\x07");
  });
});

describe("nobody answers", () => {
  test.each([
    [["keys", "create", "ci"], "Whether the key was made is not known: look with `sazabi keys list`"],
    [["keys", "create", "web", "--type", "public"], "Whether the key was made is not known"],
    [["projects", "create", "shop"], "Whether the project was made is not known: look with `sazabi projects list`"],
  ])("%j: whether it was made is not known, and the error says where to look", async (argv, words) => {
    let asked = 0;
    const server = createServer((socket) => {
      asked++;
      socket.once("data", () => socket.destroy()).on("error", () => {});
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const url = `http://127.0.0.1:${(server.address() as { port: number }).port}`;
    const env = { SAZABI_API_URL: url, SAZABI_SECRET_KEY: someKey("secret") };
    const { code, err } = await terminal({ env }).run(argv);
    server.close();
    expect(code).toBe(5);
    expect(err).toContain(words);
    expect(asked).toBe(1);
  });

  test("one line names the address, the cause and what to check", async () => {
    const env = { SAZABI_API_URL: "http://127.0.0.1:9", SAZABI_SECRET_KEY: someKey("secret") };
    const { code, out, err } = await terminal({ env }).run(["whoami"]);
    expect(code).toBe(5);
    expect(out).toBe("");
    expect(err).toBe(
      "error: Could not reach the Sazabi API at http://127.0.0.1:9 (connection refused; address from SAZABI_API_URL). " +
        "Is it running? Start it with `npm start`, or name its address with --api-url or SAZABI_API_URL.\n",
    );
  });

  test("a host that does not exist, and a port that speaks something else, are told apart", async () => {
    const SAZABI_SECRET_KEY = someKey("secret");
    const nowhere = await terminal({ env: { SAZABI_API_URL: "http://nowhere.invalid", SAZABI_SECRET_KEY } }).run([
      "whoami",
    ]);
    expect(nowhere.err).toMatch(/no such host|could not be looked up/);

    const server = createServer((socket) => socket.end("220 smtp ready\r\n"));
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const port = (server.address() as { port: number }).port;
    const other = await terminal({ env: { SAZABI_API_URL: `http://127.0.0.1:${port}`, SAZABI_SECRET_KEY } }).run([
      "whoami",
    ]);
    server.close();
    expect(other.code).toBe(5);
    expect(other.err).toContain("does not speak HTTP");
  });

  test("an answer that does not come is given up on after --timeout", async () => {
    const { env } = await startService({ "GET /v1/me": () => new Promise(() => {}) });
    const { code, err } = await terminal({ env }).run(["whoami", "--timeout", "0.1"]);
    expect(code).toBe(5);
    expect(err).toContain("did not answer within 0.1 s");
  });

  test("Ctrl-C ends the wait with 130", async () => {
    const controller = new AbortController();
    const { env } = await startService({
      "GET /v1/me": () => new Promise(() => setTimeout(() => controller.abort(), 20)),
    });
    const { code, err } = await terminal({ env, signal: controller.signal }).run(["whoami"]);
    expect(code).toBe(130);
    expect(err).toBe("");
  });

  test.each(["localhost:4600", "ftp://x", "http://u:p@x"])(
    "the address %s is refused as a usage error",
    async (url) => {
      const { code, err } = await terminal({ env: { SAZABI_SECRET_KEY: someKey("secret") } }).run([
        "whoami",
        "--api-url",
        url,
      ]);
      expect(code).toBe(2);
      expect(err).toContain("--api-url");
    },
  );
});
