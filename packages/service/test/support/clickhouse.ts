import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type ClickHouseAddress, parseClickHouseUrl } from "../../src/config.ts";

const folder = fileURLToPath(new URL("chdb/", import.meta.url));

/** Why tests with ClickHouse's engine cannot run here; empty when they can. */
export const clickHouseMissing = existsSync(join(folder, "node_modules", "chdb"))
  ? ""
  : " (skipped: ClickHouse's engine is not installed; npm run install:chdb)";

export interface TestClickHouse {
  /** As `SAZABI_LOG_STORE` takes it. */
  readonly url: string;
  readonly address: ClickHouseAddress;
  /** From now on the engine does its inserts, and nobody is told. Resolves when it will. */
  holdInsertAnswers(): Promise<void>;
  /** Resolves when an insert was done whose answer is held. */
  insertHeld(): Promise<void>;
  releaseInsertAnswers(): Promise<void>;
  /** The next inserts are refused, and nothing of them is stored. */
  refuseInserts(count: number): Promise<void>;
  /** Statements of a test's own; rows as objects. */
  query<Row>(statement: string): Promise<Row[]>;
  /** With nothing finished and nothing said; the data stay. */
  kill(): Promise<void>;
  /** After `kill`, on the same port. */
  restart(): Promise<void>;
  stop(): Promise<void>;
}

const [user, password] = ["sazabi", "a password: with/odd?characters"];

/** ClickHouse's engine in a process of its own, behind HTTP, with its data in `keepIn`, or in a folder that goes with it. */
export async function startClickHouse(keepIn?: string): Promise<TestClickHouse> {
  const dataDir = keepIn ?? (await mkdtemp(join(tmpdir(), "sazabi-clickhouse-")));
  let { child, port } = await startEngine(dataDir, 0);
  const tell = async (message: object): Promise<void> => {
    const done = nextMessage(child, "done");
    child.send(message);
    await done;
  };
  let holding: Promise<unknown> = Promise.resolve();
  const kill = async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, "exit");
    child.kill("SIGKILL");
    await ended;
  };
  const url = `clickhouse://${user}:${encodeURIComponent(password)}@127.0.0.1:${port}/default`;
  return {
    url,
    address: parseClickHouseUrl(url) as ClickHouseAddress,
    async holdInsertAnswers() {
      holding = nextMessage(child, "holding");
      await tell({ hold: true });
    },
    insertHeld: async () => void (await holding),
    releaseInsertAnswers: () => tell({ release: true }),
    refuseInserts: (count) => tell({ refuse: count }),
    async query<Row>(statement: string) {
      const response = await fetch(`http://127.0.0.1:${port}/`, {
        method: "POST",
        headers: { authorization: `Basic ${Buffer.from(`${user}:${password}`).toString("base64")}` },
        body: statement,
      });
      const text = await response.text();
      if (!response.ok) throw new Error(text);
      const lines = text.split("\n").filter((line) => line.startsWith("{"));
      return lines.map((line) => JSON.parse(line) as Row);
    },
    kill,
    async restart() {
      ({ child, port } = await startEngine(dataDir, port));
    },
    async stop() {
      await kill();
      if (keepIn === undefined) await rm(dataDir, { recursive: true, force: true });
    },
  };
}

async function startEngine(dataDir: string, wantedPort: number): Promise<{ child: ChildProcess; port: number }> {
  const parameters = [dataDir, user, password, String(wantedPort)];
  const child = fork(join(folder, "server.mjs"), parameters, { execArgv: [], stdio: "inherit" });
  const { port } = await nextMessage(child, "port");
  return { child, port: port as number };
}

async function nextMessage(child: ChildProcess, wanted: string): Promise<Record<string, unknown>> {
  for (;;) {
    const [message] = (await once(child, "message")) as [Record<string, unknown>];
    if (wanted in message) return message;
  }
}
