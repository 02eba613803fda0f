import childProcess, { type SpawnOptions } from "node:child_process";
import { createServer } from "node:http";
import { syncBuiltinESMExports } from "node:module";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from "vitest";
import { keychainStore } from "../../src/credentials/keychain.ts";
import { startPager } from "../../src/output/pager.ts";
import { runnableCommands } from "../support/command-tree.ts";
import { type Answer, keyId, projectId, refusal, secretKeyOf, someKey, startService } from "../support/service.ts";
import { scratchDirectory, terminal } from "../support/terminal.ts";

/** Every child that is started, with what it was given. */
interface Child {
  readonly argv: readonly string[];
  readonly env: NodeJS.ProcessEnv;
}

let children: Child[];
const original = { ...childProcess };

beforeEach(() => {
  children = [];
  const record = (argv: readonly string[], options: SpawnOptions | undefined) =>
    void children.push({ argv, env: options?.env ?? process.env });
  childProcess.spawn = ((program: string, args: readonly string[] | SpawnOptions, options?: SpawnOptions) => {
    const [given, how] = Array.isArray(args) ? [args, options] : [[], args as SpawnOptions];
    record([program, ...given], how);
    return original.spawn(program, given, how ?? {});
  }) as typeof childProcess.spawn;
  for (const name of ["spawnSync", "exec", "execSync", "execFile", "execFileSync", "fork"] as const) {
    childProcess[name] = (() => expect.unreachable(`${name} is not watched by this test: use spawn.`)) as never;
  }
  syncBuiltinESMExports();
});

afterEach(() => {
  Object.assign(childProcess, original);
  syncBuiltinESMExports();
});

/** Every command, with the key in each place that takes a text, and with each of its options. */
async function everyCommandLine(key: string): Promise<readonly (readonly string[])[]> {
  const lines: (readonly string[])[] = [];
  const directory = scratchDirectory();
  for (const [words, command] of await runnableCommands()) {
    const base = words.split(" ");
    const named = [...base, ...command.registeredArguments.map(() => key)];
    const byId = [...base, ...command.registeredArguments.map(() => keyId)];
    lines.push(base, named, byId);
    for (const { long, flags, required, optional } of command.options) {
      const name = long ?? expect.unreachable(`${flags} has no long name.`);
      // It is run by the shell, or made: nobody writes a key there.
      const file = join(directory, key);
      const value = { "--exec": "cat", "--env-file": file, "--dotenv": file }[name] ?? key;
      const option = required || optional ? [name, value] : [name];
      lines.push([...byId, ...option], [...byId, ...option, "--yes"]);
    }
  }
  return lines;
}

/** What only makes sense together, or is no command. */
const moreCommandLines = (key: string): readonly (readonly string[])[] => [
  ["auth", "login", "--key", `${key}x`],
  ["auth", "login", "--key", `${key.slice(0, -1)}_`],
  ["keys", "inspect", `${key}x`],
  ["keys", "rotate", key, "--env-file", `/nowhere/${key}`],
  ["keys", "rotate", keyId, "--dotenv", join(scratchDirectory(), key)],
  ["keys", "rotate", "--self", "--exec", "cat; env"],
  ["config", "set", "apiUrl", key],
  ["logs", "query", "--api-url", "http://127.0.0.1:9"],
  ["logs", "query", "--api-url", key],
  ["logs", "query", `--${key}`],
  ["api", "GET", `/v1/me?key=${key}`],
  ["api", "POST", "/v1/secret-keys", "-H", `x: ${key}`, "-f", `a=${key}`],
  ["open", key],
  ["whoami", "--profile", key],
  ["whoami", "--timeout", key],
  ["whoami", "--color", key],
  [key],
  ["help", key],
];

/** `api` prints what the service says, word for word; `auth token` is there to print the key. */
const isAskedFor = (argv: readonly string[]) => argv[0] === "api" || argv.slice(0, 2).join(" ") === "auth token";

async function workingService(): Promise<Service> {
  const project = { id: projectId, name: "shop", region: "us-east-1", organizationId: "org-1", createdAt: "" };
  const key = secretKeyOf("wxyz");
  const created = () => ({ status: 201, body: { secretKey: { ...key, value: someKey("secret") } } });
  const point = { start: "2026-11-22T07:00:00.000Z", generation: 1, accepted: 4, refused: 0 };
  const meta = { count: 0, took: 1, from: point.start, to: point.start, warnings: [] };
  return startService({
    "GET /v1/secret-keys": () => ({ body: { secretKeys: [key], nextCursor: null } }),
    "POST /v1/secret-keys": created,
    "GET /v1/public-keys": () => ({ body: { publicKeys: [], nextCursor: null } }),
    [`GET /v1/secret-keys/${keyId}`]: () => ({ body: { secretKey: key } }),
    [`PATCH /v1/secret-keys/${keyId}`]: () => ({ body: { secretKey: key } }),
    [`DELETE /v1/secret-keys/${keyId}`]: () => ({ status: 204, body: "" }),
    [`POST /v1/secret-keys/${keyId}/rotate`]: created,
    [`GET /v1/keys/${keyId}/usage`]: () => ({
      body: { keyId, from: point.start, to: point.start, interval: "1h", points: [point] },
    }),
    "GET /v1/projects": () => ({ body: { projects: [project] } }),
    [`GET /v1/projects/${keyId}`]: () => ({ body: { project } }),
    "GET /v1/organizations": () => ({ body: { organizations: [{ id: "o", name: "Acme", slug: "acme" }] } }),
    "GET /v1/threads": () => ({ body: { threads: [], nextCursor: null } }),
    "POST /v1/logs/query": () => ({ body: { data: [], nextCursor: null, meta } }),
    "GET /dashboard": () => ({ body: "" }),
  });
}

interface Service {
  readonly env: Record<string, string>;
  readonly secretKey: string;
}

/** Whatever it is asked, its answer is an error that quotes the key, or nothing that one can read. */
async function telltaleService(): Promise<Service> {
  let turn = 0;
  const server = createServer((incoming, outgoing) => {
    const said = `You sent ${incoming.headers.authorization}.`;
    const answers = [
      refusal(400, "VALIDATION_ERROR", said, { issues: [{ path: said, message: said }] }),
      refusal(401, "UNAUTHORIZED", said, { reason: "invalid_api_key" }),
      refusal(500, "INTERNAL_ERROR", said, { requestId: said }),
      { status: 502, body: said },
      { status: 200, body: {} },
      { status: 200, body: { organization: null, data: null, secretKeys: null, key: 1 } },
      { status: 302, body: said, headers: { location: said } },
    ];
    const { status = 200, body } = answers[turn++ % answers.length] as Answer;
    incoming.resume();
    outgoing.writeHead(status, { "content-type": "application/json" });
    outgoing.end(JSON.stringify(body));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const secretKey = someKey("secret");
  return { secretKey, env: { SAZABI_API_URL: url, SAZABI_SECRET_KEY: secretKey } };
}

const swallowing = ["sh", "-c", "cat > /dev/null"];

async function expectHidden({ env, secretKey }: Service): Promise<void> {
  const secret = secretKey.slice(8, -4);
  const lines = [...(await everyCommandLine(secretKey)), ...moreCommandLines(secretKey)];
  expect(lines.length).toBeGreaterThan(300);
  const world = { env: { ...env, PATH: process.env.PATH ?? "", DISPLAY: ":0", GITHUB_OUTPUT: "/nowhere/output" } };
  const program = terminal(world);
  const person = terminal({ ...world, columns: 60, rows: 3, pager: () => startPager(swallowing, world.env) });
  for (const [i, argv] of lines.entries()) {
    for (const { run } of [program, person]) {
      const { out, err } = await run([...argv, ...(i % 2 ? ["--json"] : [])], { typed: [secretKey, secretKey] });
      const shown = isAskedFor(argv) ? err : out + err;
      if (shown.includes(secret)) expect.fail(`${argv.join(" ")} shows it: ${shown}`);
    }
  }
  for (const { argv, env: given } of children) {
    expect(JSON.stringify(argv)).not.toContain(secret);
    expect(JSON.stringify(given)).not.toContain(secret);
  }
}

describe("the key in use", () => {
  test("appears in no output and reaches no child, whichever command meets it", async () => {
    await expectHidden(await workingService());
    const programs = new Set(children.map(({ argv }) => argv[0]));
    expect(programs).toEqual(new Set(["cat", "cat; env", "sh", "xdg-open"]));
  }, 120_000);

  test("appears nowhere either when the service answers with nonsense, or quotes it", async () => {
    await expectHidden(await telltaleService());
  }, 120_000);

  test("is not in the environment of the child that asks the keychain", async () => {
    const { env, secretKey } = await workingService();
    const bus = { ...env, DBUS_SESSION_BUS_ADDRESS: `unix:path=${scratchDirectory()}/none` };
    const store = keychainStore({ env: bus, platform: "linux", timeoutMs: 3000 });
    await expect(store.set("account", secretKey)).rejects.toThrow();
    expect(children).toHaveLength(1);
    expect(JSON.stringify(children)).not.toContain(secretKey.slice(8, -4));
  });
});
