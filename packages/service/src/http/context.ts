import { randomUUID } from "node:crypto";
import type { HttpBindings } from "@hono/node-server";
import type { Context } from "hono";

/** What a Hono context carries here: node's request and answer, and the two names an error is reported under. */
export interface HttpEnv {
  Bindings: HttpBindings;
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

/** The address of the other end of the connection. */
export function clientAddress(c: HttpContext): string {
  return c.env.incoming.socket.remoteAddress ?? "unknown";
}
