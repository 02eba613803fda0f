import { existsSync } from "node:fs";
import { chmod, cp, mkdir, mkdtemp, open, readdir, readFile, realpath, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { SazabiAdmin } from "@sazabi/sdk";
import pg from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { bearer, send } from "./support/index.ts";
import { type OperatorProcess, runOperator, startOperator } from "./support/operator.ts";

interface RunningService {
  readonly url: string;
  readonly operator: OperatorProcess;
}

let home: string;
let service: RunningService;
let secretKey: string;
let publicKey: string;
let revokedKey: string;
const started: OperatorProcess[] = [];

const folder = (name: string) => join(home, name);
const environment = (data: string) => ({ SAZABI_DATA_DIR: folder(data), PORT: "0" });

/** The service as `sazabi-service start` runs it, with its own PostgreSQL. */
async function startService(data: string): Promise<RunningService> {
  const operator = startOperator(["start"], environment(data));
  started.push(operator);
  for (;;) {
    const url = /listening on (http:\/\/\S+)/.exec(operator.output().stderr)?.[1];
    if (url) return { url, operator };
    if (operator.process.exitCode !== null) throw new Error(operator.output().stderr);
    await sleep(20);
  }
}

async function stop({ process, ended }: OperatorProcess): Promise<void> {
  process.kill("SIGTERM");
  await ended;
}

beforeAll(async () => {
  home = await realpath(await mkdtemp(join(tmpdir(), "sazabi-backup-")));
  await chmod(home, 0o755); // PostgreSQL's user passes through it.
  service = await startService("data");
  const { stdout } = service.operator.output();
  secretKey = /secret key {2}(\S+)/.exec(stdout)?.[1] as string;
  publicKey = /public key {2}(\S+)/.exec(stdout)?.[1] as string;
  const made = await send(service, "POST /v1/secret-keys", { headers: bearer(secretKey), body: { name: "revoked" } });
  revokedKey = made.body.secretKey.value;
  await send(service, `DELETE /v1/secret-keys/${made.body.secretKey.id}`, { headers: bearer(secretKey) });
}, 120_000);

afterAll(async () => {
  for (const operator of started) if (operator.process.exitCode === null) await stop(operator);
  await rm(home, { recursive: true, force: true });
});

/** Sends entries one after the other, each with the next number, until told to stop. */
function sendNumbers() {
  let acknowledged = 0;
  let isStopped = false;
  const sending = (async () => {
    while (!isStopped) {
      const message = `number ${acknowledged + 1}`;
      const answer = await send(service, "POST /v1/logs", {
        headers: { "x-sazabi-key": publicKey },
        body: { message },
      });
      if (answer.status !== 202) return;
      acknowledged += 1;
    }
  })();
  return {
    acknowledged: () => acknowledged,
    async stop() {
      isStopped = true;
      await sending;
      return acknowledged;
    },
  };
}

async function readNumbers(url: string): Promise<number[]> {
  const numbers: number[] = [];
  for (let cursor: string | null | undefined; cursor !== null; ) {
    const body = { search: { query: "number" }, pagination: { limit: 1000, ...(cursor && { cursor }) } };
    const answer = await send({ url }, "POST /v1/logs/query", { headers: bearer(secretKey), body });
    expect(answer.status, answer.text).toBe(200);
    for (const { message } of answer.body.data) numbers.push(Number(/^number (\d+)$/.exec(message)?.[1]));
    cursor = answer.body.nextCursor ?? null;
  }
  return numbers.sort((a, b) => a - b);
}

test("a backup made under load is restored with every entry acknowledged before it, its keys and its audit chain", async () => {
  const load = sendNumbers();
  await expect.poll(load.acknowledged, { timeout: 30_000 }).toBeGreaterThan(100);
  const before = load.acknowledged();
  const made = await runOperator(["backup", folder("backup")], environment("data"));
  const after = await load.stop();
  expect(made).toMatchObject({ code: 0, stderr: "", stdout: expect.stringContaining(folder("backup")) });
  expect(after).toBeGreaterThan(before);

  expect((await stat(folder("backup"))).mode & 0o777).toBe(0o700);
  const names = await readdir(folder("backup"));
  expect(names.sort()).toEqual(
    ["backup_manifest", "base.tar", "key-pepper", "master-key", "postgres-password", "sazabi-backup.json"].sort(),
  );
  for (const name of names) expect((await stat(join(folder("backup"), name))).mode & 0o777, name).toBe(0o600);
  expect(await readFile(join(folder("backup"), "sazabi-backup.json"), "utf8")).not.toContain(
    (await readFile(join(folder("data"), "key-pepper"), "utf8")).trim().slice(2),
  );

  const restored = await runOperator(["restore", folder("backup")], environment("restored"));
  expect(restored, restored.stderr).toMatchObject({ code: 0 });
  const copy = await startService("restored");
  const numbers = await readNumbers(copy.url);
  expect(numbers.length).toBeGreaterThanOrEqual(before);
  expect(numbers.length).toBeLessThanOrEqual(after);
  expect(numbers).toEqual(numbers.map((_, index) => index + 1));
  const me = await send(copy, "GET /v1/me", { headers: bearer(secretKey) });
  expect(me.status).toBe(200);
  expect(await send(copy, "GET /v1/me", { headers: bearer(revokedKey) })).toMatchObject({
    status: 401,
    body: { reason: "revoked_api_key" },
  });
  const admin = new SazabiAdmin({ secretKey, baseUrl: copy.url });
  expect(await admin.audit.verify()).toMatchObject({ ok: true, events: 6 });
  const intake = await send(copy, "POST /v1/logs", {
    headers: { "x-sazabi-key": publicKey },
    body: { message: "a new entry" },
  });
  expect(intake.status).toBe(202);
  await stop(copy.operator);
}, 300_000);

test("a backup is not restored over a data folder that has something, and not twice", async () => {
  const again = await runOperator(["restore", folder("backup")], environment("restored"));
  expect(again).toMatchObject({ code: 1, stderr: expect.stringContaining("nothing is overwritten") });
  const running = await runOperator(["restore", folder("backup")], environment("data"));
  expect(running).toMatchObject({ code: 1, stderr: expect.stringContaining("nothing is overwritten") });
  const twice = await runOperator(["backup", folder("backup")], environment("data"));
  expect(twice).toMatchObject({ code: 1, stderr: expect.stringContaining("exists already") });
}, 120_000);

test("a damaged or incomplete backup is refused and leaves nothing behind", async () => {
  await cp(folder("backup"), folder("damaged"), { recursive: true });
  const archive = await open(join(folder("damaged"), "base.tar"), "r+");
  const { size } = await archive.stat();
  const byte = Buffer.alloc(1);
  await archive.read(byte, 0, 1, size - 20_000);
  await archive.write(Buffer.from([(byte[0] as number) ^ 1]), 0, 1, size - 20_000);
  await archive.close();
  const damaged = await runOperator(["restore", folder("damaged")], environment("from-damaged"));
  expect(damaged).toMatchObject({ code: 1, stderr: expect.stringContaining("is damaged") });
  expect(await readdir(folder("from-damaged"))).toEqual([]);

  await rm(join(folder("damaged"), "sazabi-backup.json"));
  const incomplete = await runOperator(["restore", folder("damaged")], environment("from-damaged"));
  expect(incomplete).toMatchObject({ code: 1, stderr: expect.stringContaining("not a complete backup") });
  expect(await readdir(folder("from-damaged"))).toEqual([]);
}, 120_000);

test("a backup that is killed leaves nothing that is taken for one, and nothing in the server", async () => {
  const killed = startOperator(["backup", folder("killed")], environment("data"));
  const unfinished = async () => (await readdir(home)).find((name) => name.startsWith("killed.unfinished-"));
  await expect
    .poll(async () => existsSync(join(folder((await unfinished()) ?? "none"), "base.tar")), {
      timeout: 30_000,
      interval: 1,
    })
    .toBe(true);
  killed.process.kill("SIGKILL");
  expect(await killed.ended).toBe("SIGKILL");
  expect(existsSync(folder("killed"))).toBe(false);
  const left = folder((await unfinished()) as string);
  const restored = await runOperator(["restore", left], environment("from-killed"));
  expect(restored).toMatchObject({ code: 1, stderr: expect.stringContaining("not a complete backup") });

  const client = new pg.Client(await serverOf("data"));
  await client.connect();
  const slots = async () => (await client.query("select slot_name from pg_replication_slots")).rowCount;
  await expect.poll(slots, { timeout: 30_000 }).toBe(0);
  await client.end();
  expect(await runOperator(["backup", folder("killed")], environment("data"))).toMatchObject({ code: 0 });
}, 120_000);

async function serverOf(data: string): Promise<pg.ClientConfig> {
  const lines = (await readFile(join(folder(data), "postgres", "postmaster.pid"), "utf8")).split("\n");
  const password = (await readFile(join(folder(data), "postgres-password"), "utf8")).trim();
  return { host: "127.0.0.1", port: Number(lines[3]), user: "sazabi", database: "sazabi", password };
}

test("a backup that is interrupted by a signal removes what it wrote", async () => {
  const interrupted = startOperator(["backup", folder("interrupted")], environment("data"));
  const left = async () => (await readdir(home)).filter((name) => name.startsWith("interrupted"));
  await expect.poll(left, { timeout: 30_000, interval: 1 }).toHaveLength(1);
  interrupted.process.kill("SIGTERM");
  expect(await interrupted.ended).toBe(1);
  expect(await left()).toEqual([]);
});

test("a restore that was interrupted is not started as if it were a database", async () => {
  await mkdir(join(folder("interrupted"), "restore-unfinished"), { recursive: true });
  const start = await runOperator(["start"], environment("interrupted"));
  expect(start).toMatchObject({ code: 1, stderr: expect.stringContaining("restore again") });
  const restore = await runOperator(["restore", folder("backup")], environment("interrupted"));
  expect(restore).toMatchObject({ code: 1, stderr: expect.stringContaining("exists already") });
}, 120_000);

test("secrets that are not in the backup are named when it is made and when it is restored", async () => {
  const made = await runOperator(["backup", folder("without-keys"), "--without-keys"], environment("data"));
  expect(made.code, made.stderr).toBe(0);
  expect(made.stderr).toContain("SAZABI_KEY_PEPPER");
  expect(made.stderr).toContain("SAZABI_MASTER_KEY");
  expect(await readdir(folder("without-keys"))).not.toContain("key-pepper");
  const restored = await runOperator(["restore", folder("without-keys")], environment("without-keys-data"));
  expect(restored.code, restored.stderr).toBe(0);
  expect(restored.stderr).toContain("The key pepper of this database is still missing");
  const SAZABI_KEY_PEPPER = await readFile(join(folder("data"), "key-pepper"), "utf8");
  const SAZABI_MASTER_KEY = await readFile(join(folder("data"), "master-key"), "utf8");
  const env = { ...environment("from-environment"), SAZABI_KEY_PEPPER, SAZABI_MASTER_KEY };
  const complete = await runOperator(["restore", folder("without-keys")], env);
  expect(complete.code, complete.stderr).toBe(0);
  expect(complete.stderr).not.toContain("missing");
}, 120_000);

test("a stopped service is backed up too, and PostgreSQL is stopped again", async () => {
  await stop(service.operator);
  const made = await runOperator(["backup", folder("stopped")], environment("data"));
  expect(made.code, made.stderr).toBe(0);
  expect(existsSync(join(folder("data"), "postgres", "postmaster.pid"))).toBe(false);
}, 120_000);

test("what cannot be backed up is said in one sentence", async () => {
  const DATABASE_URL = "postgres://sazabi:very-secret@127.0.0.1:1/logs";
  const other = await runOperator(["backup", folder("other")], { ...environment("data"), DATABASE_URL });
  expect(other).toMatchObject({ code: 1, stderr: expect.stringContaining("pg_dump") });
  expect(other.stderr).toContain("SAZABI_KEY_PEPPER");
  expect(other.stderr).not.toContain("very-secret");
  const none = await runOperator(["backup", folder("other")], environment("nothing"));
  expect(none).toMatchObject({ code: 1, stderr: expect.stringContaining("no embedded database") });
  expect(existsSync(folder("nothing"))).toBe(false);
}, 120_000);

test("each command has a help page, and a wrong command line is answered with its usage", async () => {
  const wrong = [["back"], ["backup"], ["backup", "--fast", "a"]];
  for (const result of await Promise.all(wrong.map((args) => runOperator(args, environment("data"))))) {
    expect(result).toMatchObject({ code: 2, stdout: "" });
    expect(result.stderr.trim().split("\n")).toHaveLength(1);
  }
  const help = [["--help"], ["backup", "--help"], ["restore", "-h"], ["start", "--help"]];
  for (const result of await Promise.all(help.map((args) => runOperator(args, {})))) {
    expect(result).toMatchObject({ code: 0, stderr: "" });
    expect(result.stdout).toMatch(/^Usage: sazabi-service /);
  }
}, 120_000);
