import { TimeSlices } from "../../../concurrency/event-loop-fairness.ts";
import type { LogBatch } from "../../log-store.ts";
import type { NormalisedEntry } from "../../normalised-entry.ts";
import { copyText } from "./copy-text.ts";
import type { FreshTemplate, StoredPatterns } from "./patterns.ts";
import { bytesOf } from "./text-buffers.ts";
import { bitsOfMessages, unionOf, type WordBits } from "./trigram-bloom.ts";
import { countMinutes, type MinuteCount } from "./volume.ts";

/**
 * The entries of one request as rows of a COPY. It is made when the request arrives, while earlier batches are committed, so
 * that the entries can be freed: objects that wait for a commit reach the old generation, where collecting them is expensive.
 */
export interface CopyBatch extends Omit<LogBatch, "entries"> {
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

/** Entries of more bytes are made rows in several steps, of so many bytes each. */
const stepBytes = 32 * 1024;

/** A promise only for a large batch. */
export function toCopyBatch(
  batch: LogBatch,
  patterns: StoredPatterns,
  toBytes: (rows: readonly string[]) => Buffer,
  slices: TimeSlices,
): CopyBatch | Promise<CopyBatch> {
  const encoding = new BatchEncoding(batch, patterns);
  if (batch.bytes > 2 * stepBytes) return encodeInSteps(encoding, toBytes, slices);
  encoding.step(Number.POSITIVE_INFINITY);
  return encoding.finish(toBytes);
}

async function encodeInSteps(
  encoding: BatchEncoding,
  toBytes: (rows: readonly string[]) => Buffer,
  slices: TimeSlices,
): Promise<CopyBatch> {
  while (encoding.step(stepBytes)) {
    const wait = slices.spend(stepBytes);
    if (wait) await wait;
  }
  return encoding.finish(toBytes);
}

/** A batch while its entries are made rows. */
class BatchEncoding {
  readonly #batch: LogBatch;
  readonly #patterns: StoredPatterns;
  readonly #times: number[] = [];
  readonly #pieces: string[] = [];
  readonly #counts: MinuteCount[] = [];
  readonly #words: WordBits[] = [];
  readonly #fresh: FreshTemplate[] = [];
  #hasUids = false;
  #done = 0;

  constructor(batch: LogBatch, patterns: StoredPatterns) {
    this.#batch = batch;
    this.#patterns = patterns;
  }

  /** Encodes entries of about so many bytes. Returns whether there are more. */
  step(bytes: number): boolean {
    const { entries } = this.#batch;
    const start = this.#done;
    for (let size = 0; this.#done < entries.length && size < bytes; this.#done++) {
      size += (entries[this.#done] as NormalisedEntry).bytes;
    }
    const isAll = start === 0 && this.#done === entries.length;
    this.#encode(isAll ? this.#batch : { ...this.#batch, entries: entries.slice(start, this.#done) });
    return this.#done < entries.length;
  }

  #encode(part: LogBatch): void {
    const { projectNumber, entries } = part;
    const { ids, fresh } = this.#patterns.mine([part]);
    let piece = "";
    for (let place = 0; place < entries.length; place++) {
      const entry = entries[place] as NormalisedEntry;
      piece += copyText(projectNumber, entry, ids[place] as number);
      if (piece.length > pieceLength) {
        this.#pieces.push(piece);
        piece = "";
      }
      this.#times.push(entry.timestampMicros);
      this.#hasUids ||= entry.uid !== undefined;
    }
    this.#pieces.push(piece);
    for (const template of fresh) this.#fresh.push(template);
    for (const count of countMinutes(part)) this.#counts.push(count);
    this.#words.push(bitsOfMessages(entries.map(({ message }) => message)));
  }

  finish(toBytes: (rows: readonly string[]) => Buffer): CopyBatch {
    const { projectNumber, entries, bytes, result, idempotency } = this.#batch;
    return {
      projectNumber,
      bytes,
      result,
      ...(idempotency && { idempotency }),
      entries: this.#hasUids ? entries : entries.map(() => withoutUid),
      times: this.#times,
      counts: this.#counts,
      words: unionOf(this.#words),
      fresh: this.#fresh,
      // Last: whoever takes a buffer gives it back when the batch is committed.
      rows: toBytes(this.#pieces),
    };
  }
}

const withoutUid: Pick<NormalisedEntry, "uid"> = {};

/** The batch without the rows of the entries that were taken out of it, which then are in a buffer of their own. */
export async function recodeBatch(batch: CopyBatch, patterns: StoredPatterns): Promise<CopyBatch> {
  if (batch.entries.length === batch.times.length) return batch;
  // Only whole entries are ever taken out.
  const entries = batch.entries as readonly NormalisedEntry[];
  return toCopyBatch({ ...batch, entries }, patterns, bytesOf, new TimeSlices());
}
