import { once } from "node:events";
import fc from "fast-check";
import pg from "pg";
import { from as copyFrom } from "pg-copy-streams";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type NormalisedEntry, normaliseEntry } from "../src/logs/entry.ts";
import { copyColumns, copyText, numberRows } from "../src/logs/postgres/copy-text.ts";
import { type FreshDatabase, freshDatabase } from "./support/database.ts";

const cases = Number(process.env["SAZABI_TEST_CASES"] ?? 150);
const now = Date.UTC(2026, 10, 22, 10);

let database: FreshDatabase;
let client: pg.Client;

beforeAll(async () => {
  database = await freshDatabase();
  client = new pg.Client({ connectionString: database.url, options: "-c search_path=sazabi,public -c timezone=UTC" });
  await client.connect();
  // Like the real table, indexes included: an index row has a limit of its own.
  await client.query("create temporary table rows (like logs including all)");
});
afterAll(async () => {
  await client.end();
  await database.drop();
});

async function copy(entries: readonly NormalisedEntry[]): Promise<void> {
  await client.query("truncate rows");
  const stream = client.query(copyFrom(`copy rows (${copyColumns}) from stdin`));
  const done = once(stream, "finish");
  const rows = Buffer.from(entries.map((entry) => copyText(1, entry, 0)).join(""));
  expect(numberRows(rows, 1)).toBe(entries.length + 1);
  stream.end(rows);
  await done;
}

const awkward = [
  "\\.",
  "\\N",
  "\t",
  "\r\n",
  "\u2028",
  '"',
  "\ufeff",
  "\0",
  "\ud800",
  "é",
  "🚒",
  "x".repeat(3000),
  "+300000-01-01",
];
const text = fc.oneof(fc.constantFrom(...awkward), fc.string({ unit: "binary" }));
const key = fc.oneof(
  fc.constantFrom(
    "message",
    "level",
    "timestamp",
    "service",
    "env",
    "trace_id",
    "span_id",
    "attributes",
    "__proto__",
    "a",
  ),
  text,
);
const number = fc.oneof(
  fc.double(),
  fc.constantFrom(1e308, 5e-324, -0, 2 ** 60, Number.MAX_SAFE_INTEGER, Number.POSITIVE_INFINITY),
);
const sent = fc.anything({ key, maxDepth: 4, maxKeys: 8, values: [text, number, fc.boolean(), fc.constant(null)] });

test("whatever is sent, a COPY of it never fails, and what comes back is what was normalised", {
  timeout: 300_000,
}, async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(sent, { minLength: 1, maxLength: 40 }), async (values) => {
      const entries = values
        .map((value) => normaliseEntry(value, now, 30 * 86_400_000))
        .filter((verdict): verdict is NormalisedEntry => !("rejected" in verdict));
      await copy(entries);
      const { rows } = await client.query(`
        select level, service, environment, trace_id, span_id, message, attributes::text,
               (extract(epoch from ts) * 1000000)::bigint::text as micros
        from rows order by id`);
      expect(rows).toHaveLength(entries.length);
      for (const [index, row] of rows.entries()) {
        const entry = entries[index] as NormalisedEntry;
        expect([row.level, row.service, row.environment, row.trace_id, row.span_id, row.message]).toEqual([
          entry.level,
          entry.service,
          entry.environment,
          entry.traceId,
          entry.spanId,
          entry.message,
        ]);
        expect(row.micros).toBe(String(entry.timestampMicros));
        // Through JSON on both sides: -0 is 0 there.
        expect(JSON.parse(row.attributes)).toEqual(JSON.parse(JSON.stringify(entry.attributes)));
      }
    }),
    { numRuns: cases },
  );
});
