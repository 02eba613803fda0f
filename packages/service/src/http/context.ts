import { randomUUID } from "node:crypto";
import type { HttpBindings } from "@hono/node-server";
import type { Context } from "hono";
import { type AddressList, peerAddress } from "../addresses.ts";
import { forwardedAddress } from "./client-address.ts";

/** What comes with each request: node's request and answer, and the proxies whose word on its origin counts. */
interface RequestBindings extends HttpBindings {
  readonly trustedProxies?: AddressList;
  /** Found once for each request that came through a proxy. */
  clientAddress?: string;
}

/** What a Hono context carries here: the bindings, and the two names an error is reported under. */
export interface HttpEnv {
  Bindings: RequestBindings;
  Variables: { operationId: string; requestId: string };
}

export type HttpContext = Context<HttpEnv>;

/** A header as it came, without building a `Headers` object. Repeated headers are joined by node with `, `. */
export function header(c: HttpContext, name: string): string | undefined {
  const value = c.env.incoming.headers[name];
  return Array.isArray(value) ? value.join(", ") : value;
}

/** The caller's `X-Request-Id` when it is a plain one of 8 to 64 characters, else one of ours. */
export function requestId(c: HttpContext): string {
  const known = c.get("requestId");
  if (known) return known;
  const given = header(c, "x-request-id");
  const id = given && /^[\w.-]{8,64}$/.test(given) ? given : randomUUID();
  c.set("requestId", id);
  return id;
}

/**
 * The client's address: the other end of the connection, or, behind our own proxies, whom they say they act for.
 * IPv4 is always written as IPv4. `unknown` when the connection is gone.
 */
export function clientAddress(c: HttpContext): string {
  const peer = peerAddress(c.env.incoming.socket.remoteAddress);
  const { trustedProxies } = c.env;
  if (!trustedProxies) return peer;
  c.env.clientAddress ??= forwardedAddress(peer, header(c, "x-forwarded-for"), trustedProxies);
  return c.env.clientAddress;
}
