import { expect, test } from "vitest";
import { bytesOf, TextBuffers } from "../../src/logs/engines/postgres/text-buffers.ts";

const long = (letter: string) => [letter.repeat(60_000), letter.repeat(40_000)];

test("texts come back as their bytes, whatever they are and how long", () => {
  const buffers = new TextBuffers();
  const sizes = [0, 1, 16 * 1024, 170_000, 174_763, 262_144, 262_145, 524_289, 2_000_000];
  for (const text of sizes.flatMap((size) => ["a", "é", "€", "😀"].map((letter) => letter.repeat(size)))) {
    for (const texts of [[text], ["", text, "é", text]]) {
      const bytes = buffers.take(texts);
      expect(bytes.equals(Buffer.from(texts.join("")))).toBe(true);
      buffers.give(bytes);
    }
  }
});

test("what was given back is used again, and nothing before", () => {
  const buffers = new TextBuffers();
  const [first, second] = [buffers.take(long("a")), buffers.take(long("b"))];
  buffers.give(first);
  const third = buffers.take(long("c"));
  expect(third.buffer).toBe(first.buffer);
  expect(second.equals(bytesOf(long("b")))).toBe(true);
  expect(third.equals(bytesOf(long("c")))).toBe(true);
});

test("what was dropped is nobody's, also when it is given back later; and nothing is given back twice", () => {
  const buffers = new TextBuffers();
  const dropped = buffers.take(long("a"));
  buffers.drop(dropped);
  buffers.give(dropped);
  const given = buffers.take(long("b"));
  buffers.give(given);
  buffers.give(given);
  const [first, second] = [buffers.take(long("c")), buffers.take(long("d"))];
  expect(new Set([dropped, first, second].map((bytes) => bytes.buffer)).size).toBe(3);
  expect(dropped.equals(bytesOf(long("a")))).toBe(true);
});

test("however many are taken, only some are kept", () => {
  const buffers = new TextBuffers();
  const letters = Array.from({ length: 100 }, (_, place) => String.fromCodePoint(0x4e00 + place));
  const taken = letters.map((letter) => buffers.take(long(letter)));
  for (const [place, bytes] of taken.entries())
    expect(bytes.equals(bytesOf(long(letters[place] as string)))).toBe(true);
  for (const bytes of taken) buffers.give(bytes);
  const again = Array.from({ length: 100 }, () => buffers.take(long("a")));
  const known = new Set(taken.map((bytes) => bytes.buffer));
  expect(again.filter((bytes) => known.has(bytes.buffer)).length).toBe(32);
});
