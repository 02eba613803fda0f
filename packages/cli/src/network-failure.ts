import { ThroughProxy } from "./proxy-error.ts";

/** Describes why a connection failed. Uses the innermost error, which has the cause. */
export function describeNetworkFailure(error: unknown): string {
  if (!(error instanceof ThroughProxy)) return describeCause(error);
  const { variable, url } = error.proxy;
  return `${describeCause(error.cause)}; on the way through the proxy ${url.protocol}//${url.host} (${variable})`;
}

function describeCause(error: unknown): string {
  const cause = innermost(error);
  if (cause instanceof Error && cause.name === "HTTPParserError") return notHttp;
  const [, status] = /^Proxy [\w ]*\((\d+)\)/.exec((cause as Error | undefined)?.message ?? "") ?? [];
  if (status === "407") return "the proxy wants a user and a password";
  if (status) return `the proxy refused, with status ${status}`;
  const code = (cause as { code?: unknown } | undefined)?.code;
  if (typeof code === "string" && code.startsWith("HPE_")) return notHttp;
  if (typeof code !== "string") return cause instanceof Error && cause.message ? cause.message : "no connection";
  return networkFailures[code] ?? (/CERT|SSL|TLS|SELF_SIGNED|ISSUER/.test(code) ? `TLS: ${code}` : code);
}

const notHttp = "what answers there does not speak HTTP; is it https?";

const networkFailures: Readonly<Record<string, string>> = {
  ECONNREFUSED: "connection refused",
  ECONNRESET: "connection reset",
  UND_ERR_SOCKET: "connection closed",
  ENOTFOUND: "no such host",
  EAI_AGAIN: "the host name could not be looked up",
  EHOSTUNREACH: "host unreachable",
  ENETUNREACH: "network unreachable",
  ETIMEDOUT: "connecting took too long",
  UND_ERR_CONNECT_TIMEOUT: "connecting took too long",
  EPROTO: "TLS failed; is it http rather than https?",
  ERR_SSL_WRONG_VERSION_NUMBER: "TLS failed; is it http rather than https?",
  SELF_SIGNED_CERT_IN_CHAIN: "its certificate is self-signed; name its CA with --ca-file",
  DEPTH_ZERO_SELF_SIGNED_CERT: "its certificate is self-signed; name its CA with --ca-file",
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: "its certificate's CA is unknown; name it with --ca-file",
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: "its certificate's CA is unknown; name it with --ca-file",
  CERT_HAS_EXPIRED: "its certificate has expired",
  ERR_TLS_CERT_ALTNAME_INVALID: "its certificate is for another host",
};

/** Returns true if the service's certificate was rejected. */
export function isCertificateFailure(error: unknown): boolean {
  const { code } = (innermost(error) ?? {}) as { readonly code?: unknown };
  return typeof code === "string" && /CERT|LEAF_SIGNATURE|ISSUER/.test(code);
}

function innermost(error: unknown): unknown {
  if (error instanceof AggregateError && error.errors.length > 0) return innermost(error.errors[0]);
  const cause = (error as { cause?: unknown } | undefined)?.cause;
  return cause === undefined ? error : innermost(cause);
}
