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
  defaults: EntryDefaults,
  signal: AbortSignal,
): AsyncGenerator<Batch> {
  const forming = new FormingBatch();
  const joiner = new RecordJoiner(defaults);
  function* batchesOf(records: readonly LogRecord[]): Generator<Batch> {
    for (const record of records) {
      for (const entry of entriesOf(record, defaults)) {
        if (!forming.hasRoomFor(entry.text)) yield forming.take();
        forming.add(entry, record.number);
      }
    }
  }
  let failure: { readonly error: unknown } | undefined;
  try {
    for await (const lines of withPauses(groups, signal)) {
      if (lines === pause) {
        yield* batchesOf(joiner.pause());
        if (forming.size > 0) yield forming.take();
        continue;
      }
      for (const line of lines) yield* batchesOf(joiner.add(line));
    }
  } catch (error) {
    if (signal.aborted) throw error;
    // The input broke off. What came before that is sent all the same.
    failure = { error };
  }
  yield* batchesOf(joiner.end());
  if (forming.size > 0) yield forming.take();
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

  add({ text, ...entry }: SentEntry, lineNumber: number): void {
    this.#texts.push(text);
    this.#entries.push({ ...entry, lineNumber });
    this.#bytes += bytesOf(text);
    if (isLongerThanKept(text)) this.#cutEntries++;
  }

  take(): Batch {
    const body = this.#texts.join("\n");
    const batch = { body, entries: this.#entries, cutEntries: this.#cutEntries };
    this.#texts = [];
    this.#entries = [];
    this.#bytes = 0;
    this.#cutEntries = 0;
    return batch;
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
