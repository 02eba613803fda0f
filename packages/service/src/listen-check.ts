import { once } from "node:events";
import { createServer, type Server } from "node:net";
import { type Config, ConfigError } from "./config.ts";

interface Listener {
  readonly host: string;
  readonly port: number;
  /** Environment variables of the host and the port. */
  readonly variables: { readonly host: string; readonly port: string };
}

/** Throws `ConfigError` when the service could not listen at its addresses. Call it before anything is written. */
export async function checkListeners({ host, port, metrics }: Config): Promise<void> {
  const listeners: Listener[] = [{ host, port, variables: { host: "HOST", port: "PORT" } }];
  if (metrics) {
    listeners.push({ ...metrics, variables: { host: "SAZABI_METRICS_HOST", port: "SAZABI_METRICS_PORT" } });
  }
  const servers: Server[] = [];
  try {
    // Listens on all at the same time, since two of them may have the same port.
    for (const listener of listeners) servers.push(await listen(listener));
  } finally {
    await Promise.all(servers.map(close));
  }
}

async function listen(listener: Listener): Promise<Server> {
  const { host, port } = listener;
  // Whoever connects meanwhile is not kept: `close` waits for every connection.
  const server = createServer((socket) => void socket.on("error", () => {}).destroy());
  server.listen(port, host);
  try {
    await once(server, "listening");
  } catch (error) {
    throw new ConfigError(`Sazabi cannot listen: ${explain(error as NodeJS.ErrnoException, listener)}`);
  }
  return server;
}

async function close(server: Server): Promise<void> {
  const closed = once(server, "close");
  server.close();
  await closed;
}

function explain({ code, message }: NodeJS.ErrnoException, { host, port, variables }: Listener): string {
  switch (code) {
    case "EADDRINUSE":
      return `port ${port} of ${host} is in use. Set ${variables.port} to a free port, or stop the program that uses it.`;
    case "EACCES":
      return `this user may not use port ${port}. Set ${variables.port} to a port above 1023.`;
    case "EADDRNOTAVAIL":
    case "ENOTFOUND":
    case "EAI_AGAIN":
    case "EINVAL":
      return `${host} is no address of this machine. Set ${variables.host} to one, such as 127.0.0.1, or 0.0.0.0 for all.`;
    default:
      return message;
  }
}
