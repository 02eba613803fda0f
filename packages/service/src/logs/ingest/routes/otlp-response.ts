import type { ErrorCode, IntakeResult } from "@sazabi/sdk/protocol";
import { answerHeaders, type HttpContext } from "../../../http/context.ts";
import { bytesField, varintField } from "../formats/protobuf.ts";

/**
 * Answers an OTLP request (OTLP specification, "OTLP/HTTP Response") in its own encoding. Records that were not stored
 * make it a partial success, which senders log and do not repeat.
 */
export function otlpAnswer(c: HttpContext, result: IntakeResult): Response {
  const partial = partialSuccessOf(result);
  if (answersProtobuf(c)) {
    const message = [varintField(1, partial?.rejected ?? 0), bytesField(2, partial?.errorMessage ?? "")];
    return protobuf(c, partial ? bytesField(1, Buffer.concat(message)) : Buffer.alloc(0), 200);
  }
  // 64-bit integers are strings in the JSON of protobuf.
  const partialSuccess = partial
    ? { rejectedLogRecords: String(partial.rejected), errorMessage: partial.errorMessage }
    : {};
  const headers = { ...answerHeaders(c), "content-type": "application/json" };
  return new Response(JSON.stringify({ partialSuccess }), { status: 200, headers });
}

/** From here on errors are answered in protobuf too, and not in JSON. */
export function answerInProtobuf(c: HttpContext): void {
  c.env.encodeError = otlpStatus;
}

function answersProtobuf(c: HttpContext): boolean {
  return c.env.encodeError === otlpStatus;
}

/** A `google.rpc.Status`: what a sender that speaks protobuf reads of an error. */
function otlpStatus(c: HttpContext, { code, message }: { code: ErrorCode; message: string }, status: number): Response {
  return protobuf(c, Buffer.concat([varintField(1, grpcCodes[code]), bytesField(2, message)]), status);
}

/** google.rpc.Code */
const grpcCodes: Readonly<Record<ErrorCode, number>> = {
  VALIDATION_ERROR: 3,
  UNSUPPORTED_MEDIA_TYPE: 3,
  PAYLOAD_TOO_LARGE: 3,
  REQUEST_TIMEOUT: 4,
  TIMEOUT: 4,
  NOT_FOUND: 5,
  CONFLICT: 6,
  FORBIDDEN: 7,
  RATE_LIMIT_EXCEEDED: 8,
  INTERNAL_ERROR: 13,
  UNAVAILABLE: 14,
  UNAUTHORIZED: 16,
};

function partialSuccessOf({ accepted, rejectedCount = 0, rejected = [] }: IntakeResult) {
  if (rejectedCount === 0) return undefined;
  const first = rejected[0];
  const example = first ? ` The first, record ${first.index}: ${first.field || "it"} ${first.message}` : "";
  const all = accepted + rejectedCount;
  return { rejected: rejectedCount, errorMessage: `${rejectedCount} of ${all} log records were not stored.${example}` };
}

function protobuf(c: HttpContext, body: Buffer, status: number): Response {
  const headers = { ...answerHeaders(c), "content-type": "application/x-protobuf" };
  return new Response(new Uint8Array(body), { status, headers });
}
