import { BlockList, isIP, isIPv4, isIPv6 } from "node:net";

/*
 * IP addresses and networks as people and headers write them. An IPv4-mapped IPv6 address
 * (`::ffff:192.0.2.1`) is always treated as the IPv4 address.
 */

export interface AddressList {
  /** `address` must be a result of `parseAddress` or `peerAddress`; other texts are in no list. */
  has(address: string): boolean;
}

/** Returns the canonical text of an address; undefined for an invalid one. Zone ids (`fe80::1%eth0`) are rejected. */
export function parseAddress(text: string): string | undefined {
  if (isIPv4(text)) return text;
  if (!isIPv6(text) || text.includes("%")) return undefined;
  // In the host of a URL, an IPv6 address has its canonical form (RFC 5952, but without dots).
  const canonical = new URL(`http://[${text}]/`).hostname.slice(1, -1);
  const mapped = /^::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})$/.exec(canonical);
  return mapped ? dotted(mapped[1] as string, mapped[2] as string) : canonical;
}

/** Returns the canonical text of an address or of a network such as `10.0.0.0/8`; undefined for any other text. */
export function parseAddressRange(text: string): string | undefined {
  const [address = "", bits, ...rest] = text.trim().split("/");
  const canonical = parseAddress(address);
  if (!canonical || rest.length > 0) return undefined;
  if (bits === undefined) return canonical;
  const given = /^\d{1,3}$/.test(bits) ? Number(bits) : Number.NaN;
  // The prefix length of a mapped IPv4 network counts the bits of IPv6.
  const prefix = isIPv4(canonical) && isIPv6(address) ? given - 96 : given;
  return prefix >= 0 && prefix <= bitsOf(canonical) ? `${canonical}/${prefix}` : undefined;
}

/** Builds a list for repeated look-ups. `ranges` must be results of `parseAddressRange`. */
export function addressList(ranges: readonly string[]): AddressList {
  const list = new BlockList();
  for (const range of ranges) {
    const { address, prefix } = splitRange(range);
    list.addSubnet(address, prefix, familyOf(address));
  }
  return { has: (address) => isIP(address) !== 0 && list.check(address, familyOf(address)) };
}

/** Returns whether every address of `range` is in one of `ranges`. */
export function isWithin(range: string, ranges: readonly string[]): boolean {
  const { address, prefix } = splitRange(range);
  const wideEnough = ranges.filter((outer) => {
    const parts = splitRange(outer);
    return bitsOf(parts.address) === bitsOf(address) && parts.prefix <= prefix;
  });
  return addressList(wideEnough).has(address);
}

/** Returns the canonical text of a socket's `remoteAddress`: removes its IPv4 mapping and its zone. */
export function peerAddress(remoteAddress: string | undefined): string {
  if (remoteAddress === undefined) return "unknown";
  if (remoteAddress.startsWith("::ffff:") && remoteAddress.includes(".")) return remoteAddress.slice(7);
  const zone = remoteAddress.indexOf("%");
  return zone === -1 ? remoteAddress : remoteAddress.slice(0, zone);
}

/**
 * Returns the block of one subscriber: an IPv4 address, or the /64 of an IPv6 address. The text is the
 * same for all addresses of the block.
 */
export function subscriberBlock(address: string): string {
  // Most addresses have no colon, and this test is faster than parsing.
  if (!address.includes(":") || !isIPv6(address)) return address;
  const [head = "", tail] = address.split("::");
  const before = head === "" ? [] : head.split(":");
  const after = tail ? tail.split(":") : [];
  const zeros = tail === undefined ? 0 : 8 - before.length - after.length;
  return [...before, ...Array(zeros).fill("0"), ...after].slice(0, 4).join(":");
}

function splitRange(range: string): { address: string; prefix: number } {
  const [address = "", prefix] = range.split("/");
  return { address, prefix: prefix === undefined ? bitsOf(address) : Number(prefix) };
}

function bitsOf(address: string): 32 | 128 {
  return isIPv4(address) ? 32 : 128;
}

function familyOf(address: string): "ipv4" | "ipv6" {
  return isIPv4(address) ? "ipv4" : "ipv6";
}

/** `c0a8`, `1` → `192.168.0.1` */
function dotted(high: string, low: string): string {
  const groups = [Number.parseInt(high, 16), Number.parseInt(low, 16)];
  return groups.flatMap((group) => [group >> 8, group & 255]).join(".");
}
