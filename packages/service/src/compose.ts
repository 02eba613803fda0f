import { once } from "node:events";
import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import { createApp } from "./app.ts";
import { createAuditedTransaction } from "./audited-transaction.ts";
import { FailedAttempts } from "./auth/rate-limit/failed-attempts.ts";
import { LocalRateLimiter } from "./auth/rate-limit/rate-limit.ts";
import { openSharedRateLimiter } from "./auth/rate-limit/shared-rate-limit.ts";
import { deleteOldKeyChanges } from "./auth/revocation/key-changes.ts";
import { DeadKeyUses } from "./auth/verify/dead-key-uses.ts";
import { KeyVerifier } from "./auth/verify/verifier.ts";
import { type FirstKeys, makeFirstKeys } from "./bootstrap-keys.ts";
import { type ConcurrencyLimits, FairConcurrencyLimiter } from "./concurrency/fair-concurrency.ts";
import { type Config, defaultIntakeBytesPerSecond } from "./config.ts";
import { openKeyrings, registerKeyrings } from "./crypto/open-keyrings.ts";
import { type Database, openDatabase } from "./db/database.ts";
import { migrate } from "./db/migrate.ts";
import { BodyBudget } from "./http/body-budget.ts";
import { Connections } from "./http/connections.ts";
import { guards } from "./http/guards.ts";
import { deleteOldAnswers } from "./http/idempotency-store.ts";
import { headRefusal } from "./http/request-head.ts";
import { refuseUnrouted } from "./http/respond.ts";
import { openServer } from "./http/server.ts";
import { UnsentAnswers } from "./http/unsent-answers.ts";
import { openGithubSignatures } from "./keys/reports/github-signatures.ts";
import { KeyReports } from "./keys/reports/key-reports.ts";
import { deleteOldKeyUsage } from "./keys/usage/store.ts";
import { KeyUses } from "./keys/usage/uses.ts";
import { log } from "./logger.ts";
import { claimLogs } from "./logs/backend-claim.ts";
import { openClickHouseLogStore } from "./logs/engines/clickhouse/store.ts";
import { openPostgresLogStore } from "./logs/engines/postgres/store.ts";
import { ByteMeter } from "./logs/ingest/byte-rate-limit.ts";
import { LogTails } from "./logs/live-tail/log-tails.ts";
import type { LogStore } from "./logs/log-store.ts";
import { Retentions, withRetention } from "./logs/retention.ts";
import { EventLoopWatchdog } from "./metrics/event-loop.ts";
import { listenForMetrics } from "./metrics/listener.ts";
import { Metrics } from "./metrics/metrics.ts";
import { RequestCounts } from "./metrics/request-counts.ts";
import { registerServiceMetrics } from "./service-metrics.ts";

type OptionalSetting = "intakeBytesPerSecond" | "logStore" | "metrics" | "githubScanningKeys";

export interface ServiceOptions extends Omit<Config, OptionalSetting>, Partial<Pick<Config, OptionalSetting>> {
  /** URL of the PostgreSQL to use, external or embedded. */
  readonly databaseUrl: string;
  readonly onProgress?: (message: string) => void;
  /** Requests per minute of a secret key without its own limit. */
  readonly requestsPerMinute?: number;
  /** A connection whose client reads nothing of its response for this long is closed. Default 60 s. */
  readonly stuckAnswerMs?: number;
  /** Opens a log store other than PostgreSQL. */
  readonly openLogStore?: (url: string) => LogStore;
}

export interface Service {
  readonly url: string;
  /** URL of the metrics; undefined when they are not served. */
  readonly metricsUrl: string | undefined;
  /** The keys created at the first start; undefined at later starts. The caller shows them once. */
  readonly firstKeys: FirstKeys | undefined;
  /** Stops accepting requests, finishes those in progress, writes all accepted data and closes the database. */
  close(): Promise<void>;
}

const databaseConnections = 10;
/**
 * As many run at once as a log store has connections for searches. One key or one project can never
 * use all of them.
 */
const searchLimits: ConcurrencyLimits = {
  total: { running: 4, waiting: 256 },
  organization: { running: 3, waiting: 64 },
  unnarrowed: { running: 3, waiting: 32 },
  project: { running: 2, waiting: 16 },
  key: { running: 2, waiting: 16 },
  what: "searches",
  waitMs: 30_000,
};
/** Limits for queries in the store's own language, which have separate connections. */
const nativeQueryLimits: ConcurrencyLimits = {
  ...searchLimits,
  what: "native queries",
  total: { running: 2, waiting: 256 },
  organization: { running: 2, waiting: 64 },
  unnarrowed: { running: 2, waiting: 32 },
  project: { running: 1, waiting: 16 },
  key: { running: 1, waiting: 16 },
};
const maintenanceEveryMs = 3_600_000;
/**
 * Time limit for requests in progress after a stop request, so that a slow client does not prevent the
 * commits of others.
 */
const finishWithinMs = 5_000;

/**
 * Migrates the database, listens, and creates the first keys in an empty one. The keys are created
 * last, so that they can always be shown. If a step fails, everything opened before is closed.
 */
export async function openService(options: ServiceOptions): Promise<Service> {
  const opened: (() => unknown)[] = [];
  const close = async () => {
    for (const closeOne of opened.splice(0).reverse()) await closeOne();
  };
  try {
    return { ...(await open(options, opened)), close };
  } catch (error) {
    await close();
    throw error;
  }
}

async function open(options: ServiceOptions, opened: (() => unknown)[]): Promise<Omit<Service, "close">> {
  const { databaseUrl, logRetentionDays, redisUrl, trustedProxies, onProgress = () => {} } = options;
  const onIdleError = (error: Error) => log.warn("database connection dropped", { error });
  const db = openDatabase({ url: databaseUrl, connections: databaseConnections, onIdleError });
  opened.push(() => db.close());
  const keyrings = await openKeyrings(db, { ...options, onNotice: onProgress });
  await migrate(databaseUrl, (name) => onProgress(`Migrating the database: ${name}`));
  await registerKeyrings(db, keyrings);
  const { pepper, master } = keyrings;

  const failures = new FailedAttempts();
  const uses = new KeyUses(db);
  opened.push(() => uses.close());
  // A rotation reports how its key is used, so every replica writes its counts when it learns of the
  // change.
  const onKeyChange = (keyId: string) => void uses.flush(keyId);
  const keys = new KeyVerifier({ url: databaseUrl, db, pepper, failures, onKeyChange });
  await keys.open();
  opened.push(() => keys.close());
  const now = () => Math.floor(keys.now());
  warnOfClock(now());
  const retentions = new Retentions(db, logRetentionDays, now);
  const metrics = new Metrics();
  const store = options.openLogStore?.(databaseUrl) ?? (await openLogStore(options, db, onIdleError, metrics));
  const logs = withRetention(store, retentions);
  opened.push(() => logs.close());
  await logs.runMaintenance();
  every(maintenanceEveryMs, () => runMaintenance(db, logs), opened);
  const tails = new LogTails(logs);

  const limiter = redisUrl ? await openSharedRateLimiter(redisUrl, now) : new LocalRateLimiter(now);
  opened.push(() => limiter.close());
  const requestsPerMinute = options.requestsPerMinute ?? 1000;
  const searches = new FairConcurrencyLimiter(searchLimits);
  const nativeQueries = new FairConcurrencyLimiter(nativeQueryLimits);
  const deadKeys = new DeadKeyUses();
  opened.push(() => deadKeys.close());
  const watchdog = new EventLoopWatchdog();
  opened.push(() => watchdog.close());
  const bodies = new BodyBudget();
  const unsent = new UnsentAnswers();
  const connections = new Connections(trustedProxies, options.stuckAnswerMs);
  opened.push(() => connections.close());
  const requests = new RequestCounts();
  const reports = new KeyReports(db, keys);
  opened.push(() => reports.close());
  const reportLimiter = new LocalRateLimiter(now);
  opened.push(() => reportLimiter.close());
  registerServiceMetrics(metrics, {
    db,
    keys,
    uses,
    deadKeys,
    reports,
    searches,
    nativeQueries,
    tails,
    bodies,
    unsent,
    connections,
    requests,
    watchdog,
  });
  const app = createApp({
    db,
    change: createAuditedTransaction(db, keys),
    logs,
    intakeMeter: new ByteMeter(options.intakeBytesPerSecond ?? defaultIntakeBytesPerSecond),
    bodies,
    searches,
    nativeQueries,
    tails,
    pepper,
    master,
    logRetentionDays,
    retentions,
    requestsPerMinute,
    now,
    leaseHeld: () => keys.leaseHeld,
    flushUses: (keyId) => uses.flush(keyId),
    identifyKey: (text) => keys.findIn(db, text),
    reports,
    reportLimiter,
    githubSignatures: options.githubScanningKeys ? await openGithubSignatures(options.githubScanningKeys) : undefined,
    recentStallMs: () => watchdog.recentStallMs(),
    guards: guards({ keys, uses, failures, deadKeys, limiter, requestsPerMinute }),
  });
  const server = openServer({
    fetch(request, env) {
      const refusal = headRefusal(env.incoming);
      return requests.count(refusal ? refuseUnrouted(env, refusal) : app.fetch(request, env));
    },
    bodies,
    unsent,
    connections,
    trustedProxies,
  });
  const url = await listen(server, options);
  opened.push(() => stopListening(server));
  // Close tails before the server waits for responses to end, since a tail does not end by itself.
  opened.push(() => tails.close());
  const metricsListener = options.metrics && (await listenForMetrics(metrics, options.metrics));
  if (metricsListener) {
    opened.push(() => metricsListener.close());
    onProgress(`Metrics are at ${metricsListener.url}`);
  }
  return { url, metricsUrl: metricsListener?.url, firstKeys: await makeFirstKeys(db, pepper) };
}

async function openLogStore(
  { databaseUrl, logRetentionDays: retentionDays, logStore }: ServiceOptions,
  db: Database,
  onIdleError: (error: Error) => void,
  metrics: Metrics,
): Promise<LogStore> {
  if (logStore) {
    const store = await openClickHouseLogStore({
      metrics,
      address: logStore,
      databaseUrl,
      retentionDays,
      onIdleError,
      onDeferred: (error) => log.warn("removal of expired logs put off", { error }),
    });
    // Recorded only after the store is known to work, since the choice is permanent.
    await claimLogs(db, "clickhouse").catch(async (error) => {
      await store.close();
      throw error;
    });
    return store;
  }
  await claimLogs(db, "postgresql");
  return openPostgresLogStore({
    metrics,
    url: databaseUrl,
    onIdleError,
    retentionDays,
    onNotice: (detail) => log.warn("log store", { detail }),
    onDeferred: (error) => log.warn("sealing of days put off", { error }),
  });
}

/** The clock of this machine is not used for decisions, but it makes comparing logs misleading. */
function warnOfClock(databaseMs: number): void {
  const aheadSeconds = Math.round((Date.now() - databaseMs) / 1000);
  if (Math.abs(aheadSeconds) < 60) return;
  log.warn("this machine's clock differs from the database's, which is the one that counts", { aheadSeconds });
}

function every(ms: number, work: () => unknown, opened: (() => unknown)[]): void {
  const timer = setInterval(work, ms);
  opened.push(() => clearInterval(timer));
}

/** Deletes expired rows. If the database is unreachable, the next run does it. */
async function runMaintenance(db: Database, logs: LogStore): Promise<void> {
  try {
    await logs.runMaintenance();
    await deleteOldKeyChanges(db);
    await deleteOldAnswers(db);
    await deleteOldKeyUsage(db);
  } catch (error) {
    log.warn("housekeeping put off", { error });
  }
}

async function listen(server: Server, { host, port }: { host: string; port: number }): Promise<string> {
  server.listen(port, host);
  await once(server, "listening");
  const address = server.address() as AddressInfo;
  const shown = address.family === "IPv6" ? `[${address.address}]` : address.address;
  return `http://${shown}:${address.port}`;
}

/** Waits for requests in progress up to a time limit. Idle connections are closed immediately. */
async function stopListening(server: Server): Promise<void> {
  const closed = once(server, "close");
  server.close();
  server.closeIdleConnections();
  const patience = setTimeout(() => server.closeAllConnections(), finishWithinMs);
  await closed;
  clearTimeout(patience);
}
