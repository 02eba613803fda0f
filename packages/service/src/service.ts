import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { createAdaptorServer, type ServerType } from "@hono/node-server";
import { createApp } from "./app.ts";
import { guards } from "./auth/authenticate.ts";
import { KeyDirectory } from "./auth/key-directory.ts";
import { KeyUses } from "./auth/key-uses.ts";
import { fingerprint, type Keyring, openKeyringFile } from "./auth/keyring.ts";
import { RateLimiter } from "./auth/rate-limit.ts";
import { changesOf } from "./changes.ts";
import type { Config } from "./config.ts";
import { type FirstKeys, makeFirstKeys } from "./first-start.ts";
import { log } from "./log.ts";
import { openPostgresLogStore } from "./logs/postgres/store.ts";
import type { LogStore } from "./logs/store.ts";
import { type Database, openDatabase } from "./store/database.ts";
import { deleteOldAnswers } from "./store/idempotent-answers.ts";
import { deleteOldKeyChanges } from "./store/key-changes.ts";
import { type KeyringName, registerFingerprints } from "./store/keyrings.ts";
import { migrate } from "./store/migrate.ts";

export interface ServiceOptions extends Config {
  /** Of the PostgreSQL to use; by now there is one. */
  readonly databaseUrl: string;
  readonly onProgress?: (message: string) => void;
  /** Requests a minute for a key without a limit of its own. */
  readonly requestsPerMinute?: number;
  /** Another place for logs than PostgreSQL. */
  readonly openLogStore?: (url: string) => LogStore;
}

export interface Service {
  readonly url: string;
  /** The keys made at the first start; undefined at every later one. Shown once, by whoever started the service. */
  readonly firstKeys: FirstKeys | undefined;
  /** Stops taking requests, finishes and writes what was taken, and lets go of the database. */
  close(): Promise<void>;
}

const connections = 10;
const housekeepingEveryMs = 3_600_000;
const sweepEveryMs = 60_000;

/** Migrates the database, makes the first keys on an empty one, and listens. */
export async function openService(options: ServiceOptions): Promise<Service> {
  const { databaseUrl, dataDir, onProgress = () => {} } = options;
  await migrate(databaseUrl, (name) => onProgress(`Migrating the database: ${name}`));
  const onIdleError = (error: Error) => log.warn("database connection dropped", { error });
  const db = openDatabase({ url: databaseUrl, connections, onIdleError });
  const pepper = options.keyPepper ?? (await openKeyringFile(join(dataDir, "key-pepper")));
  const master = options.masterKey ?? (await openKeyringFile(join(dataDir, "master-key")));
  await checkKeyring(db, "pepper", pepper, "SAZABI_KEY_PEPPER");
  await checkKeyring(db, "master", master, "SAZABI_MASTER_KEY");
  const firstKeys = await makeFirstKeys(db, pepper);

  const logs = options.openLogStore?.(databaseUrl) ?? openPostgresLogStore({ url: databaseUrl, onIdleError, retentionDays: options.logRetentionDays });
  await logs.keepHouse();
  const keys = new KeyDirectory({ url: databaseUrl, db, pepper });
  await keys.open();
  const uses = new KeyUses(db);
  const limiter = new RateLimiter();
  const requestsPerMinute = options.requestsPerMinute ?? 1000;
  const app = createApp({
    db,
    change: changesOf(db, keys),
    logs,
    pepper,
    master,
    logRetentionDays: options.logRetentionDays,
    guards: guards({ keys, uses, limiter, requestsPerMinute }),
  });
  const server = createAdaptorServer({ fetch: app.fetch });
  const url = await listen(server, options);
  const timers = [
    setInterval(() => void keepHouse(db, logs), housekeepingEveryMs),
    setInterval(() => limiter.sweep(), sweepEveryMs),
  ];
  return {
    url,
    firstKeys,
    async close() {
      for (const timer of timers) clearInterval(timer);
      await stopListening(server);
      await logs.close();
      await uses.close();
      await keys.close();
      await db.close();
    },
  };
}

/** A pepper other than the one the keys were made under would turn every key of every customer into a 401. */
async function checkKeyring(db: Database, name: KeyringName, keyring: Keyring, variable: string): Promise<void> {
  const entries = keyring.entries.map((entry) => ({ version: entry.version, fingerprint: fingerprint(entry) }));
  const wrong = await registerFingerprints(db, name, entries);
  if (wrong.length > 0) {
    throw new Error(
      `This database was written with another ${name === "pepper" ? "key pepper" : "master key"} (version ` +
        `${wrong.join(", ")}). Give ${variable}, or the file in the data folder, of the service that wrote it.`,
    );
  }
}

/** What is kept for a time only. Put off, not lost, when the database is away. */
async function keepHouse(db: Database, logs: LogStore): Promise<void> {
  try {
    await logs.keepHouse();
    await deleteOldKeyChanges(db);
    await deleteOldAnswers(db);
  } catch (error) {
    log.warn("housekeeping put off", { error });
  }
}

async function listen(server: ServerType, { host, port }: { host: string; port: number }): Promise<string> {
  server.listen(port, host);
  await once(server, "listening");
  const address = server.address() as AddressInfo;
  const shown = address.family === "IPv6" ? `[${address.address}]` : address.address;
  return `http://${shown}:${address.port}`;
}

/** Requests that are under way are answered; connections that only wait are closed. */
async function stopListening(server: ServerType): Promise<void> {
  const closed = once(server, "close");
  server.close();
  if ("closeIdleConnections" in server) server.closeIdleConnections();
  await closed;
}
