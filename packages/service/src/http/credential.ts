import type { KeyKind } from "@sazabi/sdk/protocol";
import { ApiError } from "../errors.ts";
import { holdsKey } from "../misplaced-keys.ts";
import { type HttpContext, header } from "./context.ts";

/** Where a key may be sent (design.md section 2). A URL is not such a place. */
const keyHeaders = ["x-sazabi-secret-key", "x-sazabi-key", "x-api-key"] as const;

const howToSend: Readonly<Record<KeyKind, string>> = {
  secret: "Send a secret key as `Authorization: Bearer sk_live_…` or `x-sazabi-secret-key: sk_live_…`.",
  public: "Send a public key as `x-sazabi-key: pk_live_…`.",
};

/**
 * The text that a request carries as its key, whatever it is. 401 when it carries none, 400 when it carries two
 * different ones or has a key in its URL. Costs no I/O.
 */
export function readCredential(c: HttpContext, takes: KeyKind | "any"): string {
  refuseKeyInUrl(c);
  const text = presented(c);
  if (text !== undefined) return text;
  throw new ApiError("UNAUTHORIZED", `No API key. ${howToSend[takes === "any" ? "secret" : takes]}`, {
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

function presented(c: HttpContext): string | undefined {
  let found = fromAuthorization(c);
  for (const name of keyHeaders) {
    const value = header(c, name)?.trim();
    if (!value) continue;
    if (found !== undefined && found !== value) {
      throw new ApiError("VALIDATION_ERROR", "The request carries two different credentials. Send one.", {
        reason: "conflicting_credentials",
      });
    }
    found = value;
  }
  return found;
}

/** `Bearer` (spec/1) or `ApiKey` (spec/4), in any case (RFC 9110, section 11.1). */
function fromAuthorization(c: HttpContext): string | undefined {
  const value = header(c, "authorization");
  if (!value) return undefined;
  // As nearly everybody writes it; quicker than the expression below, which means the same.
  if (value.startsWith("Bearer ") && value.lastIndexOf(" ") === 6 && value.length > 7) return value.slice(7);
  const match = /^(?:bearer|apikey) +(\S+) *$/i.exec(value);
  if (match) return match[1];
  throw new ApiError("UNAUTHORIZED", `The Authorization header is not \`Bearer <key>\`. ${howToSend.secret}`, {
    reason: "malformed_api_key",
  });
}

function refuseKeyInUrl(c: HttpContext): void {
  if (holdsKey(c.env.incoming.url ?? "")) {
    throw new ApiError(
      "VALIDATION_ERROR",
      "The URL holds a key. URLs end up in logs and histories: send the key in a header, and revoke the one in the URL.",
    );
  }
}
