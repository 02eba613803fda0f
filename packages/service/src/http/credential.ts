import type { KeyKind } from "@sazabi/sdk/protocol";
import { ApiError } from "../errors.ts";
import type { HttpContext } from "./context.ts";
import { conflictingCredentials } from "./request-head.ts";

const howToSend: Readonly<Record<KeyKind, string>> = {
  secret: "Send a secret key as `Authorization: Bearer sk_live_…` or `x-sazabi-secret-key: sk_live_…`.",
  public: "Send a public key as `x-sazabi-key: pk_live_…`.",
};

/**
 * The text that the headers carry as a key, whatever it is; undefined when they carry none. A public key may also be the
 * name of the host. 400 when there are two different ones. Costs no I/O.
 */
export function findCredential(c: HttpContext, takes: KeyKind | "any"): string | undefined {
  // Each by its name in the code, not by a variable: so the compiler knows where it is, or that it is not there.
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
 * `Bearer` (spec/1) or `ApiKey` (spec/4), in any case (RFC 9110, section 11.1). A public key also as the senders of Loki
 * and Elasticsearch have it: the password of `Basic`, or the second half of an `ApiKey`.
 */
function fromAuthorization(c: HttpContext, takes: KeyKind | "any"): string | undefined {
  const value = c.env.incoming.headers.authorization;
  if (!value) return undefined;
  // As nearly everybody writes it; quicker than the expression below, which means the same.
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

/** The text of a header that holds nothing but a key. */
function keyIn(value: string | string[] | undefined): string | undefined {
  if (value === undefined) return undefined;
  return (Array.isArray(value) ? value.join(", ") : value).trim() || undefined;
}

/** The published senders' `<32 hexadecimal digits>.<region>.intake.<domain>`, also with a word and a dash before. */
function fromHostName(c: HttpContext): string | undefined {
  const { host } = c.env.incoming.headers;
  if (host === undefined || !host.includes(".intake.")) return undefined;
  const digits = /^(?:[a-z0-9-]+-)?([0-9a-f]{32})\./.exec(host)?.[1];
  return digits && `sazabi_public_${digits}`;
}

/** What follows the colon in base64 of `name:key`; undefined when it is nothing of that kind. */
function secondHalf(base64: string): string | undefined {
  if (!/^[A-Za-z0-9+/_-]+={0,2}$/.test(base64)) return undefined;
  return /^[^:]*:([\x21-\x7e]+)$/.exec(Buffer.from(base64, "base64").toString("latin1"))?.[1];
}
