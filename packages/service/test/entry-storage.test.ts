import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Database, openDatabase } from "../src/db/database.ts";
import { sql } from "../src/db/sql.ts";
import { copyColumns, copyText, numberRows } from "../src/logs/engines/postgres/copy-text.ts";
import { type NormalisedEntry, normaliseEntry } from "../src/logs/ingest/entry.ts";
import { type FreshDatabase, freshDatabase } from "./support/database.ts";

const cases = Number(process.env["SAZABI_TEST_CASES"] ?? 150);
const now = Date.UTC(2026, 10, 22, 10);

let database: FreshDatabase;
let db: Database;

beforeAll(async () => {
  database = await freshDatabase();
  db = openDatabase({ url: database.url, connections: 1 });
  // Like the real table, indexes included: an index row has a limit of its own.
  await db.query(sql`create table rows (like logs including all)`);
});
afterAll(async () => {
  await db.close();
  await database.drop();
});

async function copy(entries: readonly NormalisedEntry[]): Promise<void> {
  await db.query(sql`truncate rows`);
  const rows = Buffer.from(entries.map((entry) => copyText(1, entry, 0)).join(""));
  expect(numberRows(rows, 1)).toBe(entries.length + 1);
  await db.transaction((tx) => tx.finish([{ copy: `copy rows (${copyColumns}) from stdin`, rows: [rows] }]));
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
      const { rows } = await db.query<{
        level: number;
        service: string;
        environment: string | null;
        trace_id: string | null;
        span_id: string | null;
        message: string;
        attributes: string;
        micros: string;
      }>(sql`
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
