import { expect, test } from "vitest";
import { readConfig } from "../../src/config.ts";

test("without variables nobody's X-Forwarded-For is believed, and limits are not shared", () => {
  expect(readConfig({})).toMatchObject({ trustedProxies: undefined, redisUrl: undefined });
});

test("trusted proxies are addresses, networks, and the word loopback", () => {
  const { trustedProxies } = readConfig({ SAZABI_TRUSTED_PROXIES: "loopback, 10.0.0.0/8,2001:db8::1" });
  const trusted = ["127.0.0.1", "127.9.9.9", "::1", "10.2.3.4", "2001:db8::1"];
  expect(trusted.map((address) => trustedProxies?.has(address))).toEqual(trusted.map(() => true));
  expect(trustedProxies?.has("192.0.2.1")).toBe(false);
});

test.each(["10.0.0.0/99", "proxy.internal", "10.0.0.1,,10.0.0.2", "true", "1"])(
  "SAZABI_TRUSTED_PROXIES=%s stops the start, naming the variable",
  (value) => {
    expect(() => readConfig({ SAZABI_TRUSTED_PROXIES: value })).toThrow(/^SAZABI_TRUSTED_PROXIES must be /);
  },
);

test("Redis is named by its URL, with TLS or without", () => {
  expect(readConfig({ REDIS_URL: "rediss://u:p@cache:6380/1" }).redisUrl).toBe("rediss://u:p@cache:6380/1");
});

test("without variables nobody's X-Forwarded-For is believed, and limits are not shared", () => {
  expect(readConfig({})).toMatchObject({ trustedProxies: undefined, redisUrl: undefined });
});

test("trusted proxies are addresses, networks, and the word loopback", () => {
  const { trustedProxies } = readConfig({ SAZABI_TRUSTED_PROXIES: "loopback, 10.0.0.0/8,2001:db8::1" });
  const trusted = ["127.0.0.1", "127.9.9.9", "::1", "10.2.3.4", "2001:db8::1"];
  expect(trusted.map((address) => trustedProxies?.has(address))).toEqual(trusted.map(() => true));
  expect(trustedProxies?.has("192.0.2.1")).toBe(false);
});

test.each(["10.0.0.0/99", "proxy.internal", "10.0.0.1,,10.0.0.2", "true", "1"])(
  "SAZABI_TRUSTED_PROXIES=%s stops the start, naming the variable",
  (value) => {
    expect(() => readConfig({ SAZABI_TRUSTED_PROXIES: value })).toThrow(/^SAZABI_TRUSTED_PROXIES must be /);
  },
);

test("a REDIS_URL that is none stops the start without repeating it", () => {
  expect(readConfig({ REDIS_URL: "rediss://u:p@cache:6380/1" }).redisUrl).toBe("rediss://u:p@cache:6380/1");
  expect(() => readConfig({ REDIS_URL: "cache:6379?password=hunter2" })).toThrow(
    /^REDIS_URL must look like (?!.*hunter2)/,
  );
});
