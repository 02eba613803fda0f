// Measures the cost of a row in the service before it is sent to the database, by stage, in this process. Compares it
// with a check by zod alone.
import { intakeLimits, levels } from "@sazabi/sdk/protocol";
import { z } from "zod";
import { copyText } from "../../packages/service/src/logs/engines/postgres/copy-text.ts";
import { type NormalisedEntry, normaliseEntry } from "../../packages/service/src/logs/ingest/entry.ts";
import { PatternMiner } from "../../packages/service/src/logs/patterns/miner.ts";
import { corpusKinds, corpusOf } from "../../packages/service/test/support/log-corpus.ts";
import { seeded } from "../../packages/service/test/support/seeded.ts";
import { type RowKind, rowOf } from "./log-rows.ts";

const rounds = 200;
const rowsOfARequest = 500;
const retentionMs = 30 * 86_400_000;

/**
 * Prints microseconds per row, as the lower quartile of many requests with alternating stages. The ratios compare
 * normalizing with checking by zod.
 */
export function printRowCosts(): Record<string, number> {
  const small = print("small", rounds, rowsOfARequest, stagesOf("small"));
  const realistic = print("realistic", rounds, rowsOfARequest, stagesOf("realistic"));
  // Starts without learned patterns, like a new process.
  const corpus = corpusKinds.flatMap((kind) => corpusOf(kind, 2_000, seeded(1)).map(({ message }) => message));
  print("twelve kinds", 10, corpus.length, { mined: () => mine(new PatternMiner(), corpus) });
  const strange = strangeMessages(20_000);
  print("no word in common", 10, strange.length, { mined: () => mine(new PatternMiner(), strange) });
  return { smallRowToZod: toZod(small), realisticRowToZod: toZod(realistic) };
}

function toZod(costs: ReadonlyMap<string, number>): number {
  return (costs.get("normalised") as number) / (costs.get("checked by zod") as number);
}

const scalar = z.union([z.string(), z.number(), z.boolean(), z.null()]);
/** The members of the API contract, without repairs, aliases or flattening. */
const rowsAsSent = z
  .array(
    z
      .object({
        timestamp: z.iso.datetime(),
        level: z.enum(levels),
        service: z.string().max(200),
        message: z.string().max(intakeLimits.entryBytes),
        trace_id: z.string().max(128).optional(),
        span_id: z.string().max(128).optional(),
        attributes: z.record(z.string().max(intakeLimits.attributeKeyBytes), scalar).optional(),
      })
      .catchall(scalar),
  )
  .max(rowsOfARequest);

function stagesOf(kind: RowKind): Readonly<Record<string, () => unknown>> {
  const random = seeded(2);
  const now = Date.now();
  const lines = Array.from({ length: rowsOfARequest }, (_, index) => JSON.stringify(rowOf(kind, index, now, random)));
  const values = lines.map((line) => JSON.parse(line) as unknown);
  const entries = values.map((value) => normaliseEntry(value, now, retentionMs) as NormalisedEntry);
  const messages = entries.map(({ message }) => message);
  const miner = new PatternMiner();
  return {
    parsed: () => lines.map((line) => JSON.parse(line)),
    "checked by zod": () => rowsAsSent.parse(values),
    normalised: () => values.map((value) => normaliseEntry(value, now, retentionMs)),
    mined: () => mine(miner, messages),
    "as COPY text": () => Buffer.from(entries.map((entry) => copyText(1, entry, 0)).join("")),
  };
}

function mine(miner: PatternMiner, messages: readonly string[]): number {
  let last = 0;
  for (const message of messages) last = miner.patternOf(message).id;
  return last;
}

/** Returns messages of unknown words, so that each is a new pattern while there is room for patterns. */
function strangeMessages(count: number): readonly string[] {
  const random = seeded(3);
  const word = () => Array.from({ length: 3 + random(7) }, () => String.fromCharCode(97 + random(26))).join("");
  return Array.from({ length: count }, () => Array.from({ length: 6 + random(6) }, word).join(" "));
}

function print(
  what: string,
  times: number,
  rows: number,
  stages: Readonly<Record<string, () => unknown>>,
): ReadonlyMap<string, number> {
  const measured = new Map<string, number[]>(Object.keys(stages).map((name) => [name, []]));
  for (let round = 0; round < times; round++) {
    for (const [name, work] of Object.entries(stages)) {
      const startedAt = performance.now();
      work();
      measured.get(name)?.push(((performance.now() - startedAt) * 1000) / rows);
    }
  }
  const quartiles = new Map<string, number>();
  for (const [name, all] of measured) {
    const quartile = all.sort((a, b) => a - b)[Math.floor(all.length / 4)] as number;
    quartiles.set(name, quartile);
    console.log(`row      ${what.padEnd(18)} ${name.padEnd(14)} ${quartile.toFixed(2)} µs`);
  }
  return quartiles;
}
