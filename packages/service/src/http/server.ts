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

/** Time limit for the headers of a request. */
const headersTimeoutMs = 10_000;
/**
 * Upper bound for a whole request. `receiveBody` has narrower limits: the largest body at the lowest
 * rate takes 170 s.
 */
const requestTimeoutMs = 180_000;
/** Maximum idle time of a connection: longer than that of proxies, which is usually 60 s. */
const keepAliveTimeoutMs = 65_000;
/** Interval at which Node checks for requests that exceed their time limit. */
const connectionsCheckingIntervalMs = 2_000;

/** Creates an HTTP server with limits on time and connections. It does not listen yet. */
export function openServer({ fetch, bodies, unsent, connections, trustedProxies }: ServerOptions): Server {
  const server = createAdaptorServer({
    fetch(request, bindings) {
      const { incoming, outgoing } = bindings as HttpBindings;
      return fetch(request, { incoming, outgoing, bodies, unsent, trustedProxies });
    },
    // HTTP/1.0 requests may have no Host, as in health checks of some load balancers.
    hostname: "localhost",
    serverOptions: {
      headersTimeout: headersTimeoutMs,
      requestTimeout: requestTimeoutMs,
      keepAliveTimeout: keepAliveTimeoutMs,
      connectionsCheckingInterval: connectionsCheckingIntervalMs,
    },
  }) as Server;
  // With a maximum, Node would drop headers beyond it, including a second credential. Their size is
  // limited to 16 KiB.
  server.maxHeadersCount = 0;
  connections.limit(server);
  return server;
}
