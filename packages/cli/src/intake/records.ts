import { unwrapped } from "./container-line.ts";
import { isContinuation } from "./continuation.ts";
import { JsonJoiner, type JsonState, type Piece } from "./json-joiner.ts";
import { parseObjects } from "./json-object.ts";
import { type LogRecord, maxRecordChars, maxRecordLines } from "./log-record.ts";

interface JoinerOptions {
  readonly multiline: boolean;
  readonly now: Date;
  /** The state of an earlier joiner. */
  readonly state?: JoinerState | undefined;
}

/** The state of a joiner, as plain data. Another joiner can resume from it. */
export interface JoinerState {
  readonly open: OpenRecord | undefined;
  readonly partials: readonly (readonly [stream: string, record: LogRecord])[];
  readonly json: JsonState;
}

/** A record that further lines may belong to. */
interface OpenRecord {
  readonly first: LogRecord;
  readonly lines: readonly string[];
}

/**
 * Joins lines to records: removes container wrapping and joins split lines. With `multiline`, it also joins stack
 * traces and multi-line JSON, and splits an array of objects into its objects.
 */
export class RecordJoiner {
  readonly #multiline: boolean;
  readonly #now: Date;
  readonly #json: JsonJoiner;
  readonly #partials: Map<string, LogRecord>;
  #open: { readonly lines: string[]; chars: number; readonly first: LogRecord } | undefined;

  constructor({ multiline, now, state }: JoinerOptions) {
    this.#multiline = multiline;
    this.#now = now;
    this.#json = new JsonJoiner(state?.json);
    this.#partials = new Map(state?.partials);
    this.#open = state?.open && {
      first: state.open.first,
      lines: [...state.open.lines],
      chars: state.open.lines.reduce((sum, line) => sum + line.length, 0),
    };
  }

  get state(): JoinerState {
    const open = this.#open && { first: this.#open.first, lines: [...this.#open.lines] };
    return { open, partials: [...this.#partials], json: this.#json.state };
  }

  /** Returns the records that this line completes. */
  add({ text, number }: LogRecord): readonly LogRecord[] {
    const record = this.#unwrap({ text, number });
    if (record === undefined) return [];
    // A run before this one may have held lines that belong together.
    if (!this.#multiline) return [...this.#release(), record];
    if (record.members === undefined) return this.#recordsOf(this.#json.add(record));
    return [...this.#recordsOf(this.#json.end()), ...this.#join(record)];
  }

  /** Completes an open stack trace when the input pauses. JSON and split lines stay open. */
  pause(): readonly LogRecord[] {
    return this.#multiline ? this.#close() : this.#release();
  }

  /** Completes everything at the end of the input. */
  end(): readonly LogRecord[] {
    const rest = [...this.#release(), ...this.#partials.values()];
    this.#partials.clear();
    return rest;
  }

  #release(): readonly LogRecord[] {
    return [...this.#recordsOf(this.#json.end()), ...this.#close()];
  }

  #recordsOf(pieces: readonly Piece[]): readonly LogRecord[] {
    return pieces.flatMap(({ record, isObject }) => (isObject ? [...this.#close(), record] : this.#join(record)));
  }

  #join(record: LogRecord): readonly LogRecord[] {
    const open = this.#open;
    const continues =
      open !== undefined &&
      isContinuation(record.text, open.lines, this.#now) &&
      open.first.members?.["stream"] === record.members?.["stream"] &&
      open.lines.length < maxRecordLines &&
      open.chars + record.text.length < maxRecordChars;
    if (continues) {
      open.lines.push(record.text);
      open.chars += record.text.length;
      return [];
    }
    const done = this.#close();
    const objects = parseObjects(record.text.trim());
    if (objects) return [...done, ...objects.map((object) => ({ ...record, text: JSON.stringify(object) }))];
    this.#open = { lines: [record.text], chars: record.text.length, first: record };
    return done;
  }

  #close(): readonly LogRecord[] {
    const open = this.#open;
    this.#open = undefined;
    return open === undefined ? [] : [{ ...open.first, text: open.lines.join("\n") }];
  }

  /** Returns the line without the wrapping of Docker or CRI, or undefined if further parts of the line follow. */
  #unwrap(line: LogRecord): LogRecord | undefined {
    const wrapped = unwrapped(line.text);
    if (!wrapped) return line;
    const { text, time, stream, isPartial } = wrapped;
    const before = this.#partials.get(stream);
    const whole: LogRecord = before
      ? { ...before, text: before.text + text }
      : { text, number: line.number, members: { stream, timestamp: time } };
    if (isPartial && whole.text.length < maxRecordChars) {
      this.#partials.set(stream, whole);
      return undefined;
    }
    this.#partials.delete(stream);
    return whole;
  }
}
