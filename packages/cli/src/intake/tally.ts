import { type IntakeResult, intakeLimits } from "@sazabi/sdk";
import { visible } from "../output/visible.ts";
import type { Session } from "../session.ts";
import type { Batch, BatchEntry } from "./batches.ts";
import { SentEntries } from "./sent-entries.ts";

const oldDays = 30;
/** The most rejected lines to report one by one. */
const maxNamedRejections = 20;

/** Counts the results of the lines sent so far. */
export class Tally {
  accepted = 0;
  rejected = 0;
  /** Accepted entries that the service truncated. */
  cut = 0;
  /** Entries older than the retention that services may have. */
  old = 0;
  /** Plain text lines whose time was requested and could not be parsed. */
  timeless = 0;
  /** Lines that are not valid UTF-8. */
  otherEncoding = 0;
  readonly sentEntries: SentEntries;
  readonly #session: Session;
  readonly #showsProgress: boolean;

  constructor(session: Session) {
    this.#session = session;
    this.sentEntries = new SentEntries();
    this.#showsProgress = session.showsProgress;
  }

  get sent(): number {
    return this.accepted + this.rejected;
  }

  add(batch: Batch, result: IntakeResult): void {
    this.#clearProgress();
    const named = this.rejected;
    this.accepted += result.accepted;
    this.cut += batch.cutEntries;
    this.rejected += result.rejectedCount ?? 0;
    // If many entries are rejected, the response lists only the first.
    const refused = new Set(result.rejected?.map(({ index }) => index));
    if (result.accepted > 0) {
      for (const [index, entry] of batch.entries.entries()) if (!refused.has(index)) this.#note(entry);
    }
    for (const { index, field, message } of (result.rejected ?? []).slice(0, Math.max(0, maxNamedRejections - named))) {
      const where = [`line ${batch.entries[index]?.lineNumber ?? "?"}`, ...(field ? [field] : [])].join(", ");
      this.#session.say(`rejected: ${where}: ${visible(message)}`);
    }
    if (this.#showsProgress) this.#session.context.stderr.write(`\r${count(this.sent)} lines sent…`);
  }

  #note(entry: BatchEntry): void {
    const nowMicros = this.#session.context.now().getTime() * 1000;
    const { service, timeMicros = nowMicros } = entry;
    this.sentEntries.add({ service, timeMicros });
    if (entry.lacksTime) this.timeless++;
    const oldMicros = nowMicros - oldDays * 86_400_000_000;
    if (entry.timeMicros !== undefined && entry.timeMicros < oldMicros) this.old++;
  }

  end(): void {
    this.#clearProgress();
    if (this.cut > 0) {
      const kibibytes = intakeLimits.entryBytes / 1024;
      const entries = this.cut === 1 ? "1 entry was" : `${count(this.cut)} entries were`;
      this.#session.say(`${entries} longer than the ${kibibytes} KiB that the service keeps: cut, and flagged so.`);
    }
    if (this.old > 0) {
      const lines = this.old === 1 ? "1 entry is" : `${count(this.old)} entries are`;
      const [keeps, gets] = ["if the service keeps logs for less time", this.old === 1 ? "it gets" : "they get"];
      this.#session.say(`${lines} older than ${oldDays} days: ${keeps}, ${gets} the time of arrival.`);
    }
    if (this.timeless > 0) {
      const lines = this.timeless === 1 ? "1 line begins" : `${count(this.timeless)} lines begin`;
      this.#session.say(`${lines} with no time that --line-times can read: the time of sending was used.`);
    }
    if (this.otherEncoding > 0) {
      const lines = this.otherEncoding === 1 ? "1 line was" : `${count(this.otherEncoding)} lines were`;
      this.#session.say(`${lines} not UTF-8: unreadable bytes are stored as \ufffd.`);
    }
    if (this.rejected > maxNamedRejections) this.#session.say(`… ${count(this.rejected)} lines were rejected in all.`);
  }

  #clearProgress(): void {
    if (this.#showsProgress && this.sent > 0) this.#session.context.stderr.write("\r\u001b[K");
  }
}

export const count = (value: number) => value.toLocaleString("en");
