import { type EntryDefaults, entryOf } from "./entry.ts";
import type { Line } from "./lines.ts";

/** What goes out in one request. */
export interface Batch {
  /** NDJSON. */
  readonly body: string;
  /** Line number of the input, for each entry. */
  readonly lineNumbers: readonly number[];
}

export const maxBatchEntries = 1000;
export const maxBatchBytes = 1024 * 1024;

/** Groups lines into batches of at most so many entries and bytes; an entry larger than that travels alone. */
export async function* makeBatches(
  groups: AsyncIterable<readonly Line[]>,
  defaults: EntryDefaults,
): AsyncGenerator<Batch> {
  let entries: string[] = [];
  let lineNumbers: number[] = [];
  let bytes = 0;
  const take = (): Batch => {
    const batch = { body: entries.join("\n"), lineNumbers };
    entries = [];
    lineNumbers = [];
    bytes = 0;
    return batch;
  };
  for await (const lines of groups) {
    for (const line of lines) {
      const entry = entryOf(line.text, defaults);
      const entryBytes = Buffer.byteLength(entry) + 1;
      const full = entries.length === maxBatchEntries || bytes + entryBytes > maxBatchBytes;
      if (full && entries.length > 0) yield take();
      entries.push(entry);
      lineNumbers.push(line.number);
      bytes += entryBytes;
    }
  }
  if (entries.length > 0) yield take();
}
