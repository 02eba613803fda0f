import { fold } from "@sazabi/sdk/protocol";
import fc from "fast-check";
import { expect, test } from "vitest";
import { bitsOfMessages } from "../../src/logs/engines/postgres/trigram-bloom.ts";

const characters = ["a", "B", "Z", " ", "é", "É", "ß", "ẞ", "ς", "Σ", "µ", "İ", "K", "😀", "1", "\0"];

test("a text has the bits of its folded form, and those of all that occurs in it", () => {
  const text = fc.string({ unit: fc.constantFrom(...characters), maxLength: 12 });
  fc.assert(
    fc.property(fc.array(text, { maxLength: 3 }), fc.nat(12), fc.nat(12), (messages, from, to) => {
      const bits = new Set(bitsOfMessages(messages));
      expect(new Set(bitsOfMessages(messages.map(fold)))).toEqual(bits);
      const part = Array.from(messages[0] ?? "")
        .slice(from, to)
        .join("");
      for (const bit of bitsOfMessages([part])) expect(bits.has(bit)).toBe(true);
    }),
    { numRuns: 2_000 },
  );
});
