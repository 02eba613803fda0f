import type { ErrorBody } from "@sazabi/sdk/protocol";
import { isUnavailable } from "../db/database.ts";
import { ApiError } from "../errors.ts";
import { log } from "../logger.ts";
import { urlSeemsToHoldImportedKey } from "../redaction/key-redaction.ts";
import { answerHeaders, type HttpContext, type HttpEnv, requestId } from "./context.ts";
import { jsonObject } from "./json-text.ts";
import { largeAnswer } from "./large-answer.ts";
import { keyInUrl } from "./request-head.ts";

type SuccessStatus = 200 | 201 | 202;

/**
 * Sends a resource: bare under `/v1`, as `{ data, error: null }` on the unversioned paths of spec/2.
 * Both use the same handlers.
 */
export function ok(c: HttpContext, resource: object, status: SuccessStatus = 200): Response {
  return json(c, isVersioned(c) ? resource : { data: resource, error: null }, status);
}

/** As `ok`, for a resource that may be large. Members may be `JsonText`. */
export function okLarge(c: HttpContext, resource: Readonly<Record<string, unknown>>): Response {
  const text = jsonObject(resource);
  const answer = isVersioned(c) ? text : jsonObject({ data: text, error: null });
  return answer.short === undefined ? largeAnswer(c, answer) : jsonResponse(c, answer.short, 200);
}

function isVersioned(c: HttpContext): boolean {
  return c.req.path.startsWith("/v1/");
}

/** Sends the envelope on every path: for ingestion, where clients expect the response of spec/2. */
export function okEnvelope(c: HttpContext, data: object, status: SuccessStatus): Response {
  return json(c, { data, error: null }, status);
}

/** Sends the bare resource on every path. */
export function okBare(c: HttpContext, resource: object): Response {
  return json(c, resource, 200);
}

export function noContent(c: HttpContext): Response {
  return new Response(null, { status: 204, headers: answerHeaders(c) });
}

/** Does not repeat the path, since it may contain a key. */
export function notFound(c: HttpContext): Response {
  if (urlSeemsToHoldImportedKey(c.env.incoming.url ?? "")) return refuse(c, keyInUrl());
  return refuse(c, new ApiError("NOT_FOUND", "There is no such route. docs/api.md lists those there are."));
}

/** Converts thrown errors to responses. Errors other than `ApiError` are bugs or outages. */
export function onError(error: Error, c: HttpContext): Response {
  if (error instanceof ApiError) return refuse(c, error);
  if (isUnavailable(error)) {
    log.warn("database unavailable", { requestId: requestId(c), operationId: c.env.operationId, error });
    return refuse(
      c,
      new ApiError(
        "UNAVAILABLE",
        `The database does not answer just now. Try again${c.req.method === "POST" ? "; with an Idempotency-Key nothing is stored twice" : ""}.`,
        { retryAfterSeconds: 1 },
      ),
    );
  }
  log.error("request failed", { requestId: requestId(c), operationId: c.env.operationId, error });
  return refuse(
    c,
    new ApiError("INTERNAL_ERROR", "Something went wrong on our side. The service's log has it under this request id."),
  );
}

/** Rejects a request before routing. */
export function refuseUnrouted(env: HttpEnv["Bindings"], error: ApiError): Response {
  return refuse({ env } as HttpContext, error);
}

function refuse(c: HttpContext, error: ApiError): Response {
  const { reason, issues, retryAfterSeconds, missingContext } = error.options;
  const body: ErrorBody = {
    data: null,
    error: { code: error.code, message: error.message },
    code: error.code,
    message: error.message,
    operationId: c.env.operationId ?? "unknown",
    requestId: requestId(c),
    ...(reason && { reason }),
    ...(issues && { issues }),
    ...(retryAfterSeconds && { retryAfterSeconds }),
    ...(missingContext && { missingContext }),
  };
  const headers = answerHeaders(c);
  if (retryAfterSeconds) headers["retry-after"] = String(retryAfterSeconds);
  if (error.status === 401) headers["www-authenticate"] = 'Bearer realm="sazabi"';
  return c.env.encodeError?.(c, body, error.status) ?? json(c, body, error.status);
}

function json(c: HttpContext, body: object, status: number): Response {
  return jsonResponse(c, JSON.stringify(body), status);
}

/** Does not use the helper of Hono: with plain headers, the adapter of Node needs no `Headers` object. */
function jsonResponse(c: HttpContext, text: string, status: number): Response {
  const headers = answerHeaders(c);
  headers["content-type"] = "application/json";
  return new Response(text, { status, headers });
}
