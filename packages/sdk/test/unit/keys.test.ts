import { randomInt } from "node:crypto";
import { readFileSync } from "node:fs";
import { crc32 } from "node:zlib";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  inspectKey,
  type KeyKind,
  type KeyStyle,
  makeKey,
  maskKey,
  maskOf,
  parseKey,
} from "../../src/protocol/index.ts";

const kinds: readonly (readonly [KeyKind, KeyStyle, string])[] = [
  ["secret", "live", "sk_live_"],
  ["public", "live", "pk_live_"],
  ["secret", "sazabi", "sazabi_secret_"],
  ["public", "sazabi", "sazabi_public_"],
];
const make = (kind: KeyKind, style: KeyStyle) => makeKey(kind, style, (below) => randomInt(below));
const anyKey = fc.constantFrom(...kinds).map(([kind, style]) => make(kind, style));

describe.each(kinds)("a %s key of style %s", (kind, style, prefix) => {
  test("begins with its prefix and is recognised", () => {
    const key = make(kind, style);
    expect(key.startsWith(prefix)).toBe(true);
    expect(parseKey(key)).toEqual({ kind, style, key });
    expect(inspectKey(key)).toEqual({ valid: true, kind, style, masked: `${prefix}…${key.slice(-4)}` });
  });

  test("ends with the CRC-32 of what precedes", () => {
    const key = make(kind, style);
    const [length, base, digits] = style === "live" ? ([6, 62, "base62"] as const) : ([8, 16, "hex"] as const);
    const alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    const value = [...key.slice(-length)].reduce(
      (sum, digit) => sum * base + (digits === "hex" ? Number.parseInt(digit, 16) : alphabet.indexOf(digit)),
      0,
    );
    expect(value).toBe(crc32(key.slice(0, -length)));
  });

  test("is not recognised once any one character is another", () => {
    const key = make(kind, style);
    for (let place = 0; place < key.length; place++) {
      for (const wrong of ["a", "B", "7", "_", " ", "é"]) {
        if (key[place] === wrong) continue;
        expect(parseKey(key.slice(0, place) + wrong + key.slice(place + 1))).toBeUndefined();
      }
    }
  });
});

test("a public key of style sazabi has exactly 32 lower-case hex digits, as published senders demand", () => {
  expect(make("public", "sazabi")).toMatch(/^sazabi_public_[0-9a-f]{32}$/);
});

test("two neighbours swapped, a character lost or added: none is a key", () => {
  fc.assert(
    fc.property(anyKey, fc.nat(60), (key, at) => {
      const place = 8 + (at % (key.length - 10));
      const swapped = key.slice(0, place) + key[place + 1] + key[place] + key.slice(place + 2);
      if (swapped !== key) expect(parseKey(swapped)).toBeUndefined();
      expect(parseKey(key.slice(0, place) + key.slice(place + 1))).toBeUndefined();
      expect(parseKey(`${key.slice(0, place)}x${key.slice(place)}`)).toBeUndefined();
    }),
  );
});

test("no text makes parsing throw, and none but a key is one", () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string({ unit: "binary" }),
        fc.string().map((text) => `sk_live_${text}`),
      ),
      (text) => {
        expect(parseKey(text)).toBeUndefined();
        expect(inspectKey(text).valid).toBe(false);
      },
    ),
    { numRuns: 2000 },
  );
});

test("what is wrong with a text is told apart", () => {
  const key = make("secret", "live");
  expect(inspectKey("hello")).toMatchObject({ valid: false, fault: "other" });
  expect(inspectKey(key.slice(0, -1))).toMatchObject({ fault: "length", kind: "secret", style: "live" });
  expect(inspectKey(`${key.slice(0, -1)}-`)).toMatchObject({ fault: "alphabet" });
  expect(inspectKey(key.slice(0, -1) + (key.endsWith("a") ? "b" : "a"))).toMatchObject({ fault: "checksum" });
});

test("a masked key shows its prefix and four characters, and of other text next to nothing", () => {
  fc.assert(
    fc.property(anyKey, (key) => {
      const masked = maskKey(key);
      const parsed = parseKey(key);
      expect(masked).toBe(maskOf(parsed?.kind as KeyKind, parsed?.style as KeyStyle, key.slice(-4)));
    }),
  );
  expect(maskKey("hunter2")).toBe("…");
  expect(maskKey("correct horse battery")).toBe("corr…");
  expect(maskKey("sk_live_short")).toBe("sk_live_…");
});

test("keys are unlike each other, over the whole alphabet", () => {
  const keys = Array.from({ length: 2000 }, () => make("secret", "live"));
  expect(new Set(keys).size).toBe(keys.length);
  const seen = new Set(keys.flatMap((key) => [...key.slice(8, 38)]));
  expect(seen.size).toBe(62);
});

test("each expression of docs/secret-scanning.md finds the keys it is for, and no others", () => {
  const page = readFileSync(new URL("../../../../docs/secret-scanning.md", import.meta.url), "utf8");
  const rows = [...page.matchAll(/^\| (secret|public) key(, `sazabi` style)? \| `(.+)` \|$/gm)];
  expect(rows).toHaveLength(4);
  for (const [, kind, sazabi, expression] of rows) {
    const pattern = new RegExp(expression as string);
    for (const [otherKind, otherStyle] of kinds) {
      const found = pattern.test(`KEY="${make(otherKind, otherStyle)}"`);
      expect(found).toBe(otherKind === kind && otherStyle === (sazabi ? "sazabi" : "live"));
    }
  }
  const forTools = [...page.matchAll(/^.*?(sk_live_\[0-9A-Za-z\]\{36\}\|sazabi_secret_\[0-9a-f\]\{32\}).*$/gm)];
  expect(forTools).toHaveLength(3);
});
