import { describe, expect, test } from "vitest";
import { forwardedAddress } from "../../src/http/client-address.ts";
import {
  addressList,
  isWithin,
  parseAddress,
  parseAddressRange,
  peerAddress,
  subscriberBlock,
} from "../../src/net/ip-ranges.ts";

test.each([
  ["192.0.2.1", "192.0.2.1"],
  ["::ffff:192.0.2.1", "192.0.2.1"],
  ["::FFFF:c000:201", "192.0.2.1"],
  ["0:0:0:0:0:ffff:192.0.2.1", "192.0.2.1"],
  ["2001:DB8:0:0:0:0:0:1", "2001:db8::1"],
  ["::1", "::1"],
  ["192.0.2.01", undefined],
  ["192.0.2.256", undefined],
  ["fe80::1%eth0", undefined],
  ["localhost", undefined],
  ["", undefined],
])("the address %s is %s", (text, address) => {
  expect(parseAddress(text)).toBe(address);
});

test.each([
  ["10.0.0.0/8", "10.0.0.0/8"],
  [" 10.0.0.5 ", "10.0.0.5"],
  ["::ffff:10.0.0.0/104", "10.0.0.0/8"],
  ["2001:db8::/32", "2001:db8::/32"],
  ["0.0.0.0/0", "0.0.0.0/0"],
  ["10.0.0.0/33", undefined],
  ["10.0.0.0/-1", undefined],
  ["10.0.0.0/", undefined],
  ["10.0.0.0/8/8", undefined],
  ["10.0.0.0/255.0.0.0", undefined],
  ["::ffff:10.0.0.0/95", undefined],
  ["2001:db8::/129", undefined],
  ["*", undefined],
])("the range %s is %s", (text, range) => {
  expect(parseAddressRange(text)).toBe(range);
});

test("a list holds what its addresses and networks hold, and nothing that is no address", () => {
  const list = addressList(["10.1.2.3/8", "203.0.113.9", "2001:db8::/32"]);
  const inside = ["10.255.0.1", "203.0.113.9", "2001:db8:ffff::1"];
  const outside = ["11.0.0.1", "203.0.113.8", "2001:db9::1", "::1", "unknown", ""];
  expect([...inside, ...outside].map((address) => list.has(address))).toEqual([
    ...inside.map(() => true),
    ...outside.map(() => false),
  ]);
});

test.each([
  ["10.1.0.0/16", ["10.0.0.0/8"], true],
  ["10.0.0.0/8", ["10.0.0.0/8"], true],
  ["10.0.0.0/7", ["10.0.0.0/8"], false],
  ["10.1.1.1", ["192.0.2.1", "10.0.0.0/8"], true],
  ["2001:db8:1::/48", ["2001:db8::/32"], true],
  ["2001:db8::/32", ["0.0.0.0/0"], false],
])("%s is within %s: %s", (range, ranges, within) => {
  expect(isWithin(range, ranges)).toBe(within);
});

test("a peer's IPv4 address is written as one, and a zone is not part of an address", () => {
  expect(["::ffff:127.0.0.1", "127.0.0.1", "fe80::1%eth0", undefined].map(peerAddress)).toEqual([
    "127.0.0.1",
    "127.0.0.1",
    "fe80::1",
    "unknown",
  ]);
});

test("addresses of one IPv6 /64 are one subscriber, IPv4 addresses are one each", () => {
  const same = ["2001:db8:1:2::1", "2001:db8:1:2:ffff::", "2001:db8:1:2:3:4:5:6"].map(subscriberBlock);
  expect(new Set(same).size).toBe(1);
  const different = ["2001:db8:1:3::1", "2001:db8::1", "::1", "192.0.2.1", "192.0.2.2"].map(subscriberBlock);
  expect(new Set([...different, same[0]]).size).toBe(6);
});

describe("behind proxies of 10.0.0.0/8", () => {
  const proxies = addressList(["10.0.0.0/8"]);

  test.each([
    ["no proxy: whatever it claims, the peer is the client", "203.0.113.9", "198.51.100.1", "203.0.113.9"],
    ["one proxy: whom it names", "10.0.0.1", "203.0.113.9", "203.0.113.9"],
    ["no header from the proxy: the proxy", "10.0.0.1", undefined, "10.0.0.1"],
    ["what the client put on the left is not believed", "10.0.0.1", "127.0.0.1, 203.0.113.9", "203.0.113.9"],
    ["two proxies: the first that is none of ours", "10.0.0.1", "1.1.1.1,203.0.113.9, 10.0.0.2", "203.0.113.9"],
    ["only proxies: the farthest of them", "10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3"],
    ["a port is left away", "10.0.0.1", "203.0.113.9:52100", "203.0.113.9"],
    ["an IPv6 address with a port", "10.0.0.1", "[2001:db8::1]:443", "2001:db8::1"],
    ["an IPv4 address in IPv6 clothing", "10.0.0.1", "::ffff:203.0.113.9", "203.0.113.9"],
    ["what is no address ends the walk", "10.0.0.1", "203.0.113.9, unknown", "10.0.0.1"],
    ["also behind a proxy", "10.0.0.1", "203.0.113.9, <script>, 10.0.0.2", "10.0.0.2"],
    ["an empty entry ends the walk", "10.0.0.1", "203.0.113.9,", "10.0.0.1"],
  ])("%s", (_, peer, forwardedFor, client) => {
    expect(forwardedAddress(peer, forwardedFor, proxies)).toBe(client);
  });
});
