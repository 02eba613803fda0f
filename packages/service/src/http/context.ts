import { randomUUID } from "node:crypto";
import type { HttpBindings } from "@hono/node-server";
import type { ErrorBody } from "@sazabi/sdk/protocol";
import type { Context } from "hono";
import type { Queryable } from "../db/database.ts";
import { type AddressList, peerAddress } from "../net/ip-ranges.ts";
import { hideKeys } from "../redaction/key-redaction.ts";
import type { BodyBudget, BodyHolders, BodyReservation } from "./body-budget.ts";
import { forwardedAddress } from "./client-address.ts";
import type { UnsentAnswers } from "./unsent-answers.ts";

/** A request that was admitted, to be judged again: a key may lose its rights while the request is under way. */
export interface Admission {
  /**
   * Throws what a new request with the same credential would be refused with, and 403 when the key was narrowed since. It
   * does not count as a request. As `tx` sees the key; without one from memory under the lease, or from the database.
   */
  assertStillAllowed(tx?: Queryable): void | Promise<void>;
  /** Who takes the memory of the request's body. */
  readonly holders: BodyHolders;
}

/**
 * What comes with each request: node's request and answer, the proxies whose word on its origin counts, and what we
 * note about it. Notes are plain members, since Hono's variables and headers cost more than checking a key does.
 */
interface RequestBindings extends HttpBindings {
  readonly trustedProxies?: AddressList | undefined;
  readonly bodies: BodyBudget;
  readonly unsent: UnsentAnswers;
  /** Found once for each request that came through a proxy. */
  clientAddress?: string;
  /** The name an error is reported under, e.g. `secretKeys.create`. */
  operationId?: string;
  requestId?: string;
  /** Set by a receiver whose senders read errors in another encoding than JSON. */
  encodeError?: (c: HttpContext, body: ErrorBody, status: number) => Response;
  answerHeaders?: Record<string, string>;
  /** Set when the guard admits the request. */
  admission?: Admission;
}

export interface HttpEnv {
  Bindings: RequestBindings;
}

export type HttpContext = Context<HttpEnv>;

/** A header as it came, without building a `Headers` object. Repeated headers are joined by node with `, `. */
export function header(c: HttpContext, name: string): string | undefined {
  const value = c.env.incoming.headers[name];
  return Array.isArray(value) ? value.join(", ") : value;
}

/** The caller's `X-Request-Id` when it is a plain one of 8 to 64 characters and no key, else one of ours. */
export function requestId({ env }: HttpContext): string {
  env.requestId ??= givenRequestId(env.incoming.headers["x-request-id"]) ?? randomUUID();
  return env.requestId;
}

/**
 * The headers of the answer to come, in lower case. No answer may be stored by a cache, or be taken for another type than it
 * says. Set members of it at any time before the answer is made.
 */
export function answerHeaders(c: HttpContext): Record<string, string> {
  c.env.answerHeaders ??= {
    "x-request-id": requestId(c),
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
  };
  return c.env.answerHeaders;
}

/** Sets the headers that show the state of a limit. As one object: to add members one by one costs more than their texts. */
export function setRateLimitHeaders(
  c: HttpContext,
  { limit, remaining, reset }: { limit: string; remaining: string; reset: string },
): void {
  const headers = {
    "x-request-id": requestId(c),
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    "x-ratelimit-limit": limit,
    "x-ratelimit-remaining": remaining,
    "x-ratelimit-reset": reset,
  };
  const { answerHeaders } = c.env;
  c.env.answerHeaders = answerHeaders ? Object.assign(answerHeaders, headers) : headers;
}

/** Memory for the body of a request: of its key's part, or without one of its address's. Release it when the work on it ends. */
export function reserveBody(c: HttpContext): BodyReservation {
  return c.env.bodies.reserve(c.env.admission?.holders, clientAddress(c));
}

function givenRequestId(given: string | string[] | undefined): string | undefined {
  return typeof given === "string" && /^[\w.-]{8,64}$/.test(given) && hideKeys(given) === given ? given : undefined;
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
