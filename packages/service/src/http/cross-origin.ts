import { answerHeaders, type HttpContext } from "./context.ts";
import { noContent } from "./respond.ts";

/*
 * CORS (Fetch standard, section 3.3) for the one route that web pages use. Headers are set before the
 * response exists: a middleware that adds them afterwards doubles the cost of each response.
 */

const allowedHeaders = "authorization, content-type, content-encoding, idempotency-key, x-api-key, x-sazabi-key";
const exposedHeaders = "retry-after, x-ratelimit-limit, x-ratelimit-remaining, x-ratelimit-reset, x-request-id";
const maxAgeSeconds = 86_400;

/**
 * Returns a handler that accepts requests from pages of any origin: a public key has the same
 * permissions in a browser.
 */
export function fromAnyPage<Answer>(handle: (c: HttpContext) => Answer): (c: HttpContext) => Answer {
  return (c) => {
    const headers = answerHeaders(c);
    headers["access-control-allow-origin"] = "*";
    headers["access-control-expose-headers"] = exposedHeaders;
    return handle(c);
  };
}

/** Answers the preflight request of a browser. */
export function preflight(c: HttpContext): Response {
  Object.assign(answerHeaders(c), {
    "access-control-allow-origin": "*",
    "access-control-allow-methods": "POST",
    "access-control-allow-headers": allowedHeaders,
    "access-control-max-age": String(maxAgeSeconds),
  });
  return noContent(c);
}
