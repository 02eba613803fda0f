import type { NormalisedEntry } from "../entry.ts";
import type { LogBatch } from "../store.ts";
import { copyText } from "./copy-text.ts";
import type { FreshTemplate, StoredPatterns } from "./patterns.ts";
import { bytesOf } from "./text-buffers.ts";
import { countMinutes, type MinuteCount } from "./volume.ts";
import { bitsOfMessages, type WordBits } from "./word-bits.ts";

/**
 * What one request brings, as its rows are sent to PostgreSQL. It is made when the request comes, beside the commit of
 * those before it, and the entries are let go of: objects that wait for a commit outlive what the garbage collector
 * finds cheap.
 */
export interface EncodedBatch extends Omit<LogBatch, "entries"> {
  /** In order. Whole where some have an id of their sender's, since such rows may yet be left out. */
  readonly entries: readonly Pick<NormalisedEntry, "uid">[];
  /** As `copyText` has them, without ids. */
  readonly rows: Buffer;
  /** Of the rows, in microseconds since 1970. */
  readonly times: readonly number[];
  readonly counts: readonly MinuteCount[];
  readonly words: WordBits;
  /** The patterns of the rows that the database may not have yet. */
  readonly fresh: readonly FreshTemplate[];
}

/** Rows are made bytes so many characters at a time: few enough to be in the processor's cache still. */
const pieceLength = 16 * 1024;

export function encodeBatch(
  batch: LogBatch,
  patterns: StoredPatterns,
  toBytes: (rows: readonly string[]) => Buffer,
): EncodedBatch {
  const { projectNumber, entries, bytes, result, idempotency } = batch;
  const { ids, fresh } = patterns.mine([batch]);
  const times: number[] = [];
  const pieces: string[] = [];
  let piece = "";
  let hasUids = false;
  for (let place = 0; place < entries.length; place++) {
    const entry = entries[place] as NormalisedEntry;
    piece += copyText(projectNumber, entry, ids[place] as number);
    if (piece.length > pieceLength) {
      pieces.push(piece);
      piece = "";
    }
    times.push(entry.timestampMicros);
    hasUids ||= entry.uid !== undefined;
  }
  pieces.push(piece);
  return {
    projectNumber,
    bytes,
    result,
    ...(idempotency && { idempotency }),
    entries: hasUids ? entries : entries.map(() => withoutUid),
    times,
    counts: countMinutes(batch),
    words: bitsOfMessages(entries.map(({ message }) => message)),
    fresh,
    // Last: whoever takes a buffer gives it back when the batch is committed.
    rows: toBytes(pieces),
  };
}

const withoutUid: Pick<NormalisedEntry, "uid"> = {};

/** The batch without the rows of the entries that were taken out of it, which then are in a buffer of their own. */
export function recodeBatch(batch: EncodedBatch, patterns: StoredPatterns): EncodedBatch {
  if (batch.entries.length === batch.times.length) return batch;
  // Only whole entries are ever taken out.
  return encodeBatch({ ...batch, entries: batch.entries as readonly NormalisedEntry[] }, patterns, bytesOf);
}
