import { expect, test } from "vitest";
import { KeyCache } from "../../src/auth/verify/cache.ts";
import { CachedKey } from "../../src/auth/verify/cached-key.ts";
import { digestOf } from "../../src/auth/verify/digest.ts";

const maxKeys = 100_000;

function knownKey(id: string, organizationId = "organization"): CachedKey {
  return new CachedKey({
    id,
    organizationId,
    kind: "secret",
    name: id,
    projectId: undefined,
    projectNumber: undefined,
    scopes: ["*"],
    requestsPerMinute: undefined,
    allowedAddresses: [],
    addresses: undefined,
    origins: undefined,
    expiresAtMs: undefined,
    revoked: false,
    generation: 1,
    retiresAtMs: undefined,
  });
}

function fill(cache: KeyCache, text: string, key: CachedKey): boolean {
  return cache.fill(cache.ticket(0), digestOf(text), key);
}

const find = (cache: KeyCache, text: string) => cache.get(digestOf(text));

test("a full cache makes room by forgetting the key that came first, with both of its secrets", () => {
  const cache = new KeyCache();
  const rotated = knownKey("rotated");
  fill(cache, "its first secret", rotated);
  fill(cache, "another key", knownKey("another"));
  fill(cache, "its second secret", rotated);
  for (let n = 3; n < maxKeys; n++) fill(cache, `key ${n}`, knownKey(`${n}`));
  expect(find(cache, "its first secret")).toBe(rotated);
  fill(cache, "one more", knownKey("one more"));
  expect(find(cache, "its first secret")).toBeUndefined();
  expect(find(cache, "its second secret")).toBeUndefined();
  expect(find(cache, "another key")?.keyId).toBe("another");
  expect(find(cache, "one more")?.keyId).toBe("one more");
  expect(find(cache, `key ${maxKeys - 1}`)?.keyId).toBe(`${maxKeys - 1}`);
});

test("a key that changed is forgotten under all of its secrets; an organization, with all of its keys; others stay", () => {
  const cache = new KeyCache();
  const rotated = knownKey("rotated", "ours");
  fill(cache, "first", rotated);
  fill(cache, "second", rotated);
  fill(cache, "sister", knownKey("sister", "ours"));
  fill(cache, "stranger", knownKey("stranger", "theirs"));
  cache.forget({ seq: 1, keyId: "rotated" });
  expect(["first", "second", "sister", "stranger"].map((text) => find(cache, text)?.keyId)).toEqual([
    undefined,
    undefined,
    "sister",
    "stranger",
  ]);
  cache.forget({ seq: 2, organizationId: "ours" });
  expect(find(cache, "sister")).toBeUndefined();
  expect(find(cache, "stranger")?.keyId).toBe("stranger");
  cache.forgetAll();
  expect(find(cache, "stranger")).toBeUndefined();
});

test("a fill that began before its key changed does not land", () => {
  const cache = new KeyCache();
  const early = cache.ticket(0);
  cache.forget({ seq: 1, keyId: "key" });
  expect(cache.fill(early, digestOf("secret"), knownKey("key"))).toBe(false);
  expect(find(cache, "secret")).toBeUndefined();
  expect(cache.fill(cache.ticket(1), digestOf("secret"), knownKey("key"))).toBe(true);
  expect(find(cache, "secret")?.keyId).toBe("key");
});
