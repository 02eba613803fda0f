import { expect, test } from "vitest";
import { TextBuffers } from "../../src/logs/postgres/text-buffers.ts";

const long = (letter: string) => letter.repeat(100_000);

test("a text comes back as its bytes, whatever it is and how long", () => {
  const buffers = new TextBuffers();
  const sizes = [0, 1, 16 * 1024, 170_000, 174_763, 262_144, 262_145, 524_289, 2_000_000];
  for (const text of sizes.flatMap((size) => ["a", "é", "€", "😀"].map((letter) => letter.repeat(size)))) {
    const bytes = buffers.take(text);
    expect(bytes.equals(Buffer.from(text))).toBe(true);
    buffers.give(bytes);
  }
});

test("what was given back is used again, and nothing before", () => {
  const buffers = new TextBuffers();
  const [first, second] = [buffers.take(long("a")), buffers.take(long("b"))];
  buffers.give(first);
  const third = buffers.take(long("c"));
  expect(third.buffer).toBe(first.buffer);
  expect(second.equals(Buffer.from(long("b")))).toBe(true);
  expect(third.equals(Buffer.from(long("c")))).toBe(true);
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
  expect(dropped.equals(Buffer.from(long("a")))).toBe(true);
});

test("however many are taken, only some are kept", () => {
  const buffers = new TextBuffers();
  const taken = Array.from({ length: 100 }, (_, place) => buffers.take(long(String.fromCodePoint(0x4e00 + place))));
  for (const [place, bytes] of taken.entries())
    expect(bytes.toString()).toBe(long(String.fromCodePoint(0x4e00 + place)));
  for (const bytes of taken) buffers.give(bytes);
  const again = Array.from({ length: 100 }, () => buffers.take(long("a")));
  const known = new Set(taken.map((bytes) => bytes.buffer));
  expect(again.filter((bytes) => known.has(bytes.buffer)).length).toBe(32);
});
