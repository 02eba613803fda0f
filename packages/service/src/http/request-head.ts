import type { IncomingMessage } from "node:http";
import { ApiError } from "../errors.ts";
import { urlHoldsKey, urlSeemsToHoldImportedKey } from "../redaction/key-redaction.ts";

/*
 * Rejects requests whose request line or headers another program in front of the service may interpret
 * differently, so that they cannot bypass its filters for paths, hosts or credentials.
 */

/** Returns why the request is rejected, or undefined. Runs for every request before routing. */
export function headRefusal(incoming: IncomingMessage): ApiError | undefined {
  const { url = "", rawHeaders } = incoming;
  return (
    targetRefusal(url) ??
    (mayRepeat(rawHeaders) ? repetitionRefusal(incoming) : undefined) ??
    (!carriesCredential(incoming) && urlSeemsToHoldImportedKey(url) ? keyInUrl() : undefined)
  );
}

/** With a credential, the URL is checked for keys of the caller's organization instead. */
function carriesCredential({ headers }: IncomingMessage): boolean {
  return (
    headers.authorization !== undefined ||
    headers["x-sazabi-secret-key"] !== undefined ||
    headers["x-sazabi-key"] !== undefined ||
    headers["x-api-key"] !== undefined
  );
}

/** Tested against the whole target: most targets contain none of these. */
const unusual = /[%\\#_.]|[^\x21-\x7e]/;
const dotSegment = /\/\.{1,2}(?:\/|$)/;
/** Encoded letters, digits, `-`, `.`, `_` and `~` (RFC 3986, section 2.3), which no client has to encode. */
const encodedUnreserved = /%(?:2[de]|3\d|[46][1-9a-f]|[57][\da]|5f|7e)/i;

function targetRefusal(target: string): ApiError | undefined {
  if (!unusual.test(target)) return undefined;
  if (urlHoldsKey(target)) return keyInUrl();
  const [path = ""] = target.split("?", 1);
  if (/[\\#]|[^\x21-\x7e]/.test(path) || dotSegment.test(path) || encodedUnreserved.test(path)) return ambiguousPath();
  return undefined;
}

/** Headers that a request may have only once, indexed by length and first letter for speed. */
const single = new Set(["host", "authorization", "x-sazabi-secret-key", "x-sazabi-key", "x-api-key"]);

/** Returns false when no header of `single` can be repeated. Allocates no strings, since it runs for every request. */
function mayRepeat(rawHeaders: readonly string[]): boolean {
  let seen = 0;
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const bit = bitOf(rawHeaders[index] as string);
    if ((seen & bit) !== 0) return true;
    seen |= bit;
  }
  return false;
}

function bitOf(name: string): number {
  switch (name.length) {
    case 4:
      return (name.charCodeAt(0) | 32) === 104 ? 1 : 0; // h
    case 9:
      return (name.charCodeAt(0) | 32) === 120 ? 2 : 0; // x
    case 12:
      return (name.charCodeAt(0) | 32) === 120 ? 4 : 0;
    case 13:
      return (name.charCodeAt(0) | 32) === 97 ? 8 : 0; // a
    case 19:
      return (name.charCodeAt(0) | 32) === 120 ? 16 : 0;
    default:
      return 0;
  }
}

/** A credential that is repeated identically is accepted: it then appears once in `incoming.headers`. */
function repetitionRefusal({ rawHeaders, headers }: IncomingMessage): ApiError | undefined {
  const values = new Map<string, string>();
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = (rawHeaders[index] as string).toLowerCase();
    if (!single.has(name)) continue;
    const value = (rawHeaders[index + 1] as string).trim();
    const before = values.get(name);
    if (before === undefined) {
      values.set(name, value);
      continue;
    }
    if (name === "host") return twoHosts();
    if (before !== value) return conflictingCredentials();
    headers[name] = value;
  }
  return undefined;
}

export function conflictingCredentials(): ApiError {
  return new ApiError("VALIDATION_ERROR", "The request carries two different credentials. Send one.", {
    reason: "conflicting_credentials",
  });
}

function twoHosts(): ApiError {
  return new ApiError("VALIDATION_ERROR", "The request has more than one Host header. Send one.");
}

export function keyInUrl(): ApiError {
  return new ApiError(
    "VALIDATION_ERROR",
    "The URL holds a key. URLs end up in logs and histories: send the key in a header, and revoke the one in the URL.",
  );
}

function ambiguousPath(): ApiError {
  return new ApiError(
    "VALIDATION_ERROR",
    "The path has segments of dots, a backslash, a fragment, or percent-encoded letters, digits, -, ., _ or ~. Send it as it is " +
      "written in docs/api.md.",
  );
}
