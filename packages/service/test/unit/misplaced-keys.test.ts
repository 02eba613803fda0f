import { afterEach, describe, expect, test } from "vitest";
import { ImportedPrefixes } from "../../src/auth/verify/imported-prefixes.ts";
import type { Queryable } from "../../src/db/database.ts";
import { hideImported, hideKeys, urlSeemsToHoldImportedKey } from "../../src/redaction/key-redaction.ts";
import { PrefixSet } from "../../src/redaction/prefix-set.ts";

const prefixes = ["acme_", "acme_live_", "zeta-", "x.y"];
const key = "0123456789abcdefWXYZ";

afterEach(() => hideImported(new PrefixSet([])));

describe("imported keys in a text", () => {
  test.each([
    `acme_${key}`,
    `acme_live_${key}`,
    `key=zeta-${key}, and more`,
    `https://host/zeta-${key}?a=b`,
    `a.zeta-${key}`,
    `"x.y${key}"`,
    `one/x.y${key}/two`,
    `zeta-${key} acme_${key}`,
  ])("are masked: %s", (text) => {
    hideImported(new PrefixSet(prefixes));
    expect(hideKeys(text)).not.toContain(key);
    expect(hideKeys(text)).toContain("…");
  });

  test.each(["acme_corporation", "prod-zeta-0123456789abc", "acme_1234567", "xzy0123456789", ""])(
    "are not taken for such: %s",
    (text) => {
      hideImported(new PrefixSet(prefixes));
      expect(hideKeys(text)).toBe(text);
    },
  );

  test("the text around them stays", () => {
    hideImported(new PrefixSet(prefixes));
    expect(hideKeys(`before zeta-${key} between acme_${key}; after`)).toMatch(
      /^before zeta\S+ between acme\S+; after$/,
    );
  });
});

test("a URL of any length is searched for imported keys in a bounded time: its first 1,000 characters", () => {
  hideImported(new PrefixSet(prefixes));
  const filler = "/x".repeat(300);
  expect(urlSeemsToHoldImportedKey(`${filler}/acme_${key}?a`)).toBe(true);
  expect(urlSeemsToHoldImportedKey(`${filler}?a=acme%255F${key}`)).toBe(true);
  expect(urlSeemsToHoldImportedKey(`${filler}${filler}/acme_${key}`)).toBe(false);
  expect(urlSeemsToHoldImportedKey("/v1/acme_corporation")).toBe(false);
});

test("a URL may hold an imported key wherever a word begins in it", async () => {
  const rows = prefixes.map((imported_prefix) => ({ imported_prefix }));
  const known = new ImportedPrefixes({ query: async () => ({ rows, rowCount: rows.length }) } as unknown as Queryable);
  expect(known.mayBeIn(`/v1/keys/acme_${key}`)).toBe(false);
  await known.open();
  for (const url of [
    `/v1/keys/acme_${key}`,
    `/v1/audit?action=%20zeta-${key}`,
    `/v1/audit?a=1&b=zeta-${key}`,
    `/v1/audit?a=%5Bzeta-${key}`,
    `/v1/audit?a=.zeta-${key}`,
    `/v1/audit?a=acme%5F${key}`,
    `/v1/audit?a=%2561cme_${key}`,
    `/x.y${key}`,
  ]) {
    expect(known.mayBeIn(url), url).toBe(true);
  }
  for (const url of ["/v1/keys?limit=10", "/v1/projects/azeta-1", "/"]) expect(known.mayBeIn(url), url).toBe(false);
});
