import { answerHeaders, type HttpContext } from "./context.ts";
import { noContent } from "./respond.ts";

/*
 * CORS (Fetch standard, section 3.3) for the one route that web pages send to. Headers are set before the
 * answer exists: a middleware that adds them afterwards makes each answer cost twice as much.
 */

const allowedHeaders = "authorization, content-type, content-encoding, idempotency-key, x-api-key, x-sazabi-key";
const exposedHeaders = "retry-after, x-ratelimit-limit, x-ratelimit-remaining, x-ratelimit-reset, x-request-id";
const maxAgeSeconds = 86_400;

/** A handler that pages of any origin may ask: what a public key allows, it allows in a browser. */
export function fromAnyPage<Answer>(handle: (c: HttpContext) => Answer): (c: HttpContext) => Answer {
  return (c) => {
    const headers = answerHeaders(c);
    headers["access-control-allow-origin"] = "*";
    headers["access-control-expose-headers"] = exposedHeaders;
    return handle(c);
  };
}

/** What a browser asks before it sends. */
export function preflight(c: HttpContext): Response {
  Object.assign(answerHeaders(c), {
    "access-control-allow-origin": "*",
    "access-control-allow-methods": "POST",
    "access-control-allow-headers": allowedHeaders,
    "access-control-max-age": String(maxAgeSeconds),
  });
  return noContent(c);
}
