import fc from "fast-check";
import { expect, test } from "vitest";
import { copyText, numberRows } from "../../src/logs/engines/postgres/copy-text.ts";
import { type NormalisedEntry, normaliseEntry } from "../../src/logs/ingest/entry.ts";

const now = Date.UTC(2026, 10, 22, 10);

/** What PostgreSQL makes of a field of COPY's text format. */
function read(field: string): string | null {
  if (field === "\\N") return null;
  const letters: Record<string, string> = { n: "\n", r: "\r", t: "\t" };
  return field.replace(/\\(.)/gs, (_, character: string) => letters[character] ?? character);
}

function rowWithId(row: string, id: number): string {
  const bytes = Buffer.from(row);
  numberRows(bytes, id);
  return bytes.toString();
}

const text = fc.oneof(
  fc.string({ unit: "binary" }),
  fc.constantFrom('"', "\\", "\n", "\t", "\\N", "\\.", "__proto__", "\x7f", "\u2028"),
);
const value = fc.oneof(
  text,
  fc.double(),
  fc.integer(),
  fc.boolean(),
  fc.constant(null),
  fc.constantFrom(-0, 1e21, 1e-7),
);
const sent = fc.record({
  message: text,
  service: text,
  environment: text,
  traceId: text,
  timestamp: fc.integer({ min: now - 1_000_000, max: now + 1_000_000 }).map((ms) => ms * 1000 + (ms % 1000)),
  attributes: fc.dictionary(text, value),
});

/** JSON with the keys in jsonb's order, as PostgreSQL's `lengthCompareJsonbStringValue` has it. */
function inOrder(attributes: NormalisedEntry["attributes"]): string {
  const members = Object.entries(attributes).sort(([a], [b]) => {
    const [first, second] = [Buffer.from(a), Buffer.from(b)];
    return first.length - second.length || Buffer.compare(first, second);
  });
  return `{${members.map(([key, value]) => `${JSON.stringify(key)}:${JSON.stringify(value)}`).join(",")}}`;
}

/**
 * What the JSON lacks of the attributes, in whatever order it has them, and what it has beyond them. By its text: the
 * `JSON.parse` of Node 24.21 takes some keys of one escaped character for others.
 */
function leftOf(json: string, attributes: NormalisedEntry["attributes"]): readonly string[] {
  const left = Object.entries(attributes).map(([key, value]) => `${JSON.stringify(key)}:${JSON.stringify(value)}`);
  let rest = json.slice(1, -1);
  while (rest !== "") {
    const next = left.findIndex((member) => rest === member || rest.startsWith(`${member},`));
    if (next === -1) return [...left, rest];
    rest = rest.slice((left.splice(next, 1)[0] as string).length + 1);
  }
  return left;
}

/** As they are written when their keys are known. */
function attributesTwice(entry: NormalisedEntry): string {
  copyText(7, entry, -9);
  return copyText(7, entry, -9).split("\t")[9] as string;
}

test("attributes have their keys in jsonb's order, whatever order they came in", () => {
  const keys = ["status", "host", "user_id", "b", "a", "é", "zz", "duration_ms", "10", "", "it's", 'a"quote'];
  fc.assert(
    fc.property(fc.shuffledSubarray(keys), (members) => {
      const attributes = Object.fromEntries(members.map((key, place) => [key, `${place}\t"`]));
      const entry = normaliseEntry({ message: "m", attributes }, now, 86_400_000) as NormalisedEntry;
      expect(read(attributesTwice(entry))).toBe(inOrder(entry.attributes));
    }),
    { numRuns: 200 },
  );
});

test("of many attributes the first have their order, and none is missing", () => {
  const members = Array.from({ length: 100 }, (_, place) => [`k${place}`.padEnd(9 - (place % 7), "x"), place] as const);
  const entry = normaliseEntry({ message: "m", attributes: Object.fromEntries(members) }, now, 86_400_000);
  const { attributes } = entry as NormalisedEntry;
  const written = JSON.parse(attributesTwice(entry as NormalisedEntry));
  expect(written).toEqual({ ...attributes });
  const firsts = Object.fromEntries(members.slice(0, 64));
  expect(JSON.stringify(Object.fromEntries(Object.entries(written).slice(0, 64)))).toBe(inOrder(firsts));
});

test("every entry is read back as it is, byte for byte", () => {
  fc.assert(
    fc.property(sent, (members) => {
      const entry = normaliseEntry(members, now, 86_400_000);
      if ("rejected" in entry) return;
      const row = rowWithId(copyText(7, entry as NormalisedEntry, -9), 42);
      expect(row.endsWith("\n")).toBe(true);
      expect(row.slice(0, -1)).not.toMatch(/[\n\r]/);
      const [id, project, ts, level, service, environment, traceId, spanId, message, attributes, pattern] = row
        .slice(0, -1)
        .split("\t")
        .map(read);
      expect([project, Number(id), level, pattern]).toEqual(["7", 42, String(entry.level), "-9"]);
      const iso = (ts as string).replace(/^(\d{4})(\d\d)(\d\d) /, "$1-$2-$3T");
      expect(Date.parse(iso)).toBe(Math.floor(entry.timestampMicros / 1000));
      const fraction = /\.(\d{3}(?:\d{3})?)Z$/.exec(ts as string)?.[1] as string;
      expect(Number(fraction.padEnd(6, "0"))).toBe(entry.timestampMicros % 1_000_000);
      expect({ service, environment, traceId, spanId, message }).toEqual({
        service: entry.service,
        environment: entry.environment,
        traceId: entry.traceId,
        spanId: entry.spanId,
        message: entry.message,
      });
      expect(leftOf(attributes as string, entry.attributes)).toEqual([]);
    }),
    { numRuns: 2000 },
  );
});

test("rows get ascending ids, again and again, whatever is in them", () => {
  fc.assert(
    fc.property(
      fc.array(text, { minLength: 1, maxLength: 20 }),
      fc.array(fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER - 20 }), { minLength: 1, maxLength: 3 }),
      (messages, firstIds) => {
        const entries = messages.map(
          (message) => normaliseEntry({ message, n: 1 }, now, 86_400_000) as NormalisedEntry,
        );
        const texts = entries.map((entry) => copyText(7, entry, -9));
        const bytes = Buffer.from(texts.join(""));
        for (const firstId of firstIds) {
          expect(numberRows(bytes, firstId)).toBe(firstId + entries.length);
          const rows = bytes.toString().split("\n").slice(0, -1);
          const members = rows.map((row) => [Number(row.slice(0, row.indexOf("\t"))), row.slice(row.indexOf("\t"))]);
          expect(members).toEqual(texts.map((one, place) => [firstId + place, one.slice(one.indexOf("\t"), -1)]));
        }
      },
    ),
  );
});
