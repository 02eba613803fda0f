import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { Client } from "@elastic/elasticsearch";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { bearer, send, startTestService, type TestService } from "./support/index.ts";

// The recipes of docs/senders.md, run as they stand there but for the address and the key.

const page = readFileSync(new URL("../../../docs/senders.md", import.meta.url), "utf8");
/** From where the senders that the recipes import are found. */
const packageDirectory = fileURLToPath(new URL("..", import.meta.url));

let service: TestService;
beforeAll(async () => {
  service = await startTestService();
});
afterAll(() => service.close());

/** The code under a heading, in one language, with our address and key. */
function recipe(heading: string, language: string): string {
  const section = page.split(/^## /m).find((text) => text.startsWith(`${heading}\n`)) ?? "";
  const code = new RegExp(`^\`\`\`${language}\n(.*?)^\`\`\``, "ms").exec(section)?.[1];
  if (!code) throw new Error(`docs/senders.md has no ${language} under "${heading}".`);
  const { port } = new URL(service.url);
  return code.replaceAll("4600", port).replaceAll("pk_live_…", service.publicKey);
}

/** Waits until so many entries are found: some senders say nothing of how it went. */
async function stored(query: string, count = 1) {
  for (let tries = 0; ; tries++) {
    const answer = await send(service, "POST /v1/logs/query", {
      headers: bearer(service.secretKey),
      body: { search: { query } },
    });
    if (answer.body.data.length >= count) return answer.body.data;
    if (tries === 100) throw new Error(`not stored: ${query}`);
    await sleep(100);
  }
}

/** Runs a program to its end; throws what it said when it failed. */
async function run(
  command: string,
  args: readonly string[],
  input: string,
  env: Record<string, string> = {},
  cwd = packageDirectory,
) {
  const child = spawn(command, args, { cwd, env: { ...process.env, ...env } });
  let said = "";
  child.stdout.on("data", (chunk) => (said += chunk));
  child.stderr.on("data", (chunk) => (said += chunk));
  child.stdin.end(input);
  const [code] = await once(child, "close");
  if (code !== 0) throw new Error(`${command} ended with ${code}: ${said}`);
  return said;
}

function scratch(): string {
  const directory = mkdtempSync(join(tmpdir(), "sazabi-sender-"));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

const missing = (command: string, args = ["--version"]) => spawnSync(command, args).status !== 0;
const noCurl = missing("curl") ? " (skipped: no curl here)" : "";
const noRsyslog =
  missing("rsyslogd", ["-v"]) || missing("sh", ["-c", "ls /usr/lib/*/rsyslog/omelasticsearch.so"])
    ? " (skipped: no rsyslog with omelasticsearch here)"
    : "";

describe.skipIf(noCurl !== "")(`curl${noCurl}`, () => {
  test("sends an entry, lines of JSON and compressed text", async () => {
    const directory = scratch();
    writeFileSync(join(directory, "app.ndjson"), '{"message":"from a file","n":1}\n{"message":"from a file","n":2}\n');
    writeFileSync(join(directory, "app.log"), "plain line one\nplain line two\n");
    await run("bash", ["-e"], recipe("curl", "sh"), {}, directory);
    expect(await stored("deployed")).toMatchObject([
      { level: "info", service: "deploy", attributes: { version: "1.4.2" } },
    ]);
    expect(await stored('"from a file"', 2)).toHaveLength(2);
    expect(await stored('"plain line"', 2)).toHaveLength(2);
  });
});

test.each(["proto", "http"])("OpenTelemetry, %s", async (encoding) => {
  const env = Object.fromEntries(
    recipe("OpenTelemetry", "sh")
      .trim()
      .split("\n")
      .map((line) => [line.slice(0, line.indexOf("=")), line.slice(line.indexOf("=") + 1)]),
  );
  const service_name = `otel-${encoding}`;
  const code = recipe("OpenTelemetry", "js")
    .replace("otlp-proto", `otlp-${encoding}`)
    .replace("order.id", service_name);
  await run(process.execPath, ["--input-type=module"], code, env);
  const [entry] = await stored(`${service_name}:7`);
  expect(entry).toMatchObject({
    message: "payment failed",
    level: "error",
    attributes: { "otel.scope.name": "checkout" },
  });
});

test("pino", async () => {
  await run(process.execPath, ["--input-type=module"], recipe("pino", "js").replace("payment failed", "pino says"));
  expect(await stored('"pino says"')).toMatchObject([
    { level: "error", service: "checkout", attributes: { "order.id": 7 } },
  ]);
});

test("winston, which warns of a 202 and repeats nothing", async () => {
  const code = `${recipe("winston", "js").replace("payment failed", "winston says")}
    log.on("warn", (error) => console.log(error.message));`;
  expect(await run(process.execPath, ["--input-type=module"], code)).toMatch(/Invalid HTTP Status Code: 202/);
  const entries = await stored('"winston says"');
  expect(entries).toMatchObject([{ level: "error", service: "checkout", attributes: { "order.id": 7 } }]);
});

test("a client of Elasticsearch", async () => {
  const code = recipe("A client of Elasticsearch", "js").replace("payment failed", "elastic says");
  expect(await run(process.execPath, ["--input-type=module"], code)).toBe("");
  expect(await stored('"elastic says"')).toMatchObject([{ level: "error", attributes: { _index: "logs-checkout" } }]);
});

describe("a client of Elasticsearch that sends again", () => {
  const client = () => new Client({ node: service.url, auth: { apiKey: service.publicKey } });
  const bulk = (operations: object[], index = "logs") => client().bulk({ index, operations });

  test("what it creates is stored once; the second time it is told that the document exists", async () => {
    const operations = [
      { create: { _id: "a" } },
      { message: "created by id" },
      { create: { _id: "b" } },
      { message: "created by id" },
    ];
    expect(await bulk(operations)).toMatchObject({ errors: false });
    const again = await bulk([...operations, { create: {} }, { message: "created by id" }]);
    expect(again).toMatchObject({
      errors: true,
      items: [
        { create: { _index: "logs", _id: "a", status: 409, error: { type: "version_conflict_engine_exception" } } },
        { create: { _index: "logs", _id: "b", status: 409, error: { type: "version_conflict_engine_exception" } } },
        { create: { status: 201 } },
      ],
    });
    expect(await bulk([{ create: { _id: "a" } }, { message: "created by id" }], "other")).toMatchObject({
      errors: false,
    });
    expect(await stored('"created by id"', 4)).toHaveLength(4);
    // Or a stranger who guesses an id could keep the document out.
    expect(await bulk([{ create: { _id: "a" } }, { message: "created by a guessed id" }])).toMatchObject({
      errors: false,
    });
  });

  test("the verdicts stand beside those of documents that are refused", async () => {
    await bulk([{ create: { _id: "c" } }, { message: "beside" }]);
    const { items } = await bulk([
      { create: { _id: "d" } },
      {},
      { delete: { _id: "c" } },
      { create: { _id: "c" } },
      { message: "beside" },
      { create: { _id: "e" } },
      { message: "beside" },
      { create: { _id: "e" } },
      { message: "beside" },
    ]);
    expect(items.map((item) => Object.values(item)[0]?.status)).toEqual([201, 400, 409, 201, 409]);
    expect(await stored("beside", 2)).toHaveLength(2);
  });

  test("what it indexes is stored once, and again when it says something else: logs are not replaced", async () => {
    const first = [{ index: { _id: "f" } }, { message: "indexed", step: 1 }];
    const changed = [{ index: { _id: "f" } }, { message: "indexed", step: 2 }];
    expect(await bulk(first)).toMatchObject({ errors: false, items: [{ index: { result: "created", status: 201 } }] });
    expect(await bulk(first)).toMatchObject({ errors: false, items: [{ index: { result: "updated", status: 200 } }] });
    for (const status of [201, 200]) expect((await bulk(changed)).items).toMatchObject([{ index: { status } }]);
    expect(await bulk(first)).toMatchObject({ items: [{ index: { status: 200 } }] });
    expect(await stored("indexed", 2)).toHaveLength(2);
  });

  test("a document without an _id is known by what it says of itself, and never a conflict", async () => {
    const document = { "@timestamp": new Date().toISOString(), message: "own id", id: 7 };
    for (let sent = 0; sent < 2; sent++) {
      expect(await bulk([{ create: {} }, document])).toMatchObject({ errors: false });
    }
    expect(await stored('"own id"')).toHaveLength(1);
  });
});

describe.skipIf(noRsyslog !== "")(`rsyslog${noRsyslog}`, () => {
  test("sends what is written to a file that it reads", async () => {
    const directory = scratch();
    const log = join(directory, "app.log");
    const input = `module(load="imfile")\ninput(type="imfile" file="${log}" tag="shop" severity="error")\n`;
    const config = join(directory, "rsyslog.conf");
    writeFileSync(log, 'rsyslog says "hello"\nrsyslog says more\n');
    writeFileSync(config, `global(workDirectory="${directory}")\n${input}${recipe("rsyslog", "")}`);
    const child = spawn("rsyslogd", ["-n", "-f", config, "-i", join(directory, "pid")], {
      stdio: ["ignore", "pipe", "pipe"],
    });
    try {
      const entries = await stored('"rsyslog says"', 2);
      expect(entries).toHaveLength(2);
      expect(entries.find(({ message }: { message: string }) => message.includes("hello"))).toMatchObject({
        message: 'rsyslog says "hello"',
        level: "error",
        service: "shop",
        attributes: { host: expect.stringMatching(/./), _index: "syslog" },
      });
    } finally {
      child.kill("SIGTERM");
      await once(child, "exit");
    }
  });
});
