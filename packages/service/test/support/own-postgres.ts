import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import { migrate } from "../../src/db/migrate.ts";
import { openEmbeddedPostgres } from "../../src/embedded-postgres.ts";

/** A PostgreSQL of the test's own, as durable as in production, that may be killed. */
export interface OwnPostgres {
  readonly url: string;
  /** Its data, its log and its password. */
  readonly home: string;
  /** The first process of the server, as it is now. */
  pid(): Promise<number>;
  /** Ends the server and resolves when another one answers in its place. */
  restart(signal: "SIGINT" | "SIGKILL"): Promise<void>;
  close(): Promise<void>;
}

export async function openOwnPostgres(): Promise<OwnPostgres> {
  const home = await mkdtemp(join(tmpdir(), "sazabi-proof-"));
  const server = await openEmbeddedPostgres({ dataDir: home });
  await migrate(server.url);
  const pid = async () => Number.parseInt(await readFile(join(home, "postgres", "postmaster.pid"), "utf8"), 10);
  return {
    url: server.url,
    home,
    pid,
    async restart(signal) {
      const before = await pid();
      process.kill(before, signal);
      for (const deadline = performance.now() + 30_000; performance.now() < deadline; ) {
        const now = await pid().catch(() => before);
        if (now !== before && (await answers(server.url))) return;
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
      throw new Error("PostgreSQL did not come back.");
    },
    async close() {
      await server.close();
      await rm(home, { recursive: true, force: true });
    },
  };
}

async function answers(url: string): Promise<boolean> {
  const client = new pg.Client({ connectionString: url });
  client.on("error", () => {});
  try {
    await client.connect();
    await client.query("select 1");
    return true;
  } catch {
    return false;
  } finally {
    await client.end().catch(() => undefined);
  }
}
