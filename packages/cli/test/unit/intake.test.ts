import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { makeBatches, maxBatchBytes, maxBatchEntries } from "../../src/intake/batches.ts";
import { entryOf, guessLevel, leadingTime } from "../../src/intake/entry.ts";
import { maxLineBytes, readLines } from "../../src/intake/lines.ts";
import { unpacked } from "../../src/intake/source.ts";

async function* chunksOf(...chunks: readonly (string | Uint8Array)[]) {
  for (const chunk of chunks) yield Buffer.from(chunk as string);
}

async function linesOf(...chunks: readonly (string | Uint8Array)[]) {
  const lines: string[] = [];
  for await (const group of readLines(chunksOf(...chunks)))
    lines.push(...group.map(({ number, text }) => `${number}:${text}`));
  return lines;
}

describe("lines", () => {
  test("are the same wherever the input was cut into chunks", async () => {
    const cut = fc.tuple(fc.string({ unit: fc.constantFrom("a", "é", "😀", "\n", "\r\n", " ") }), fc.array(fc.nat(40)));
    await fc.assert(
      fc.asyncProperty(cut, async ([text, cuts]) => {
        const bytes = Buffer.from(text);
        const places = [0, ...cuts.map((place) => place % (bytes.length + 1)).sort((a, b) => a - b), bytes.length];
        const chunks = places.slice(1).map((end, i) => bytes.subarray(places[i], end));
        const expected = text
          .split("\n")
          .map((line, i) => ({ number: i + 1, line: line.replace(/\r$/, "") }))
          .filter(({ line }) => line.trim() !== "")
          .map(({ number, line }) => `${number}:${line}`);
        expect(await linesOf(...chunks)).toEqual(expected);
      }),
    );
  });

  test("need no line end at the end, and no byte order mark at the start", async () => {
    expect(await linesOf("\ufeffa\n\nb")).toEqual(["1:a", "3:b"]);
    expect(await linesOf("")).toEqual([]);
  });

  test("that are not UTF-8 keep what can be read of them", async () => {
    expect(await linesOf(Buffer.from([0x61, 0xff, 0x62]))).toEqual(["1:a\ufffdb"]);
  });

  test("without an end are cut, not gathered without end", async () => {
    const chunk = Buffer.alloc(maxLineBytes / 4, "x");
    const lines = await linesOf(...Array(12).fill(chunk), "\nnext\n");
    expect(lines[0]).toHaveLength(maxLineBytes + 2);
    expect(lines[1]).toBe("2:next");
  });

  test("of packed input come out the same, also when it arrives byte by byte", async () => {
    const { gzipSync } = await import("node:zlib");
    const packed = gzipSync("a\nb\n");
    const bytes = [...packed].map((byte) => Uint8Array.of(byte));
    const text: string[] = [];
    for await (const group of readLines(unpacked(chunksOf(...bytes), "x", () => {})))
      text.push(...group.map((line) => line.text));
    expect(text).toEqual(["a", "b"]);
  });
});

describe("the level of a plain line", () => {
  test.each([
    ["2026-11-22 08:00:00 ERROR payment failed", "error"],
    ["2026-11-22 08:00:00,123 - root - WARNING - careful", "warn"],
    ["[error] 12#0: *1 open() failed", "error"],
    ["2026/11/22 08:00:00 [warn] 12#0: low", "warn"],
    ["time=2026-11-22T08:00:00Z level=info msg=ok", "info"],
    ["lvl=eror msg=oops", "error"],
    ["E1122 08:00:00.000000       1 main.go:1] no", "error"],
    ["I1122 08:00:00.000000       1 main.go:1] yes", "info"],
    ["<11>Nov 22 08:00:00 host app: no", "error"],
    ["<14>Nov 22 08:00:00 host app: yes", "info"],
    ["error: could not open", "error"],
    ["sshd[1]: fatal: no matching key", "fatal"],
    ["npm warn deprecated", undefined],
    ["DEBUG: x", "debug"],
    ["CRITICAL disk", "fatal"],
    ["error[E0308]: mismatched types", "error"],
  ])("%s is %s", (line, level) => {
    expect(guessLevel(line)).toBe(level);
  });

  test.each([
    "2026-11-22 08:00:00 status installed libgpg-error0:amd64 1.46-1",
    "GET /errors/1 200",
    "no information here",
    "TERRORS and WARNINGS_TOTAL",
    `${"x".repeat(300)} ERROR`,
  ])("%s names none", (line) => {
    expect(guessLevel(line)).toBeUndefined();
  });
});

describe("the time of a plain line", () => {
  test.each([
    ["2026-11-22T08:00:00Z x", "2026-11-22T08:00:00.000Z"],
    ["[2026-11-22 08:00:00.123456 +02:00] x", "2026-11-22T06:00:00.123Z"],
    ["2026-11-22 08:00:00 x", new Date(2026, 10, 22, 8).toISOString()],
    ["2026-13-22 08:00:00 x", undefined],
    ["at 2026-11-22 08:00:00", undefined],
  ])("%s is %s", (line, time) => {
    expect(leadingTime(line)).toBe(time);
  });
});

describe("an entry", () => {
  const defaults = { service: "s", level: undefined, lineTimes: true };

  test("is one line of JSON, whatever the line holds", () => {
    const line = fc.string({ unit: "binary" }).filter((text) => text.trim() !== "" && !text.includes("\n"));
    fc.assert(
      fc.property(line, (text) => {
        const entry = entryOf(text, defaults);
        expect(entry).not.toMatch(/\n/);
        expect(JSON.parse(entry)).toMatchObject(text.trim().startsWith("{") ? {} : { message: text, service: "s" });
      }),
    );
  });

  test("that is JSON keeps all it has", () => {
    const object = fc.dictionary(fc.string(), fc.jsonValue(), { noNullPrototype: true });
    fc.assert(
      fc.property(object, (value) => {
        const entry = JSON.parse(entryOf(JSON.stringify(value), defaults));
        expect(entry).toEqual({
          ...("service" in entry && !("service" in value) ? { service: "s" } : {}),
          ...JSON.parse(JSON.stringify(value)),
        });
      }),
    );
  });
});

const never = new AbortController().signal;

describe("batches", () => {
  const defaults = { service: undefined, level: undefined, lineTimes: false };

  test("go out while the input pauses, and do not wait for its end", async () => {
    let resume = () => {};
    async function* slow() {
      yield [{ text: "a", number: 1 }];
      await new Promise<void>((resolve) => {
        resume = resolve;
      });
      yield [{ text: "b", number: 2 }];
    }
    const bodies: string[] = [];
    for await (const { body } of makeBatches(slow(), defaults, never)) {
      bodies.push(body);
      resume();
    }
    expect(bodies).toEqual(['{"message":"a"}', '{"message":"b"}']);
  });

  test("end at once when they are told to, also while the input pauses", async () => {
    const controller = new AbortController();
    async function* silent() {
      yield [{ text: "a", number: 1 }];
      await new Promise(() => {});
    }
    const reading = (async () => {
      for await (const _ of makeBatches(silent(), defaults, controller.signal)) controller.abort(new Error("enough"));
    })();
    await expect(reading).rejects.toThrow("enough");
  });

  test("hold every line once, in order, within their limits", async () => {
    const sizes = fc.array(fc.oneof(fc.nat(200), fc.constantFrom(200_000, 700_000)), { maxLength: 60 });
    await fc.assert(
      fc.asyncProperty(sizes, async (lengths) => {
        const lines = lengths.map((length, i) => ({ text: `${i}${"x".repeat(length)}`, number: i + 1 }));
        async function* groups() {
          for (let i = 0; i < lines.length; i += 7) yield lines.slice(i, i + 7);
        }
        const messages: string[] = [];
        const numbers: number[] = [];
        for await (const batch of makeBatches(
          groups(),
          { service: undefined, level: undefined, lineTimes: false },
          never,
        )) {
          const entries = batch.body.split("\n");
          expect(entries.length).toBeLessThanOrEqual(maxBatchEntries);
          if (entries.length > 1) expect(Buffer.byteLength(batch.body)).toBeLessThanOrEqual(maxBatchBytes);
          messages.push(...entries.map((entry) => JSON.parse(entry).message as string));
          numbers.push(...batch.lineNumbers);
        }
        expect(messages).toEqual(lines.map(({ text }) => text));
        expect(numbers).toEqual(lines.map(({ number }) => number));
      }),
      { numRuns: 30 },
    );
  });
});
