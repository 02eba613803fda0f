import { spawnSync } from "node:child_process";
import { gzipSync } from "node:zlib";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { gunzip } from "../../src/intake/gzip.ts";

async function* pieces(bytes: Buffer, length: number) {
  for (let start = 0; start < bytes.length; start += length) yield bytes.subarray(start, start + length);
}

/** What comes out, and how it ends. */
async function unpack(bytes: Buffer, length = 65_536) {
  const out: Uint8Array[] = [];
  let [end, hasTrailing] = ["whole", false];
  const onTrailingBytes = () => {
    hasTrailing = true;
  };
  try {
    const report = { onTrailingBytes };
    for await (const chunk of gunzip(pieces(bytes, length), report)) out.push(chunk);
  } catch (error) {
    end = (error as Error).message;
  }
  return { text: Buffer.concat(out).toString("latin1"), end, hasTrailing };
}

function bySystem(bytes: Buffer) {
  const { status, stdout } = spawnSync("gzip", ["-dc"], { input: bytes, maxBuffer: 1e8 });
  return { text: stdout.toString("latin1"), status };
}

const member = (lines: number) => gzipSync(Array.from({ length: lines }, (_, i) => `line ${i * 7919}\n`).join(""));

/** With other bytes four places long, so far from the end. */
function overwritten(packed: Buffer, from: number): Buffer {
  return packed.fill(1, packed.length + from, packed.length + from + 4);
}

/** With an extra field, a name, a comment and a checksum of the header: no tool of today writes them all. */
function withLongHeader(packed: Buffer): Buffer {
  const header = Buffer.from(packed.subarray(0, 10));
  header[3] = 2 + 4 + 8 + 16;
  const extra = Buffer.from([3, 0, 1, 2, 3]);
  return Buffer.concat([header, extra, Buffer.from("name\0comment\0"), Buffer.alloc(2), packed.subarray(10)]);
}

describe.skipIf(spawnSync("gzip", ["--version"]).status !== 0)("gzip is unpacked as by gunzip", () => {
  test.each([
    ["several members", [member(3000), member(1), member(0), member(3000)]],
    ["zeros after it", [member(10), Buffer.alloc(600)]],
    ["text after it", [member(3000), Buffer.from("trailing")]],
    ["text after zeros", [member(10), Buffer.alloc(5), Buffer.from("trailing")]],
    ["the first byte of a member after it", [member(3000), Buffer.from([0x1f])]],
    ["a member of another method after it", [member(10), Buffer.from([0x1f, 0x8b, 7, 0, 0, 0, 0, 0, 0, 0])]],
    ["a second member that is cut", [member(3000), member(3000).subarray(0, -20)]],
    ["a second member that is cut in its header", [member(3000), member(3000).subarray(0, 5)]],
    ["a cut trailer", [member(3000).subarray(0, -3)]],
    ["a wrong checksum", [overwritten(member(3000), -8)]],
    ["a wrong length", [overwritten(member(3000), -4)]],
  ])("%s", async (_, parts) => {
    const bytes = Buffer.concat(parts);
    const expected = bySystem(bytes);
    for (const length of [1, 100, 8192, 65_536]) {
      const { text, end, hasTrailing } = await unpack(bytes, length);
      expect(text).toBe(expected.text);
      // 2 is a warning, of what follows.
      expect({ isWhole: end === "whole", hasTrailing }).toEqual({
        isWhole: expected.status !== 1,
        hasTrailing: expected.status === 2,
      });
    }
  });

  const whole = Buffer.concat([member(2000), member(2000)]);

  test("cut anywhere it gives all that is there", async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 2, max: whole.length - 1 }), async (cut) => {
        const bytes = whole.subarray(0, cut);
        expect((await unpack(bytes)).text.startsWith(bySystem(bytes).text)).toBe(true);
      }),
      { numRuns: 25 },
    );
  });

  test("damage anywhere ends it with an error, after the same text as far as it goes", async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 2, max: whole.length - 1 }), fc.nat(255), async (place, byte) => {
        const bytes = Buffer.from(whole);
        bytes[place] = byte;
        const { text, end, hasTrailing } = await unpack(bytes);
        const expected = bySystem(bytes);
        const compared = Math.min(text.length, expected.text.length);
        expect(text.slice(0, compared)).toBe(expected.text.slice(0, compared));
        if (end === "whole" && !hasTrailing) expect(expected.status).toBe(0);
      }),
      { numRuns: 25 },
    );
  });
});

test("a header with every optional part is read over", async () => {
  expect(await unpack(withLongHeader(gzipSync("a\n")), 1)).toEqual({ text: "a\n", end: "whole", hasTrailing: false });
});
