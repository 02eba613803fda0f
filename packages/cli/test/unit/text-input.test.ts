import { gzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { unpacked } from "../../src/intake/source.ts";
import { readText } from "../../src/intake/text-input.ts";

async function read(bytes: Uint8Array, step = 7, name = "app.log"): Promise<string> {
  async function* chunks() {
    for (let start = 0; start < bytes.length; start += step) yield bytes.subarray(start, start + step);
  }
  const read: Uint8Array[] = [];
  for await (const chunk of readText(chunks(), name)) read.push(chunk);
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
    ["compress", Buffer.from("1f9d9061", "hex"), "gzip -dc app.log | sazabi logs send -"],
    ["pack", Buffer.from("1f1e0000", "hex"), "gzip -dc app.log"],
    ["lzip", Buffer.from("4c5a495001", "hex"), "lzip -dc app.log"],
    ["lzma", Buffer.from("5d00008000ffff", "hex"), "xz --format=lzma -dc app.log"],
    ["lzop", Buffer.from("894c5a4f000d0a1a0a", "hex"), "lzop -dc app.log"],
    ["a rar archive", Buffer.from("526172211a0701", "hex"), "unrar p -inul app.log"],
    ["a zip archive", Buffer.from("PK\u0003\u0004xx"), "unzip -p app.log"],
    ["a tar archive", tar, "tar -xOf app.log"],
    ["UTF-16 without a mark", utf16("some words in here\n").subarray(2), "iconv -f UTF-16 -t UTF-8 app.log"],
    ["a binary", Buffer.from(Array.from({ length: 4096 }, (_, place) => (place * 7919) % 256)), "Send lines of text"],
  ])("is refused with the way to unpack it: %s", async (_, bytes, hint) => {
    await expect(read(bytes, 10_000)).rejects.toMatchObject({ hint: expect.stringContaining(hint) });
  });

  const hintFor = (bytes: Uint8Array, name: string) =>
    read(bytes, 10_000, name).then(
      () => undefined,
      (error: { hint: string }) => error.hint,
    );

  test.each([
    ["my app.log.xz", "xz -dc 'my app.log.xz' | sazabi logs send -"],
    ["it's.xz", "xz -dc 'it'\\''s.xz' | sazabi logs send -"],
    ["/var/log/größer.xz", "xz -dc '/var/log/größer.xz' | sazabi logs send -"],
    ["stdin", "… | xz -dc | sazabi logs send -"],
  ])("is refused with a command line that works for %s", async (name, hint) => {
    expect(await hintFor(Buffer.from("fd377a585a000004", "hex"), name)).toBe(hint);
  });

  test("from stdin is refused with a command that reads stdin, or a file where there is none", async () => {
    expect(await hintFor(tar, "stdin")).toBe("… | tar -xOf - | sazabi logs send -");
    expect(await hintFor(Buffer.from("PK\u0003\u0004xx"), "stdin")).toBe("unzip -p FILE | sazabi logs send -");
    const utf16 = Buffer.from("some words in here\n", "utf16le");
    expect(await hintFor(utf16, "stdin")).toBe("… | iconv -f UTF-16 -t UTF-8 | sazabi logs send -");
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
