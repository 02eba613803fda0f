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

/** An admitted request, which can be checked again: a key may lose permissions while the request is in progress. */
export interface Admission {
  /**
   * Throws the error that a new request with the same credential would receive, and 403 when the key was
   * restricted since. It does not count as a request. Reads the key through `tx`. Without `tx`, reads it
   * from the cache under the lease, or from the database.
   */
  assertStillAllowed(tx?: Queryable): void | Promise<void>;
  /** The owners of the memory that the request body uses. */
  readonly holders: BodyHolders;
}

/**
 * Bindings of each request: the request and response of Node, the trusted proxies, and notes about the
 * request. Notes are plain members, since the variables and headers of Hono cost more than checking a
 * key.
 */
interface RequestBindings extends HttpBindings {
  readonly trustedProxies?: AddressList | undefined;
  readonly bodies: BodyBudget;
  readonly unsent: UnsentAnswers;
  /** Computed once for each request that came through a proxy. */
  clientAddress?: string;
  /** The operation under which errors are reported, for example `secretKeys.create`. */
  operationId?: string;
  requestId?: string;
  /** Set by receivers whose clients expect errors in an encoding other than JSON. */
  encodeError?: (c: HttpContext, body: ErrorBody, status: number) => Response;
  answerHeaders?: Record<string, string>;
  /** Set when the guard admits the request. */
  admission?: Admission;
}

export interface HttpEnv {
  Bindings: RequestBindings;
}

export type HttpContext = Context<HttpEnv>;

/** Returns a header as received, without building a `Headers` object. Node joins repeated headers with `, `. */
export function header(c: HttpContext, name: string): string | undefined {
  const value = c.env.incoming.headers[name];
  return Array.isArray(value) ? value.join(", ") : value;
}

/**
 * Returns the `X-Request-Id` of the client when it has 8 to 64 plain characters and is not a key.
 * Otherwise returns a generated id.
 */
export function requestId({ env }: HttpContext): string {
  env.requestId ??= givenRequestId(env.incoming.headers["x-request-id"]) ?? randomUUID();
  return env.requestId;
}

/**
 * Returns the headers of the response, in lower case. They forbid caching and content sniffing.
 * Members may be set until the response is created.
 */
export function answerHeaders(c: HttpContext): Record<string, string> {
  c.env.answerHeaders ??= {
    "x-request-id": requestId(c),
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
  };
  return c.env.answerHeaders;
}

/**
 * Sets the rate-limit headers. They are set as one object, since adding members one by one costs more
 * than formatting them.
 */
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

/**
 * Reserves memory for the request body, for its key, or for its address when it has no key. Release it
 * when the work ends.
 */
export function reserveBody(c: HttpContext): BodyReservation {
  return c.env.bodies.reserve(c.env.admission?.holders, clientAddress(c));
}

function givenRequestId(given: string | string[] | undefined): string | undefined {
  return typeof given === "string" && /^[\w.-]{8,64}$/.test(given) && hideKeys(given) === given ? given : undefined;
}

/**
 * Returns the client address: the peer of the connection or, behind trusted proxies, the address they
 * report. IPv4 is always written as IPv4. `unknown` when the connection is closed.
 */
export function clientAddress(c: HttpContext): string {
  const peer = peerAddress(c.env.incoming.socket.remoteAddress);
  const { trustedProxies } = c.env;
  if (!trustedProxies) return peer;
  c.env.clientAddress ??= forwardedAddress(peer, header(c, "x-forwarded-for"), trustedProxies);
  return c.env.clientAddress;
}
