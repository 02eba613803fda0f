import { randomBytes } from "node:crypto";
import { expect, test } from "vitest";
import { seal, unseal } from "../../src/crypto/envelope-encryption.ts";
import { newKeyring } from "../support/keyring.ts";

const master = newKeyring();

test("what was sealed comes back, and no two seals are alike", () => {
  for (const text of ["", "pk_live_x", "ü😀\0", "x".repeat(10_000)]) {
    const sealed = seal(master, "keys/1/value", text);
    expect(unseal(master, "keys/1/value", sealed)).toBe(text);
    expect(seal(master, "keys/1/value", text).equals(sealed)).toBe(false);
  }
});

test("the sealed bytes do not hold the text", () => {
  expect(seal(master, "a", "canary-canary").includes("canary")).toBe(false);
});

test("a value cannot be moved to another record", () => {
  expect(() => unseal(master, "keys/2/value", seal(master, "keys/1/value", "x"))).toThrow();
});

test("one changed bit anywhere is noticed", () => {
  const sealed = seal(master, "a", "hello");
  for (let place = 0; place < sealed.length; place++) {
    const altered = Buffer.from(sealed);
    altered[place] = (altered[place] as number) ^ 1;
    expect(() => unseal(master, "a", altered)).toThrow();
  }
  for (let length = 0; length < sealed.length; length++) {
    expect(() => unseal(master, "a", sealed.subarray(0, length))).toThrow();
  }
});

test("a retired master key still opens what it sealed; a missing one is named", () => {
  const sealed = seal(master, "a", "hello");
  const secret = randomBytes(32);
  const current = { version: 2, secret };
  expect(unseal({ current, entries: [current, master.current] }, "a", sealed)).toBe("hello");
  expect(() => unseal({ current, entries: [current] }, "a", sealed)).toThrow(/version 1/);
});
