import { randomBytes } from "node:crypto";
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
  for (const name of ["DATABASE_URL", "SAZABI_KEY_PEPPER", "SAZABI_MASTER_KEY"]) {
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
