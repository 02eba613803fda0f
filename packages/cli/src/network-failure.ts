/** What kept a connection from being made, in words; from the innermost error, which is the one that knows. */
export function describeNetworkFailure(error: unknown): string {
  const cause = innermost(error);
  if (cause instanceof Error && cause.name === "HTTPParserError") return notHttp;
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
  SELF_SIGNED_CERT_IN_CHAIN: "its certificate is self-signed; name its CA in NODE_EXTRA_CA_CERTS",
  DEPTH_ZERO_SELF_SIGNED_CERT: "its certificate is self-signed; name its CA in NODE_EXTRA_CA_CERTS",
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: "its certificate's CA is unknown; name it in NODE_EXTRA_CA_CERTS",
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: "its certificate's CA is unknown; name it in NODE_EXTRA_CA_CERTS",
  CERT_HAS_EXPIRED: "its certificate has expired",
  ERR_TLS_CERT_ALTNAME_INVALID: "its certificate is for another host",
};

function innermost(error: unknown): unknown {
  if (error instanceof AggregateError && error.errors.length > 0) return innermost(error.errors[0]);
  const cause = (error as { cause?: unknown } | undefined)?.cause;
  return cause === undefined ? error : innermost(cause);
}
