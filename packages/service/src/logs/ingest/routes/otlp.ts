import { Hono } from "hono";
import type { AppContext } from "../../../app-context.ts";
import { ApiError } from "../../../errors.ts";
import { type HttpContext, type HttpEnv, header } from "../../../http/context.ts";
import { fromAnyPage, preflight } from "../../../http/cross-origin.ts";
import { isProtobuf, mediaTypeOf } from "../formats/media-type.ts";
import { otlpJson } from "../formats/otlp-json.ts";
import { otlpProtobuf } from "../formats/otlp-protobuf.ts";
import { answerInProtobuf, otlpAnswer } from "./otlp-response.ts";
import { type Dialect, logReceiver } from "./receive-logs.ts";

const otlp: Dialect = {
  formatOf: (c) => otlpFormat(header(c, "content-type")),
  takesOtlp: true,
  answer: (c, { result }) => otlpAnswer(c, result),
};

/** OTLP where nothing else is taken. `POST /v1/logs` takes it too. */
export const otlpRoutes = (services: AppContext) => {
  const receive = logReceiver(services)(otlp);
  return new Hono<HttpEnv>()
    .options("/adapters/otlp/*", preflight)
    .options("/v1/traces", preflight)
    .options("/v1/metrics", preflight)
    .post("/adapters/otlp", receive)
    .post("/adapters/otlp/v1/logs", receive)
    .post("/adapters/otlp/v1/traces", fromAnyPage(logsOnly("traces")))
    .post("/adapters/otlp/v1/metrics", fromAnyPage(logsOnly("metrics")))
    .post("/v1/traces", fromAnyPage(logsOnly("traces")))
    .post("/v1/metrics", fromAnyPage(logsOnly("metrics")));
};

function otlpFormat(contentType: string | undefined) {
  const type = mediaTypeOf(contentType);
  if (isProtobuf(type)) return otlpProtobuf;
  if (type === "" || type === "application/json") return otlpJson;
  throw new ApiError("UNSUPPORTED_MEDIA_TYPE", "OTLP is taken as application/x-protobuf or application/json.");
}

/**
 * 404, which senders of OTLP do not repeat: they report it and drop the batch. A success would hide that spans are lost,
 * and any status that says "later" would fill their queues.
 */
function logsOnly(signal: "traces" | "metrics") {
  return (c: HttpContext): Response => {
    c.env.operationId = `${signal}.send`;
    if (isProtobuf(mediaTypeOf(header(c, "content-type")))) answerInProtobuf(c);
    throw new ApiError(
      "NOT_FOUND",
      `Sazabi takes logs, not ${signal}. Set OTEL_${signal.toUpperCase()}_EXPORTER=none, or take this exporter out of the collector's ${signal} pipeline.`,
    );
  };
}
