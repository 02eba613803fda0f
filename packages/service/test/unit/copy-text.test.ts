import fc from "fast-check";
import { expect, test } from "vitest";
import { type NormalisedEntry, normaliseEntry } from "../../src/logs/entry.ts";
import { copyText } from "../../src/logs/postgres/copy-text.ts";

const now = Date.UTC(2026, 10, 22, 10);

/** What PostgreSQL makes of a field of COPY's text format. */
function read(field: string): string | null {
  if (field === "\\N") return null;
  const letters: Record<string, string> = { n: "\n", r: "\r", t: "\t" };
  return field.replace(/\\(.)/gs, (_, character: string) => letters[character] ?? character);
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

test("every entry is read back as it is, byte for byte", () => {
  fc.assert(
    fc.property(sent, (members) => {
      const entry = normaliseEntry(members, now, 86_400_000);
      if ("rejected" in entry) return;
      const row = copyText(7, 42, entry as NormalisedEntry, -9);
      expect(row.endsWith("\n")).toBe(true);
      expect(row.slice(0, -1)).not.toMatch(/[\n\r]/);
      const [project, ts, id, level, service, environment, traceId, spanId, message, attributes, pattern] = row
        .slice(0, -1)
        .split("\t")
        .map(read);
      expect([project, id, level, pattern]).toEqual(["7", "42", String(entry.level), "-9"]);
      expect(Date.parse(ts as string)).toBe(Math.floor(entry.timestampMicros / 1000));
      expect(Number(/\.(\d{6})Z$/.exec(ts as string)?.[1])).toBe(entry.timestampMicros % 1_000_000);
      expect({ service, environment, traceId, spanId, message }).toEqual({
        service: entry.service,
        environment: entry.environment,
        traceId: entry.traceId,
        spanId: entry.spanId,
        message: entry.message,
      });
      expect(attributes).toBe(JSON.stringify(entry.attributes));
    }),
    { numRuns: 2000 },
  );
});
