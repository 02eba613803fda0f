import type { Server } from "node:http";
import type { Socket } from "node:net";
import { createAdaptorServer, type HttpBindings } from "@hono/node-server";
import { type AddressList, peerAddress, subscriberBlock } from "../addresses.ts";
import { log } from "../log.ts";
import type { BodyBudget } from "./body-budget.ts";
import type { HttpEnv } from "./context.ts";

export interface ServerOptions {
  readonly fetch: (request: Request, env: HttpEnv["Bindings"]) => Response | Promise<Response>;
  readonly bodies: BodyBudget;
  readonly trustedProxies: AddressList | undefined;
}

/** How long a request may take to send its headers. */
const headersTimeoutMs = 10_000;
/** The bound behind those of `receiveBody`, which are narrower: the largest body at the lowest rate takes 170 s. */
const requestTimeoutMs = 180_000;
/** How long a connection may wait for its next request: longer than proxies keep theirs, which are 60 s as a rule. */
const keepAliveTimeoutMs = 65_000;
/** How often Node looks for requests beyond their time. */
const connectionsCheckingIntervalMs = 2_000;
const maxConnections = 10_000;
const maxConnectionsPerAddress = 1_000;

/** An HTTP server with limits on time and connections. It does not listen yet. */
export function openServer({ fetch, bodies, trustedProxies }: ServerOptions): Server {
  const server = createAdaptorServer({
    fetch(request, bindings) {
      const { incoming, outgoing } = bindings as HttpBindings;
      return fetch(request, { incoming, outgoing, bodies, trustedProxies });
    },
    // HTTP/1.0 requests may have no Host; the health checks of some load balancers have none.
    hostname: "localhost",
    serverOptions: {
      headersTimeout: headersTimeoutMs,
      requestTimeout: requestTimeoutMs,
      keepAliveTimeout: keepAliveTimeoutMs,
      connectionsCheckingInterval: connectionsCheckingIntervalMs,
    },
  }) as Server;
  server.maxConnections = maxConnections;
  // Node would drop headers beyond a number of them, and a second credential with them. Their bytes are bounded (16 KiB).
  server.maxHeadersCount = 0;
  boundConnections(server, trustedProxies);
  return server;
}

/** Closes connections of an address (of IPv6: of one /64) that has too many. Proxies of ours bring those of many. */
function boundConnections(server: Server, trustedProxies: AddressList | undefined): void {
  const connections = new Map<string, number>();
  server.on("connection", (socket: Socket) => {
    const address = peerAddress(socket.remoteAddress);
    if (trustedProxies?.has(address)) return;
    const block = subscriberBlock(address);
    const count = (connections.get(block) ?? 0) + 1;
    if (count > maxConnectionsPerAddress) {
      log.warn("connection refused: its address has too many", { address });
      socket.destroy();
      return;
    }
    connections.set(block, count);
    socket.once("close", () => {
      const left = (connections.get(block) ?? 0) - 1;
      if (left > 0) connections.set(block, left);
      else connections.delete(block);
    });
  });
}
