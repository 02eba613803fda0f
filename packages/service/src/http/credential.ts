import type { KeyKind } from "@sazabi/sdk/protocol";
import { ApiError } from "../errors.ts";
import type { HttpContext } from "./context.ts";
import { conflictingCredentials } from "./request-head.ts";

const howToSend: Readonly<Record<KeyKind, string>> = {
  secret: "Send a secret key as `Authorization: Bearer sk_live_…` or `x-sazabi-secret-key: sk_live_…`.",
  public: "Send a public key as `x-sazabi-key: pk_live_…`.",
};

/**
 * Returns the key in the headers, without validation; undefined when they contain none. The host name
 * may also contain a public key. Throws 400 when there are two different keys. Does no I/O.
 */
export function findCredential(c: HttpContext, takes: KeyKind | "any"): string | undefined {
  // Each header is read by a literal name, not by a variable, so that the compiler can optimize the
  // access.
  const { headers } = c.env.incoming;
  let found = fromAuthorization(c, takes);
  found = sameOf(found, keyIn(headers["x-sazabi-secret-key"]));
  found = sameOf(found, keyIn(headers["x-sazabi-key"]));
  found = sameOf(found, keyIn(headers["x-api-key"]));
  return sameOf(found, takes === "public" ? fromHostName(c) : undefined);
}

function sameOf(one: string | undefined, other: string | undefined): string | undefined {
  if (one !== undefined && other !== undefined && one !== other) throw conflictingCredentials();
  return one ?? other;
}

export function missingKey(takes: KeyKind | "any"): ApiError {
  return new ApiError("UNAUTHORIZED", `No API key. ${howToSend[takes === "any" ? "secret" : takes]}`, {
    reason: "missing_api_key",
  });
}

export function refuseWrongKind(takes: KeyKind | "any", given: KeyKind): void {
  if (takes === "any" || takes === given) return;
  throw new ApiError("FORBIDDEN", `This route takes a ${takes} key, not a ${given} key. ${howToSend[takes]}`, {
    reason: "wrong_key_type",
  });
}

export function malformedKey(): ApiError {
  return new ApiError(
    "UNAUTHORIZED",
    "That is not a Sazabi key: a character is missing or wrong. `sazabi keys inspect` tells what is off.",
    { reason: "malformed_api_key" },
  );
}

/**
 * Reads `Bearer` (spec/1) or `ApiKey` (spec/4), case-insensitively (RFC 9110, section 11.1). A public
 * key may also come as the clients of Loki and Elasticsearch send it: the password of `Basic`, or the
 * second half of an `ApiKey`.
 */
function fromAuthorization(c: HttpContext, takes: KeyKind | "any"): string | undefined {
  const value = c.env.incoming.headers.authorization;
  if (!value) return undefined;
  // The usual spelling; faster than the expression below, which is equivalent.
  if (value.startsWith("Bearer ") && value.indexOf(" ", 7) === -1 && value.length > 7) return value.slice(7);
  const [, scheme = "", text = ""] = /^(bearer|apikey|basic) +(\S+) *$/i.exec(value) ?? [];
  const kind = scheme.toLowerCase();
  if (kind === "bearer") return text;
  if (kind === "apikey") return (takes === "public" && secondHalf(text)) || text;
  const password = kind === "basic" && takes === "public" ? secondHalf(text) : undefined;
  if (password) return password;
  throw new ApiError(
    "UNAUTHORIZED",
    `The Authorization header is not \`Bearer <key>\`. ${howToSend[takes === "any" ? "secret" : takes]}`,
    { reason: "malformed_api_key" },
  );
}

/** Returns a header that contains only a key. */
function keyIn(value: string | string[] | undefined): string | undefined {
  if (value === undefined) return undefined;
  return (Array.isArray(value) ? value.join(", ") : value).trim() || undefined;
}

/**
 * Reads `<32 hexadecimal digits>.<region>.intake.<domain>`, which published clients use, with an
 * optional word and dash before it.
 */
function fromHostName(c: HttpContext): string | undefined {
  const { host } = c.env.incoming.headers;
  if (host === undefined || !host.includes(".intake.")) return undefined;
  const digits = /^(?:[a-z0-9-]+-)?([0-9a-f]{32})\./.exec(host)?.[1];
  return digits && `sazabi_public_${digits}`;
}

/** Returns the text after the colon in base64 of `name:key`, or undefined for any other text. */
function secondHalf(base64: string): string | undefined {
  if (!/^[A-Za-z0-9+/_-]+={0,2}$/.test(base64)) return undefined;
  return /^[^:]*:([\x21-\x7e]+)$/.exec(Buffer.from(base64, "base64").toString("latin1"))?.[1];
}
