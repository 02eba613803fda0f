import { type EntryDefaults, entriesOf, isLongerThanKept, type SentEntry } from "./entry.ts";
import type { Line } from "./lines.ts";
import type { LogRecord } from "./log-record.ts";
import { type JoinerState, RecordJoiner } from "./records.ts";

/** The content of one request. */
export interface Batch {
  /** NDJSON. */
  readonly body: string;
  readonly entries: readonly BatchEntry[];
  /** The number of entries that the service will truncate. */
  readonly cutEntries: number;
  /** The input position after this batch, if requested. */
  readonly next: InputPlace | undefined;
}

/** A position in the input from which reading can resume. */
export interface InputPlace {
  /** The bytes and lines of the input before it. */
  readonly offset: number;
  readonly lines: number;
  /** Input before the position that is in no batch yet. */
  readonly held?: Held | undefined;
}

/** Plain data. It records how pauses of the input joined or separated lines. */
interface Held {
  readonly unsent: Unsent;
  readonly joiner: JoinerState;
}

/**
 * Complete records that are in no batch. Records of one line are together, because a line can hold a hundred thousand.
 */
interface Unsent {
  readonly records: readonly (Omit<LogRecord, "text"> & { readonly texts: readonly string[] })[];
  /** The entries of the first record that are already in batches. */
  readonly skip: number;
}

export interface BatchOptions extends EntryDefaults {
  /** Sets `next` on each batch. */
  readonly tellsPlaces?: boolean;
  /** Where the input begins, if not at the beginning of a file. `offset` is 0. */
  readonly from?: InputPlace | undefined;
}

export interface BatchEntry extends Omit<SentEntry, "text"> {
  /** The line number in the input. */
  readonly lineNumber: number;
}

export const maxBatchEntries = 1000;
export const maxBatchBytes = 1024 * 1024;
/** How long lines wait for more before they are sent, because the input may be a long-running program. */
const lingerMs = 300;

/**
 * Groups lines into batches, limited by entries and bytes. A larger entry gets a batch of its own. Throws the signal's
 * reason when the signal aborts.
 */
export async function* makeBatches(
  groups: AsyncIterable<readonly Line[]>,
  { from, tellsPlaces = false, ...defaults }: BatchOptions,
  signal: AbortSignal,
): AsyncGenerator<Batch> {
  const forming = new FormingBatch();
  const joiner = new RecordJoiner({ ...defaults, state: from?.held?.joiner });
  let end = { offset: 0, lines: from?.lines ?? 0 };
  const take = (unsent: () => Unsent = () => ({ records: [], skip: 0 })): Batch => {
    const next = tellsPlaces ? { ...end, held: { unsent: unsent(), joiner: joiner.state } } : undefined;
    return { ...forming.take(), next };
  };
  function* batchesOf(records: readonly LogRecord[], skip = 0): Generator<Batch> {
    for (const [index, record] of records.entries()) {
      for (const [place, entry] of entriesOf(record, defaults).entries()) {
        if (index === 0 && place < skip) continue;
        if (!forming.hasRoomFor(entry.text)) {
          yield take(() => ({ records: byLine(records.slice(index)), skip: place }));
        }
        forming.add(entry, record);
      }
    }
  }
  let failure: { readonly error: unknown } | undefined;
  try {
    yield* batchesOf(recordsOf(from?.held?.unsent), from?.held?.unsent.skip);
    for await (const lines of withPauses(groups, signal)) {
      if (lines === pause) {
        yield* batchesOf(joiner.pause());
        if (forming.size > 0) yield take();
        continue;
      }
      for (const line of lines) {
        end = { offset: line.end, lines: line.number };
        yield* batchesOf(joiner.add(line));
      }
    }
  } catch (error) {
    // Nothing could be read: the held records wait for the next run.
    if (signal.aborted || end.offset === 0) throw error;
    // The input failed. Send what came before the failure.
    failure = { error };
  }
  yield* batchesOf(joiner.end());
  if (forming.size > 0) yield take();
  if (failure) throw failure.error;
}

class FormingBatch {
  #texts: string[] = [];
  #entries: BatchEntry[] = [];
  #bytes = 0;
  #cutEntries = 0;

  get size(): number {
    return this.#entries.length;
  }

  hasRoomFor(entry: string): boolean {
    if (this.size === 0) return true;
    return this.size < maxBatchEntries && this.#bytes + bytesOf(entry) <= maxBatchBytes;
  }

  add({ text, ...entry }: SentEntry, { number }: LogRecord): void {
    this.#texts.push(text);
    this.#entries.push({ ...entry, lineNumber: number });
    this.#bytes += bytesOf(text);
    if (isLongerThanKept(text)) this.#cutEntries++;
  }

  take(): Omit<Batch, "next"> {
    const body = this.#texts.join("\n");
    const batch = { body, entries: this.#entries, cutEntries: this.#cutEntries };
    this.#texts = [];
    this.#entries = [];
    this.#bytes = 0;
    this.#cutEntries = 0;
    return batch;
  }
}

function byLine(records: readonly LogRecord[]): Unsent["records"] {
  const groups: (Omit<LogRecord, "text"> & { readonly texts: string[] })[] = [];
  for (const { text, ...rest } of records) {
    const last = groups.at(-1);
    if (last?.number === rest.number && last.members === rest.members) last.texts.push(text);
    else groups.push({ ...rest, texts: [text] });
  }
  return groups;
}

function recordsOf(unsent: Unsent | undefined): readonly LogRecord[] {
  return (unsent?.records ?? []).flatMap(({ texts, ...rest }) => texts.map((text) => ({ ...rest, text })));
}

/** Includes the line end. */
const bytesOf = (entry: string) => Buffer.byteLength(entry) + 1;

const pause = Symbol("pause");

/** Yields the items, and `pause` when none has arrived for a while. */
async function* withPauses<T>(items: AsyncIterable<T>, signal: AbortSignal): AsyncGenerator<T | typeof pause> {
  const iterator = items[Symbol.asyncIterator]();
  try {
    for (;;) {
      const next = iterator.next();
      // If the consumer stops early, nobody handles a rejection of the pending read.
      next.catch(() => {});
      let arrived = await arrival(next, signal, lingerMs);
      if (arrived === pause) {
        yield pause;
        arrived = await arrival(next, signal);
      }
      if (arrived === pause || arrived.done) return;
      yield arrived.value;
    }
  } finally {
    // Not awaited: an input that waits for more ends its wait first.
    iterator.return?.().catch(() => {});
  }
}

/**
 * Returns the promise's value, or `pause` after `patienceMs`. Throws when the signal aborts. Removes its abort listener
 * afterwards: racing against one long-lived promise would leak every item.
 */
function arrival<T>(next: Promise<T>, signal: AbortSignal, patienceMs?: number): Promise<T | typeof pause> {
  return new Promise((resolve, reject) => {
    const timer = patienceMs === undefined ? undefined : setTimeout(() => settle(() => resolve(pause)), patienceMs);
    const onAbort = () => settle(() => reject(signal.reason));
    const settle = (end: () => void) => {
      clearTimeout(timer);
      signal.removeEventListener("abort", onAbort);
      end();
    };
    signal.addEventListener("abort", onAbort, { once: true });
    if (signal.aborted) onAbort();
    next.then(
      (value) => settle(() => resolve(value)),
      (error: unknown) => settle(() => reject(error)),
    );
  });
}
