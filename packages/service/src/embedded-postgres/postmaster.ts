import { execFile, spawn } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { open, readFile, rename, stat, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { totalmem } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { type Cluster, serverEnvironment } from "./cluster.ts";

const run = promisify(execFile);

/** A running PostgreSQL server: its main process and its port. */
export interface Postmaster {
  readonly pid: number;
  readonly port: number;
}

/** Returns the server that already runs on this cluster, regardless of which process started it. */
export async function findPostmaster({ dir }: Cluster): Promise<Postmaster | undefined> {
  const lines = (await readFile(pidFile(dir), "utf8").catch(() => "")).split("\n");
  const [pid, port] = [Number(lines[0]), Number(lines[3])];
  if (!(pid > 0) || !(port > 0)) return undefined;
  if (await isPostmaster(pid, dir)) return { pid, port };
  if (isAlive(pid)) await disown(dir, lines);
  return undefined;
}

/**
 * Returns whether process `pid` is the server of this cluster. The number alone is not sufficient: it
 * may have been reused by another program, or belong to a zombie process.
 */
export async function isPostmaster(pid: number, clusterDir: string): Promise<boolean> {
  if (!isAlive(pid)) return false;
  const command = `${await readCommand(pid)} `;
  if (!/(^|\/)(postgres|postmaster)(\.exe)? /.test(command)) return false;
  return command.includes(` -D ${clusterDir} `) || !command.includes(" -D "); // Without -D, assume that it is.
}

/**
 * Starts a server in a separate process group, so that Ctrl-C in a terminal reaches only this process,
 * which stops the server after flushing.
 */
export async function startPostmaster(
  cluster: Cluster,
  port: number,
  settings: Readonly<Record<string, string>>,
): Promise<Postmaster> {
  const { binaries, dir, user } = cluster;
  const flags = Object.entries({ ...serverSettings(port), ...settings }).flatMap(([name, value]) => [
    "-c",
    `${name}=${value}`,
  ]);
  const log = openSync(cluster.logFile, "a", 0o600);
  try {
    const child = spawn(binaries.postgres, ["-D", dir, ...flags], {
      ...user,
      cwd: dir,
      env: serverEnvironment(),
      stdio: ["ignore", log, log],
      detached: true,
      windowsHide: true,
    });
    await new Promise((resolve, reject) => child.once("spawn", resolve).once("error", reject));
    child.unref(); // Tracked by its connection and process id, like an adopted server.
    return { pid: child.pid as number, port };
  } finally {
    closeSync(log);
  }
}

/** Stops the server. Open transactions are rolled back, and all committed data is on disk. */
export async function stopPostmaster({ pid }: Postmaster, cluster: Cluster): Promise<void> {
  if (!(await isPostmaster(pid, cluster.dir))) return;
  await signal(pid, "INT", cluster);
  if (await waitForEnd(pid, cluster.dir, 10_000)) return;
  await signal(pid, "QUIT", cluster); // Immediate shutdown; it recovers from its log at the next start.
  if (await waitForEnd(pid, cluster.dir, 5_000)) return;
  throw new Error(`PostgreSQL (process ${pid}) does not stop. Its log is ${cluster.logFile}.`);
}

export async function findFreePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await new Promise((resolve, reject) => server.once("listening", resolve).once("error", reject));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

const logBytesKept = 10 * 1024 * 1024;

/** Limits the size of the server's log: a long log is renamed to `postgres.log.1` and replaces the previous one. */
export async function rotateLog({ logFile }: Cluster): Promise<void> {
  const size = (await stat(logFile).catch(() => undefined))?.size ?? 0;
  if (size > logBytesKept) await rename(logFile, `${logFile}.1`);
}

/** Returns the last lines of the server's log, for an error message. */
export async function readLogEnd({ logFile }: Cluster, lines = 8): Promise<string> {
  const file = await open(logFile, "r").catch(() => undefined);
  if (!file) return "(no log)";
  try {
    const { size } = await file.stat();
    const { buffer, bytesRead } = await file.read(Buffer.alloc(8192), 0, 8192, Math.max(0, size - 8192));
    return buffer.toString("utf8", 0, bytesRead).trim().split("\n").slice(-lines).join("\n");
  } finally {
    await file.close();
  }
}

function pidFile(clusterDir: string): string {
  return join(clusterDir, "postmaster.pid");
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

/** Returns the command line of a process; empty for one that has ended or is a zombie. */
async function readCommand(pid: number): Promise<string> {
  if (process.platform === "linux") {
    const words = await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "");
    return words.replaceAll("\0", " ");
  }
  const asked =
    process.platform === "win32"
      ? run("tasklist", ["/nh", "/fi", `pid eq ${pid}`])
      : run("ps", ["-o", "args=", "-p", `${pid}`]);
  const { stdout } = await asked.catch(() => ({ stdout: "" }));
  return stdout.trim();
}

/**
 * PostgreSQL does not start when `postmaster.pid` names a living process of its user, even one that
 * only reused the number of the dead server. It accepts the number of its parent, which is this
 * process. The other lines are kept, because they let it detect processes of the dead server that
 * still use its memory.
 */
async function disown(clusterDir: string, [, ...rest]: readonly string[]): Promise<void> {
  await writeFile(pidFile(clusterDir), [process.pid, ...rest].join("\n"));
}

async function signal(pid: number, name: "INT" | "QUIT", { binaries }: Cluster): Promise<void> {
  if (process.platform === "win32") {
    await run(binaries.pgCtl, ["kill", name, `${pid}`]).catch(() => undefined);
    return;
  }
  try {
    process.kill(pid, `SIG${name}`);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}

async function waitForEnd(pid: number, clusterDir: string, timeoutMs: number): Promise<boolean> {
  for (const deadline = performance.now() + timeoutMs; performance.now() < deadline; await sleep(15)) {
    if (!(await isPostmaster(pid, clusterDir))) return true;
  }
  return false;
}

/**
 * Listens on loopback only, without a socket file. Statements and their values are not logged by the
 * server: errors are reported to the service, which decides what may be logged.
 */
function serverSettings(port: number): Record<string, string> {
  const memory = memoryBytes();
  return {
    listen_addresses: "127.0.0.1",
    port: String(port),
    unix_socket_directories: "",
    cluster_name: "sazabi",
    shared_buffers: `${Math.max(32, Math.min(1024, Math.floor(memory / 4 / 1024 ** 2)))}MB`,
    effective_cache_size: `${Math.max(64, Math.floor(memory / 2 / 1024 ** 2))}MB`,
    max_wal_size: "4GB",
    random_page_cost: "1.1",
    jit: "off",
    timezone: "UTC",
    log_timezone: "UTC",
    log_min_messages: "log",
    log_min_error_statement: "panic",
    log_error_verbosity: "terse",
  };
}

/** Returns the memory available to this process, which in a container is less than that of the machine. */
function memoryBytes(): number {
  const allowed = process.constrainedMemory();
  return allowed > 0 && allowed < totalmem() ? allowed : totalmem();
}
