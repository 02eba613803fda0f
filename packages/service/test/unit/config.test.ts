import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { readConfig } from "../../src/config.ts";

const pair = (version: number, bytes = 32) => `${version}:${randomBytes(bytes).toString("base64")}`;

test("nothing set is a configuration that runs on this machine alone", () => {
  expect(readConfig({})).toMatchObject({
    host: "127.0.0.1",
    port: 4600,
    databaseUrl: undefined,
    keyPepper: undefined,
    logRetentionDays: 30,
  });
});

test("an empty variable counts as not set", () => {
  expect(readConfig({ PORT: "", HOST: " ", DATABASE_URL: "", SAZABI_LOG_RETENTION: "" }).port).toBe(4600);
});

test("what is set for the command line in the same shell does not stop the service", () => {
  const page = readFileSync(new URL("../../../../docs/cli.md", import.meta.url), "utf8");
  const names = new Set(page.match(/\bSAZABI_[A-Z_]+\b/g));
  expect(names).toContain("SAZABI_CA_FILE");
  for (const name of names) expect(() => readConfig({ [name]: "something" })).not.toThrow(`${name} is not a variable`);
});

test("the newest version of a keyring comes first", () => {
  const { keyPepper } = readConfig({ SAZABI_KEY_PEPPER: `${pair(2)},${pair(1)}` });
  expect(keyPepper?.current.version).toBe(2);
  expect(keyPepper?.entries.map(({ version }) => version)).toEqual([2, 1]);
});

test.each([
  ["PORT", "http"],
  ["PORT", "65536"],
  ["PORT", "-1"],
  ["DATABASE_URL", "mysql://localhost/x"],
  ["DATABASE_URL", "postgres://[bad"],
  ["REDIS_URL", "cache:6379"],
  ["SAZABI_LOG_STORE", "http://logs:8123"],
  ["SAZABI_LOG_STORE", "clickhouse://"],
  ["SAZABI_LOG_STORE", "clickhouse://u:p%zz@logs:8123/default"],
  ["SAZABI_LOG_STORE", "clickhouse://logs:8123/a/b"],
  ["SAZABI_LOG_STORE", "clickhouse://logs:8123/logs?secure=true"],
  ["SAZABI_LOG_RETENTION", "30"],
  ["SAZABI_LOG_RETENTION", "0d"],
  ["SAZABI_KEY_PEPPER", "secret"],
  ["SAZABI_KEY_PEPPER", pair(1, 16)],
  ["SAZABI_KEY_PEPPER", `${pair(1)},${pair(1)}`],
  ["SAZABI_KEY_PEPPER", pair(0)],
  ["SAZABI_MASTER_KEY", "1:"],
  ["SAZABI_DATADIR", "/tmp"],
])("%s=%s stops the start and is named", (name, value) => {
  expect(() => readConfig({ [name]: value })).toThrow(new RegExp(`^${name}`));
});

test("a value that may hold a secret is not repeated", () => {
  for (const name of ["DATABASE_URL", "REDIS_URL", "SAZABI_KEY_PEPPER", "SAZABI_LOG_STORE", "SAZABI_MASTER_KEY"]) {
    let message = "";
    try {
      readConfig({ [name]: "hunter2 hunter2" });
    } catch (error) {
      message = (error as Error).message;
    }
    expect(message).toContain(name);
    expect(message).not.toContain("hunter2");
  }
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

test("Redis is named by its URL, with TLS or without", () => {
  expect(readConfig({ REDIS_URL: "rediss://u:p@cache:6380/1" }).redisUrl).toBe("rediss://u:p@cache:6380/1");
});

test("ClickHouse is named by one URL, with TLS or without; user and password leave it", () => {
  const storeOf = (value: string) => readConfig({ SAZABI_LOG_STORE: value }).logStore;
  expect(storeOf("clickhouse://me:p%40ss%2Fword@logs/sazabi")).toEqual({
    url: "http://logs:8123",
    user: "me",
    password: "p@ss/word",
    database: "sazabi",
  });
  expect(storeOf("clickhouses://logs")).toEqual({
    url: "https://logs:8443",
    user: "default",
    password: "",
    database: "default",
  });
  expect(storeOf("clickhouse://u:p@[::1]:9000")).toMatchObject({ url: "http://[::1]:9000" });
  expect(readConfig({}).logStore).toBeUndefined();
});
