import type { Server } from "node:http";
import { createAdaptorServer, type HttpBindings } from "@hono/node-server";
import type { AddressList } from "../net/ip-ranges.ts";
import type { BodyBudget } from "./body-budget.ts";
import type { Connections } from "./connections.ts";
import type { HttpEnv } from "./context.ts";
import type { UnsentAnswers } from "./unsent-answers.ts";

export interface ServerOptions {
  readonly fetch: (request: Request, env: HttpEnv["Bindings"]) => Response | Promise<Response>;
  readonly bodies: BodyBudget;
  readonly unsent: UnsentAnswers;
  readonly connections: Connections;
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

/** An HTTP server with limits on time and connections. It does not listen yet. */
export function openServer({ fetch, bodies, unsent, connections, trustedProxies }: ServerOptions): Server {
  const server = createAdaptorServer({
    fetch(request, bindings) {
      const { incoming, outgoing } = bindings as HttpBindings;
      return fetch(request, { incoming, outgoing, bodies, unsent, trustedProxies });
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
  // Node would drop headers beyond a number of them, and a second credential with them. Their bytes are bounded (16 KiB).
  server.maxHeadersCount = 0;
  connections.limit(server);
  return server;
}
