import { usageError } from "../errors.ts";
import { holdsKey } from "../output/mask.ts";
import { visible } from "../output/visible.ts";
import type { ApiFields } from "./fields.ts";

const methods = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"];

export function readMethod(text: string): string {
  const method = text.toUpperCase();
  if (methods.includes(method)) return method;
  throw usageError(`${visible(text)} is not a supported method.`, `There are: ${methods.join(", ")}.`);
}

/**
 * Returns the URL of `path` below `base` with `query`. Throws if it would leave `base`, because the key is sent there.
 */
export function addressOf(base: string, path: string, query: ApiFields): URL {
  if (holdsKey(path)) throw usageError("A key must not be part of a URL, because URLs are logged.");
  if (/^[a-z][a-z0-9+.-]*:/i.test(path) || /^[/\\]{2}/.test(path)) {
    throw usageError(
      `${visible(path)} is an address, and this takes a path of ${base}.`,
      "Give it like v1/me; --api-url names another service.",
    );
  }
  if (/[\p{Cc}\\#]/u.test(path)) throw usageError(`${visible(path)} is not a path.`);
  const root = `${base.replace(/\/+$/, "")}/`;
  const address = new URL(root + path.replace(/^\//, ""));
  if (!address.href.startsWith(new URL(root).href)) throw usageError(`${visible(path)} is outside of ${base}.`);
  for (const [name, value] of Object.entries(query)) {
    for (const one of [value].flat())
      address.searchParams.append(name, typeof one === "string" ? one : JSON.stringify(one));
  }
  return address;
}

/** Headers that identify the caller or frame the request: `-H` cannot set them. */
const ours = [
  "authorization",
  "x-sazabi-secret-key",
  "x-sazabi-key",
  "x-api-key",
  "cookie",
  "host",
  "connection",
  "content-length",
  "transfer-encoding",
];

export function readHeaders(lines: readonly string[]): Record<string, string> {
  const headers: Record<string, string> = { accept: "application/json", "content-type": "application/json" };
  for (const line of lines) {
    const [, name = "", value = ""] = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\t\x20-\x7e]*)$/.exec(line) ?? [];
    if (name === "") throw usageError(`-H: ${visible(line)} is not a header.`, 'Write it as "Name: value".');
    if (ours.includes(name.toLowerCase())) throw usageError(`-H: ${name} is sent by this command itself.`);
    headers[name.toLowerCase()] = value;
  }
  return { ...headers, "x-sazabi-client-source": "cli" };
}
