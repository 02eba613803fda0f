import { expect, test } from "vitest";
import { originList, parseOriginPattern } from "../../src/net/origins.ts";

test.each([
  ["https://app.example.com", "https://app.example.com"],
  ["HTTPS://App.Example.com:443/", "https://app.example.com"],
  ["http://localhost:3000", "http://localhost:3000"],
  ["https://*.example.com", "https://*.example.com"],
  ["https://*.Example.com:8443", "https://*.example.com:8443"],
  ["https://app.example.com/path", undefined],
  ["https://user@app.example.com", undefined],
  ["https://*.com", undefined],
  ["https://*.127.0.0.1", undefined],
  ["https://*", undefined],
  ["https://a*.example.com", undefined],
  ["https://*.*.example.com", undefined],
  ["app.example.com", undefined],
  ["capacitor://localhost", undefined],
  ["null", undefined],
  ["*", undefined],
])("the origin %s is %s", (text, pattern) => {
  expect(parseOriginPattern(text)).toBe(pattern);
});

test("an exact origin is that one; a wildcard is every subdomain, by the same scheme and port, and not the domain", () => {
  const list = originList(["https://app.example.org", "https://*.example.com"]);
  const allowed = ["https://app.example.org", "https://a.example.com", "https://a.b.example.com"];
  const refused = [
    "http://app.example.org",
    "https://app.example.org:8443",
    "https://example.com",
    "http://a.example.com",
    "https://a.example.com:8443",
    "https://evilexample.com",
    "https://evil.org/.example.com",
    "https://*.example.com",
    "https://.example.com",
    "https://a.example.com.evil.org",
    "null",
    "",
  ];
  expect(allowed.filter((origin) => !list.has(origin))).toEqual([]);
  expect(refused.filter((origin) => list.has(origin))).toEqual([]);
});
