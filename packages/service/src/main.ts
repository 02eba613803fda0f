import type { FirstKeys } from "./bootstrap-keys.ts";
import { openService, type Service } from "./compose.ts";
import { type Config, ConfigError, readConfig } from "./config.ts";
import { type EmbeddedPostgres, openEmbeddedPostgres } from "./embedded-postgres.ts";
import { checkListeners } from "./listen-check.ts";
import { log } from "./logger.ts";

/** Default URL of the command line. */
const defaultUrl = "http://127.0.0.1:4600";

/** Supervisors usually kill a process that takes longer to stop. */
const stopDeadlineMs = 10_000;

/**
 * Reads the configuration, opens the database and the service, and runs until a signal. Sets the exit
 * code and lets the process end.
 */
export async function main(): Promise<void> {
  const stopping = stopSignal();
  let running: Running | undefined;
  try {
    running = await start(readConfig(process.env));
    await stopping;
  } catch (error) {
    process.exitCode = 1;
    process.stderr.write(`${error instanceof ConfigError ? error.message : explainStart(error as Error)}\n`);
  }
  if (running) await stop(running);
  stopping.forget();
}

interface Running {
  readonly service: Service;
  readonly postgres: EmbeddedPostgres | undefined;
}

async function start(config: Config): Promise<Running> {
  await checkListeners(config);
  const postgres = config.databaseUrl ? undefined : await openOwnPostgres(config.dataDir);
  try {
    const databaseUrl = config.databaseUrl ?? (postgres as EmbeddedPostgres).url;
    const service = await openService({ ...config, databaseUrl, onProgress: say });
    if (service.firstKeys) process.stdout.write(welcome(service.url, service.firstKeys));
    say(`Sazabi is listening on ${service.url}`);
    return { service, postgres };
  } catch (error) {
    await postgres?.close();
    throw error;
  }
}

function openOwnPostgres(dataDir: string): Promise<EmbeddedPostgres> {
  return openEmbeddedPostgres({
    dataDir,
    onProgress: say,
    onUnexpectedExit: (message) => log.error("embedded PostgreSQL", { detail: message }),
  });
}

async function stop({ service, postgres }: Running): Promise<void> {
  say("Shutting down: flushing queued logs …");
  const deadline = setTimeout(() => {
    log.error("stopped before everything was finished", { afterMs: stopDeadlineMs });
    process.exit(1);
  }, stopDeadlineMs);
  await service.close();
  await postgres?.close();
  clearTimeout(deadline);
  say("Stopped.");
}

/**
 * One stop request may send the signal twice: from the terminal and npm, or from a supervisor that
 * signals the group and the process. Only a later signal is a second request.
 */
const sameSignalMs = 500;

/** Resolves at the first SIGINT or SIGTERM. A later second one ends the process immediately. */
function stopSignal(): Promise<void> & { forget(): void } {
  const signals = ["SIGINT", "SIGTERM"] as const;
  let forget = () => {};
  const asked = new Promise<void>((resolve) => {
    const listener = () => {
      forget();
      const askedAt = performance.now();
      const insist = () => {
        if (performance.now() - askedAt > sameSignalMs) process.exit(130);
      };
      for (const signal of signals) process.on(signal, insist);
      resolve();
    };
    for (const signal of signals) process.once(signal, listener);
    forget = () => {
      for (const signal of signals) process.removeListener(signal, listener);
    };
  });
  return Object.assign(asked, { forget });
}

/** Writes to stderr. Only the log and the keys of the first start are written to stdout. */
function say(message: string): void {
  process.stderr.write(`${message}\n`);
}

function explainStart(error: Error): string {
  const { code, port } = error as NodeJS.ErrnoException & { port?: number };
  if (code === "EADDRINUSE") {
    return `Sazabi cannot listen: port ${port} is in use. Set PORT to a free port, or stop the program that uses it.`;
  }
  if (code === "ECONNREFUSED" || code === "ENOTFOUND" || code === "EAI_AGAIN" || code === "ETIMEDOUT") {
    return `Sazabi cannot reach PostgreSQL: ${error.message}. Check DATABASE_URL and that the server runs.`;
  }
  return `Sazabi could not start: ${error.message || String(code)}`;
}

function welcome(url: string, { secretKey, publicKey }: FirstKeys): string {
  return `
This is the first start. Two keys were made; they are shown this once:

secret key  ${secretKey}
public key  ${publicKey}

Try these next, in another terminal:

  curl -X POST ${url}/v1/logs -H "Content-Type: application/json" -H "x-sazabi-key: ${publicKey}" -d '{"message": "Hello from Sazabi", "level": "error"}'
  export SAZABI_SECRET_KEY=${secretKey}${url === defaultUrl ? "" : ` SAZABI_API_URL=${url}`}
  npx sazabi logs query "level:error"

`;
}
