import { stat } from "node:fs/promises";
import { join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import { type Cluster, openCluster, ownerName, urlOf } from "./embedded-postgres/cluster.ts";
import {
  findFreePort,
  findPostmaster,
  isPostmaster,
  type Postmaster,
  readLogEnd,
  rotateLog,
  startPostmaster,
  stopPostmaster,
} from "./embedded-postgres/postmaster.ts";

export interface EmbeddedPostgresOptions {
  readonly dataDir: string;
  readonly onProgress?: (message: string) => void;
  /** Called when the server ended unexpectedly, and when a restart failed. The server is restarted automatically. */
  readonly onUnexpectedExit?: (message: string) => void;
  /** PostgreSQL settings that override the defaults, for example `{ fsync: "off" }` for tests. */
  readonly settings?: Readonly<Record<string, string>>;
}

export interface EmbeddedPostgres {
  /** URL of the database `sazabi`; constant while this is open. */
  readonly url: string;
  /** True when the database was created by this call. */
  readonly firstStart: boolean;
  close(): Promise<void>;
}

/** A server in temporary use. */
export interface UsedServer {
  readonly url: string;
  readonly cluster: Cluster;
}

/**
 * Runs `work` with the embedded server. Starts the server for the duration of `work` when it is not
 * running. Throws when there is no database in the data folder.
 */
export async function withEmbeddedPostgres<T>(
  { dataDir, onProgress }: { readonly dataDir: string; readonly onProgress: (message: string) => void },
  work: (server: UsedServer) => Promise<T>,
): Promise<T> {
  if (!(await stat(join(dataDir, "postgres", "PG_VERSION")).catch(() => undefined))) {
    throw new Error(
      `There is no embedded database in ${resolve(dataDir)}: name its folder with SAZABI_DATA_DIR, or set DATABASE_URL if the service uses another database.`,
    );
  }
  const cluster = await openCluster(dataDir, onProgress);
  const running = await findPostmaster(cluster);
  if (running) return work({ url: urlOf(cluster, running.port), cluster });
  const server = await openEmbeddedPostgres({ dataDir, onProgress, onUnexpectedExit: onProgress });
  try {
    return await work({ url: server.url, cluster });
  } finally {
    await server.close();
  }
}

/**
 * Opens a PostgreSQL server as a child process on a random port of 127.0.0.1, with its data under
 * `dataDir/postgres`. Takes over a server left by a killed process. Throws when a running process uses
 * the server.
 */
export async function openEmbeddedPostgres(options: EmbeddedPostgresOptions): Promise<EmbeddedPostgres> {
  const { dataDir, onProgress = () => {}, onUnexpectedExit = () => {}, settings = {} } = options;
  const cluster = await openCluster(dataDir, onProgress);
  const first = await holdServer({ cluster, settings, onProgress });
  const { port } = first.postmaster;
  const url = urlOf(cluster, port);
  try {
    await createDatabase(first.hold);
  } catch (error) {
    await release(first, cluster);
    throw error;
  }

  /** Undefined while the server is not running. */
  let held: HeldServer | undefined;
  let recovery = Promise.resolve();
  const closing = new AbortController();

  function keep(server: HeldServer): void {
    held = server;
    server.hold.once("end", () => {
      if (!closing.signal.aborted) recovery = recover(server.postmaster);
    });
  }

  /** Reuses the port, so that the pool of the service reconnects without a change. */
  async function recover(lost: Postmaster): Promise<void> {
    held = undefined;
    if (!(await isPostmaster(lost.pid, cluster.dir))) {
      onUnexpectedExit(
        `PostgreSQL stopped unexpectedly; starting it again. Its log ends:\n${await readLogEnd(cluster)}`,
      );
    }
    for (let delayMs = 100; !closing.signal.aborted; delayMs = Math.min(delayMs * 2, 5_000)) {
      try {
        keep(await holdServer({ cluster, settings, onProgress, port }));
        onProgress("PostgreSQL is back");
        return;
      } catch (error) {
        onUnexpectedExit(`PostgreSQL is still away: ${(error as Error).message}`);
        await sleep(delayMs, undefined, { signal: closing.signal }).catch(() => undefined);
      }
    }
  }

  keep(first);
  return {
    url,
    firstStart: cluster.isNew,
    async close() {
      closing.abort();
      await recovery;
      if (held) await release(held, cluster);
    },
  };
}

/**
 * A server, and the connection whose lock marks it as used by this process. The holder of the lock
 * stops the server.
 */
interface HeldServer {
  readonly postmaster: Postmaster;
  readonly hold: pg.Client;
}

interface Start {
  readonly cluster: Cluster;
  readonly settings: Readonly<Record<string, string>>;
  readonly onProgress: (message: string) => void;
  /** Undefined for any free port. */
  readonly port?: number;
}

/** Finds or starts the server, waits until it responds, and takes the lock. */
async function holdServer({ cluster, settings, onProgress, port }: Start): Promise<HeldServer> {
  // Retries, because another start may be faster, the port may be taken meanwhile, and processes of a
  // dead server may still be ending.
  for (const deadline = performance.now() + 20_000; ; await sleep(250)) {
    const found = await findPostmaster(cluster);
    if (found) onProgress("PostgreSQL is already running in this data folder: checking whether another Sazabi uses it");
    else await rotateLog(cluster);
    const postmaster = found ?? (await startPostmaster(cluster, port ?? (await findFreePort()), settings));
    const hold = await connectWhenReady(postmaster, cluster, onProgress).catch(async (error) => {
      if (!found) await stopPostmaster(postmaster, cluster);
      throw error;
    });
    if (hold) return { postmaster, hold: await lock(hold, cluster) };
    if (performance.now() > deadline) {
      throw new Error(`PostgreSQL does not start. Its log (${cluster.logFile}) ends:\n${await readLogEnd(cluster)}`);
    }
  }
}

/** Returns undefined when the server ended, or when another server uses its port. */
async function connectWhenReady(
  postmaster: Postmaster,
  cluster: Cluster,
  onProgress: (message: string) => void,
): Promise<pg.Client | undefined> {
  const since = performance.now();
  let lastSignOfLife = since;
  let isAnnounced = false;
  while (await isPostmaster(postmaster.pid, cluster.dir)) {
    const answer = await connect(postmaster, cluster);
    if (answer instanceof pg.Client) return answer;
    if (answer.code === invalidPassword) {
      throw new Error(`PostgreSQL refuses the password in the file beside ${cluster.dir}. Restore that file.`);
    }
    if (answer.code === cannotConnectNow) lastSignOfLife = performance.now();
    if (performance.now() - lastSignOfLife > 60_000) {
      throw new Error(`PostgreSQL does not answer. Its log (${cluster.logFile}) ends:\n${await readLogEnd(cluster)}`);
    }
    if (performance.now() - since > 1_000 && !isAnnounced) {
      isAnnounced = true;
      onProgress("Waiting for PostgreSQL, which is starting, recovering or stopping");
    }
    await sleep(20);
  }
  return undefined;
}

const cannotConnectNow = "57P03";
const invalidPassword = "28P01";

async function connect({ port }: Postmaster, cluster: Cluster): Promise<pg.Client | { code?: string }> {
  const client = new pg.Client({
    host: "127.0.0.1",
    port,
    user: ownerName,
    password: cluster.password,
    database: "postgres",
    application_name: `sazabi ${process.pid}`,
    connectionTimeoutMillis: 5_000,
    keepAlive: true,
  });
  client.on("error", () => {}); // "end" follows.
  try {
    await client.connect();
    const { rows } = await client.query<{ data_directory: string }>("show data_directory");
    if (rows[0]?.data_directory === cluster.dir) return client;
    await client.end();
    return {};
  } catch (error) {
    await client.end().catch(() => undefined);
    return error as { code?: string };
  }
}

/** Lock id, which nothing else in the database `postgres` may use. */
const lockKey = 0x53617a61;

/** The lock is released when its process ends for any reason, so a server without a lock is orphaned. */
async function lock(client: pg.Client, { dir }: Cluster): Promise<pg.Client> {
  const { rows } = await client.query<{ locked: boolean; holder: string }>(
    `select pg_try_advisory_lock($1) as locked,
            (select substring(application_name from '[0-9]+$') from pg_locks join pg_stat_activity using (pid)
             where locktype = 'advisory' and objid = $1 and granted limit 1) as holder`,
    [lockKey],
  );
  if (rows[0]?.locked) return client;
  await client.end();
  throw new Error(
    `Another Sazabi (process ${rows[0]?.holder}) is using the data in ${dir}. ` +
      `Stop it (kill ${rows[0]?.holder}), or name another data folder with SAZABI_DATA_DIR.`,
  );
}

async function createDatabase(client: pg.Client): Promise<void> {
  const { rowCount } = await client.query("select from pg_database where datname = $1", [ownerName]);
  if (rowCount === 0) await client.query(`create database ${ownerName}`);
}

async function release({ postmaster, hold }: HeldServer, cluster: Cluster): Promise<void> {
  await hold.end().catch(() => undefined);
  await stopPostmaster(postmaster, cluster);
}
