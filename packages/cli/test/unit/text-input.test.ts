import { gzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { unpacked } from "../../src/intake/source.ts";
import { readText } from "../../src/intake/text-input.ts";

async function read(bytes: Uint8Array, step = 7): Promise<string> {
  async function* chunks() {
    for (let start = 0; start < bytes.length; start += step) yield bytes.subarray(start, start + step);
  }
  const read: Uint8Array[] = [];
  for await (const chunk of readText(chunks(), "app.log")) read.push(chunk);
  return Buffer.concat(read).toString();
}

const utf16 = (text: string) => Buffer.from(`\ufeff${text}`, "utf16le");
const tar = Buffer.concat([Buffer.from("a.log".padEnd(257, "\0")), Buffer.from("ustar\0"), Buffer.alloc(300)]);

describe("the input", () => {
  test("is decoded when it is UTF-16 with a mark, wherever it was cut", async () => {
    const text = "ERROR größer 😀\r\nnext\n";
    for (const step of [1, 3, 100]) {
      expect(await read(utf16(text), step)).toBe(text);
      expect(await read(Buffer.from(utf16(text)).swap16(), step)).toBe(text);
    }
  });

  test.each<[string, Buffer]>([
    ["text", Buffer.from("a\nb\n")],
    ["one byte", Buffer.from("a")],
    ["nothing", Buffer.alloc(0)],
    ["zeros before the first line", Buffer.concat([Buffer.alloc(5000), Buffer.from("line\n")])],
    ["colours and tabs", Buffer.from("\u001b[31m\ta\u001b[0m\n".repeat(50))],
    ["Latin-1", Buffer.from("\u00e4\u00f6\u00fc\n".repeat(50), "latin1")],
    ["a few control characters", Buffer.from("a\u0001b\n")],
  ])("is passed on as it is: %s", async (_, bytes) => {
    expect(await read(bytes, 10_000)).toBe(bytes.toString());
  });

  test.each<[string, Buffer, string]>([
    ["xz", Buffer.from("fd377a585a000004", "hex"), "xz -dc app.log | sazabi logs send"],
    ["zstd", Buffer.from("28b52ffd00", "hex"), "zstd -dc app.log"],
    ["bzip2", Buffer.from("BZh91AY&SYxx"), "bzip2 -dc app.log"],
    ["lz4", Buffer.from("04224d18", "hex"), "lz4 -dc app.log"],
    ["gzip", gzipSync("a\n"), "gzip -dc app.log"],
    ["a zip archive", Buffer.from("PK\u0003\u0004xx"), "unzip -p app.log"],
    ["a tar archive", tar, "tar -xOf app.log"],
    ["UTF-16 without a mark", utf16("some words in here\n").subarray(2), "iconv -f UTF-16 -t UTF-8 app.log"],
    ["a binary", Buffer.from(Array.from({ length: 4096 }, (_, place) => (place * 7919) % 256)), "Send lines of text"],
  ])("is refused with the way to unpack it: %s", async (_, bytes, hint) => {
    await expect(read(bytes, 10_000)).rejects.toMatchObject({ hint: expect.stringContaining(hint) });
  });

  test("is refused when an archive is inside gzip", async () => {
    async function* chunks() {
      yield gzipSync(tar);
    }
    const reading = (async () => {
      for await (const _ of readText(
        unpacked(chunks(), "a.tar.gz", () => {}),
        "a.tar.gz",
      ));
    })();
    await expect(reading).rejects.toThrow("a.tar.gz is a tar archive, not text.");
  });
});
