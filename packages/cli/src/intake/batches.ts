import { type EntryDefaults, entriesOf, isLongerThanKept, type SentEntry } from "./entry.ts";
import type { Line } from "./lines.ts";
import type { LogRecord } from "./log-record.ts";
import { type JoinerState, RecordJoiner } from "./records.ts";

/** What goes out in one request. */
export interface Batch {
  /** NDJSON. */
  readonly body: string;
  readonly entries: readonly BatchEntry[];
  /** Entries of which the service will keep the beginning only. */
  readonly cutEntries: number;
  /** Where the input goes on after this batch; only where that was asked for. */
  readonly next: InputPlace | undefined;
}

/** A place in the input from which the rest of it can be read. */
export interface InputPlace {
  /** Bytes, and lines, of the input before it. */
  readonly offset: number;
  readonly lines: number;
  /** What was read before it and is in no batch. */
  readonly held?: Held | undefined;
}

/** Plain data. What the pauses of the input have joined or separated stays so. */
interface Held {
  readonly unsent: Unsent;
  readonly joiner: JoinerState;
}

/** Complete records that are in no batch. Those of one line are together: a line can hold a hundred thousand. */
interface Unsent {
  readonly records: readonly (Omit<LogRecord, "text"> & { readonly texts: readonly string[] })[];
  /** Entries of the first record that are in batches. */
  readonly skip: number;
}

export interface BatchOptions extends EntryDefaults {
  /** Says of each batch where the input goes on. */
  readonly tellsPlaces?: boolean;
  /** Where the input begins, when that is not the beginning of a file. `offset` is 0. */
  readonly from?: InputPlace | undefined;
}

export interface BatchEntry extends Omit<SentEntry, "text"> {
  /** Line number of the input. */
  readonly lineNumber: number;
}

export const maxBatchEntries = 1000;
export const maxBatchBytes = 1024 * 1024;
/** Lines that came in wait no longer than this for more: the input may be a program that goes on for days. */
const lingerMs = 300;

/**
 * Groups lines into batches of at most so many entries and bytes; an entry larger than that travels alone. Stops
 * reading, with the signal's reason, when it fires.
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
    // When nothing could be read, what is held waits for the next run.
    if (signal.aborted || end.offset === 0) throw error;
    // The input broke off. What came before that is sent all the same.
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

/** With its line end. */
const bytesOf = (entry: string) => Buffer.byteLength(entry) + 1;

const pause = Symbol("pause");

/** The same items, and `pause` whenever none has come for a while. */
async function* withPauses<T>(items: AsyncIterable<T>, signal: AbortSignal): AsyncGenerator<T | typeof pause> {
  const iterator = items[Symbol.asyncIterator]();
  try {
    for (;;) {
      const next = iterator.next();
      // When the reader leaves before it arrives, nobody is there to hear that it failed.
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
 * What the promise gives, or `pause` when it takes longer than `patienceMs`; throws when the signal fires. Lets go of
 * the signal afterwards: a race against one promise that lasts would keep every item that went by.
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
