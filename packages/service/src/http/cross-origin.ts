import type { HttpContext } from "./context.ts";

/*
 * CORS (Fetch standard, section 3.3) for the one route that web pages send to. Headers are set on the context before
 * the answer exists: a middleware that adds them afterwards makes each answer cost twice as much.
 */

const allowedHeaders = "authorization, content-type, content-encoding, idempotency-key, x-api-key, x-sazabi-key";
const exposedHeaders = "retry-after, x-ratelimit-limit, x-ratelimit-remaining, x-ratelimit-reset, x-request-id";
const maxAgeSeconds = 86_400;

/** A handler that pages of any origin may ask: what a public key allows, it allows in a browser. */
export function fromAnyPage<Answer>(handle: (c: HttpContext) => Answer): (c: HttpContext) => Answer {
  return (c) => {
    c.header("access-control-allow-origin", "*");
    c.header("access-control-expose-headers", exposedHeaders);
    return handle(c);
  };
}

/** What a browser asks before it sends. */
export function preflight(c: HttpContext): Response {
  c.header("access-control-allow-origin", "*");
  c.header("access-control-allow-methods", "POST");
  c.header("access-control-allow-headers", allowedHeaders);
  c.header("access-control-max-age", String(maxAgeSeconds));
  return c.body(null, 204);
}
