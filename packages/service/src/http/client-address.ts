import { type AddressList, parseAddress } from "../net/ip-ranges.ts";

/**
 * Returns the address of the client: the right-most entry of `X-Forwarded-For` that is not a trusted
 * proxy. An entry counts only when a trusted proxy wrote it, so entries that a client adds on the left
 * are ignored. The search stops at an entry that is not an address; the proxy that sent it is then the
 * client.
 */
export function forwardedAddress(peer: string, forwardedFor: string | undefined, trusted: AddressList): string {
  if (forwardedFor === undefined) return peer;
  const entries = forwardedFor.split(",");
  let client = peer;
  for (let last = entries.length - 1; last >= 0 && trusted.has(client); last--) {
    const reported = readEntry((entries[last] as string).trim());
    if (reported === undefined) break;
    client = reported;
  }
  return client;
}

/** Parses an address, or an address with a port as some proxies write it: `192.0.2.1:5000`, `[2001:db8::1]:5000`. */
function readEntry(entry: string): string | undefined {
  const withPort = /^\[([^\]]+)\](?::\d{1,5})?$/.exec(entry) ?? /^([^:]+):\d{1,5}$/.exec(entry);
  return parseAddress(withPort?.[1] ?? entry);
}
