import { type AddressList, parseAddress } from "../net/ip-ranges.ts";

/**
 * Where a request comes from: the right-most entry of `X-Forwarded-For` that is not one of our proxies. An entry is
 * believed only when a proxy of ours wrote it, so what a client puts on the left never counts; one that is no address
 * ends the walk, and the proxy that sent it is the client.
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

/** An address, or one with a port as some proxies write it: `192.0.2.1:5000`, `[2001:db8::1]:5000`. */
function readEntry(entry: string): string | undefined {
  const withPort = /^\[([^\]]+)\](?::\d{1,5})?$/.exec(entry) ?? /^([^:]+):\d{1,5}$/.exec(entry);
  return parseAddress(withPort?.[1] ?? entry);
}
