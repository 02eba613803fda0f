import { type EntryDefaults, entriesOf, isLongerThanKept, type SentEntry } from "./entry.ts";
import type { Line } from "./lines.ts";
import { type LogRecord, RecordJoiner } from "./records.ts";

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
  /** Entries after it that are in batches already: those that come between the lines of another one. */
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
  /** Bytes of the input before its first line. */
  readonly start: number;
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
  const joiner = new RecordJoiner(defaults);
  const reading = new Reading(from);
  const take = (unsent: readonly LogRecord[]): Batch => {
    const batch = forming.take();
    return { ...batch, next: tellsPlaces ? reading.placeAfter(batch, [...unsent, joiner.firstHeld]) : undefined };
  };
  function* batchesOf(records: readonly LogRecord[]): Generator<Batch> {
    for (const [index, record] of records.entries()) {
      for (const entry of entriesOf(record, defaults)) {
        if (reading.skips(record)) continue;
        if (!forming.hasRoomFor(entry.text)) yield take(records.slice(index));
        forming.add(entry, record);
      }
    }
  }
  let failure: { readonly error: unknown } | undefined;
  try {
    for await (const lines of withPauses(groups, signal)) {
      if (lines === pause) {
        yield* batchesOf(joiner.pause());
        if (forming.size > 0) yield take([]);
        continue;
      }
      for (const line of lines) {
        reading.consume(line);
        yield* batchesOf(joiner.add(line));
      }
    }
  } catch (error) {
    if (signal.aborted) throw error;
    // The input broke off. What came before that is sent all the same.
    failure = { error };
  }
  yield* batchesOf(joiner.end());
  if (forming.size > 0) yield take([]);
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

  add({ text, ...entry }: SentEntry, { number, start }: LogRecord): void {
    this.#texts.push(text);
    this.#entries.push({ ...entry, lineNumber: number, start });
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

/** How far the input is read, and from where the rest could be read again. */
class Reading {
  #last: Line | undefined;
  #skip: number;
  readonly #from: InputPlace | undefined;
  /** Where the entries begin that are in batches already, as far as they may have to be skipped. */
  #taken: number[] = [];

  constructor(from: InputPlace | undefined) {
    this.#from = from;
    this.#skip = from?.skip ?? 0;
  }

  consume(line: Line): void {
    this.#last = line;
  }

  /** Whether this entry was in a batch before the input was read again. */
  skips({ start }: LogRecord): boolean {
    if (this.#skip === 0) return false;
    this.#skip -= 1;
    this.#taken.push(start);
    return true;
  }

  /** `unsent` are lines that are needed again. */
  placeAfter({ entries }: Pick<Batch, "entries">, unsent: readonly (Line | undefined)[]): InputPlace {
    for (const { start } of entries) this.#taken.push(start);
    const end = this.#end;
    const first = unsent.reduce<Line | undefined>(
      (least, line) => (line && line.start < (least?.start ?? end.offset) ? line : least),
      undefined,
    );
    const place = first ? { offset: first.start, lines: first.number - 1 } : end;
    this.#taken = this.#taken.filter((start) => start >= place.offset);
    return { ...place, skip: this.#taken.length };
  }

  get #end(): { readonly offset: number; readonly lines: number } {
    if (!this.#last) return { offset: 0, lines: this.#from?.lines ?? 0 };
    return { offset: this.#last.end, lines: this.#last.number };
  }
}

/** With its line end. */
const bytesOf = (entry: string) => Buffer.byteLength(entry) + 1;

const pause = Symbol("pause");

/** The same items, and `pause` whenever none has come for a while. */
async function* withPauses<T>(items: AsyncIterable<T>, signal: AbortSignal): AsyncGenerator<T | typeof pause> {
  const iterator = items[Symbol.asyncIterator]();
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
