import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type InputPlace, makeBatches, maxBatchBytes, maxBatchEntries } from "../../src/intake/batches.ts";
import { type EntryDefaults, entriesOf, type SentEntry } from "../../src/intake/entry.ts";
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

  test("that are not UTF-8 are told, and no others", async () => {
    let told = 0;
    const long = Buffer.concat([Buffer.alloc(maxLineBytes - 1, "x"), Buffer.from("ü\n")]);
    const chunks = chunksOf(Buffer.from("g\xfcn\n", "latin1"), "\ufffd grün\n", long, Buffer.from([0xff]));
    const groups = readLines(chunks, { onOtherEncoding: () => told++ });
    for await (const lines of groups) expect(lines.length).toBeGreaterThan(0);
    expect(told).toBe(2);
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

const entryOf = (record: { text: string }, defaults: EntryDefaults) => entriesOf(record, defaults)[0] as SentEntry;

describe("an entry", () => {
  const now = new Date("2026-11-30T12:00:00Z");
  const defaults: EntryDefaults = { service: "s", level: undefined, lineTimes: true, multiline: false, now };

  test("is one line of JSON, whatever the line holds", () => {
    const line = fc.string({ unit: "binary" }).filter((text) => text.trim() !== "" && !text.includes("\n"));
    fc.assert(
      fc.property(line, (text) => {
        const entry = entryOf({ text }, defaults).text;
        expect(entry).not.toMatch(/\n/);
        expect(JSON.parse(entry)).toMatchObject(text.trim().startsWith("{") ? {} : { message: text, service: "s" });
      }),
    );
  });

  const sent = (line: string, more: Partial<EntryDefaults> = {}) =>
    JSON.parse(entryOf({ text: line }, { ...defaults, lineTimes: false, ...more }).text);

  test.each([
    // A name means a service only where the intake takes it for one.
    ['{"message":"m","p":{"serviceName":"k"}}', { service: "s" }],
    ['{"message":"m","protoPayload":{"serviceName":"k8s.io"}}', { service: "s" }],
    ['{"message":"m","kubernetes":{"service":"k"}}', { service: "s" }],
    ['{"message":"m","application":{"id":1}}', { service: "s" }],
    ['{"message":"m","app":7}', { service: "s" }],
    ['{"message":"m","service":null}', { service: null, "service.name": "s" }],
    ['{"message":"m","service":""}', { service: "", "service.name": "s" }],
    ['{"message":"m","service":{"id":1}}', { service: { id: 1 }, "service.name": "s" }],
    ['{"message":"m","item":{"level":3}}', { level: "error" }],
    ['{"message":"m","priority":"high"}', { level: "error", priority: "high" }],
    ['{"message":"m","status":200}', { level: "error", status: 200 }],
    ['{"message":"m","level":null}', { level: null, severity: "error" }],
  ])("%s gets the defaults", (line, members) => {
    expect(sent(line, { level: "error" })).toMatchObject(members);
  });

  test.each([
    ['{"message":"m","service":"own"}', "own"],
    ['{"message":"m","attributes":{"service.name":"own"}}', "own"],
    ['{"message":"m","service":{"name":"own"}}', "own"],
    ['{"MESSAGE":"m","SYSLOG_IDENTIFIER":"cron","_SYSTEMD_UNIT":"cron.service"}', "cron"],
    ['{"MESSAGE":"m","_SYSTEMD_UNIT":"cron.service"}', "cron.service"],
    ['{"MESSAGE":"m","PROGRAM":"sshd","SOURCE":"s_net"}', "sshd"],
  ])("%s keeps its own service", (line, service) => {
    expect(entryOf({ text: line }, defaults).service).toBe(service);
    expect(sent(line)).toEqual(JSON.parse(line));
  });

  test.each(['{"level":"warn"}', '{"severityNumber":17}', '{"status":"error"}', '{"t":1,"s":"W"}', '{"PRIORITY":"3"}'])(
    "%s keeps its own level",
    (line) => {
      expect(sent(line, { level: "trace", service: undefined })).toEqual(JSON.parse(line));
    },
  );

  test("is each of those that a document wraps", () => {
    const records = [
      { eventTime: "2026-11-30T09:00:00Z", eventName: "A" },
      { eventTime: "2026-11-30T09:00:01Z", eventName: "B" },
    ];
    const texts = entriesOf({ text: JSON.stringify({ Records: records }) }, defaults).map(({ text }) =>
      JSON.parse(text),
    );
    expect(texts).toEqual(records.map((record) => ({ service: "s", ...record })));
  });

  test("of CloudWatch has the level that its line names, or else the one that was given", () => {
    const event = { id: "1", timestamp: 1_796_031_366_807, message: "[ERROR] boom" };
    const text = JSON.stringify({ events: [event, { ...event, severity: "debug" }] });
    const levelsOf = (level: "warn" | undefined) =>
      entriesOf({ text }, { ...defaults, level }).map((entry) => JSON.parse(entry.text).level);
    expect(levelsOf(undefined)).toEqual(["error", undefined]);
    expect(levelsOf("warn")).toEqual(["warn", undefined]);
  });

  test("that is JSON keeps all it has", () => {
    const object = fc.dictionary(fc.string(), fc.jsonValue(), { noNullPrototype: true });
    fc.assert(
      fc.property(object, (value) => {
        const entry = JSON.parse(entryOf({ text: JSON.stringify(value) }, defaults).text);
        expect(entry).toEqual({
          ...("service" in entry && !("service" in value) ? { service: "s" } : {}),
          ...("service" in value && "service.name" in entry ? { "service.name": "s" } : {}),
          ...JSON.parse(JSON.stringify(value)),
        });
      }),
    );
  });
});

const never = new AbortController().signal;

describe("batches", () => {
  const now = new Date("2026-11-30T12:00:00Z");
  const defaults: EntryDefaults = { service: undefined, level: undefined, lineTimes: false, multiline: false, now };

  const line = (text: string, number: number) => ({ text, number, end: number });

  test("go out while the input pauses, and do not wait for its end", async () => {
    let resume = () => {};
    async function* slow() {
      yield [line("a", 1)];
      await new Promise<void>((resolve) => {
        resume = resolve;
      });
      yield [line("b", 2)];
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
      yield [line("a", 1)];
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
        const lines = lengths.map((length, i) => line(`${i}${"x".repeat(length)}`, i + 1));
        async function* groups() {
          for (let i = 0; i < lines.length; i += 7) yield lines.slice(i, i + 7);
        }
        const messages: string[] = [];
        const numbers: number[] = [];
        for await (const batch of makeBatches(groups(), defaults, never)) {
          const entries = batch.body.split("\n");
          expect(entries.length).toBeLessThanOrEqual(maxBatchEntries);
          if (entries.length > 1) expect(Buffer.byteLength(batch.body)).toBeLessThanOrEqual(maxBatchBytes);
          messages.push(...entries.map((entry) => JSON.parse(entry).message as string));
          numbers.push(...batch.entries.map(({ lineNumber }) => lineNumber));
        }
        expect(messages).toEqual(lines.map(({ text }) => text));
        expect(numbers).toEqual(lines.map(({ number }) => number));
      }),
      { numRuns: 30 },
    );
  });

  test("say where the rest can be read again, whatever the pauses have joined or separated", async () => {
    const lines = [
      "stdout P beginning",
      "stderr F boom",
      "stderr F   at one",
      "stdout F  and end",
      "stderr F last",
      "stderr F   at two",
    ].map((rest, place) => line(`2026-11-30T09:00:00.1Z ${rest}`, place + 1));
    const options = { ...defaults, multiline: true, tellsPlaces: true };
    /** Pauses after so many lines, until what came before is in batches. */
    const read = async (pauseAfter: readonly number[], from?: InputPlace) => {
      let resume = () => {};
      async function* groups() {
        for (const one of lines.slice(from?.lines ?? 0)) {
          yield [one];
          if (pauseAfter.includes(one.number)) await new Promise<void>((resolve) => (resume = resolve));
        }
      }
      const batches: { messages: readonly string[]; next: InputPlace }[] = [];
      for await (const { body, next } of makeBatches(groups(), { ...options, from }, never)) {
        batches.push({
          messages: body.split("\n").map((text) => JSON.parse(text).message),
          next: JSON.parse(JSON.stringify(next)),
        });
        resume();
      }
      return batches;
    };
    const batches = await read([2, 3]);
    expect(batches.map(({ messages }) => messages)).toEqual([
      ["boom"],
      ["  at one"],
      ["beginning and end", "last\n  at two"],
    ]);
    for (const [index, { next }] of batches.entries()) {
      const rest = (await read([], next)).flatMap(({ messages }) => messages);
      const expected = batches.slice(index + 1).flatMap(({ messages }) => messages);
      expect(rest.toSorted()).toEqual(expected.toSorted());
    }
  });

  test("say where the rest can be read again in a few bytes, however many objects an array has", async () => {
    const lines = ["[", ...Array.from({ length: 5_000 }, (_, n) => `{"n":${n}},`)].map((text, i) => line(text, i + 1));
    async function* groups() {
      yield lines;
    }
    const options = { ...defaults, multiline: true, tellsPlaces: true };
    const sizes: number[] = [];
    for await (const { next } of makeBatches(groups(), options, never)) sizes.push(JSON.stringify(next).length);
    expect(sizes).toHaveLength(5);
    expect(Math.max(...sizes)).toBeLessThan(300);
  });

  test("say where the rest of the input can be read again: no entry is lost or comes twice", async () => {
    const long = "x".repeat(400_000);
    const text = fc.constantFrom("", "ä", long, long);
    const piece = fc.oneof(
      text.map((end) => `plain ${end}`),
      text.map((end) => `2026-11-30 09:00:00 ERROR boom ${end}\n  at one\n  at two`),
      text.map((end) => JSON.stringify({ message: `json ${end}` })),
      text.map((end) => `{\n  "message": "printed ${end}"\n}`),
      text.map((end) =>
        JSON.stringify({ Records: [1, 2, 3].map((n) => ({ eventVersion: "1.08", eventName: `e${n} ${end}` })) }),
      ),
      text.map((end) => JSON.stringify([{ message: "one" }, { message: `of an array ${end}` }])),
      text.map((end) => JSON.stringify([{ message: "one" }, { message: `of a printed array ${end}` }], null, 2)),
      // A line that the runtime split, with others between its parts.
      text.map((end) =>
        ["stdout P a", "stderr F b", `stderr F c ${end}`, "stdout F d"]
          .map((rest) => `2026-11-30T09:00:00.1Z ${rest}`)
          .join("\n"),
      ),
      fc.constant("  "),
    );
    const file = fc.oneof(
      fc.array(piece, { minLength: 1, maxLength: 25 }).map((pieces) => pieces.join("\n")),
      fc
        .array(text, { minLength: 5, maxLength: 12 })
        .map((ends) => `[\n${ends.map((end) => `{"message":"in an array ${end}"}`).join(",\n")}\n]\nafter`),
      fc
        .array(text, { minLength: 5, maxLength: 12 })
        .map((ends) => `[${ends.map((end) => `{\n"message":"in an array ${end}"\n}`).join(", ")}]\nafter`),
    );
    const read = async (bytes: Buffer, from?: InputPlace) => {
      const batches: { entries: readonly string[]; next: InputPlace }[] = [];
      const chunks = Array.from({ length: Math.ceil(bytes.length / 65_536) }, (_, i) =>
        bytes.subarray(i * 65_536, (i + 1) * 65_536),
      );
      const lines = readLines(chunksOf(...chunks), { linesBefore: from?.lines });
      const options = { ...defaults, multiline: true, tellsPlaces: true, from };
      for await (const { body, next } of makeBatches(lines, options, never)) {
        batches.push({ entries: body.split("\n"), next: next as InputPlace });
      }
      return batches;
    };
    let resumed = 0;
    await fc.assert(
      fc.asyncProperty(file, async (content) => {
        const bytes = Buffer.from(`${content}\n`);
        const batches = await read(bytes);
        for (const [index, { next }] of batches.entries()) {
          const rest = (await read(bytes.subarray(next.offset), next)).flatMap(({ entries }) => entries);
          expect(rest).toEqual(batches.slice(index + 1).flatMap(({ entries }) => entries));
          if (rest.length > 0) resumed += 1;
        }
      }),
      { numRuns: 50 },
    );
    expect(resumed).toBeGreaterThan(20);
  });
});
