import { parseExactJson } from "@sazabi/sdk/protocol";
import { leadingTime } from "./line-time.ts";
import type { Line } from "./lines.ts";

/** A line, or several that are one entry. */
export interface LogRecord extends Line {
  /** Members that the wrapping of a container runtime gives. */
  readonly members?: Readonly<Record<string, string>>;
}

/** Longer records are cut into several, as lines are. */
const maxRecordLines = 1_000;
const maxRecordChars = 200_000;

interface JoinerOptions {
  readonly multiline: boolean;
  readonly now: Date;
}

/**
 * Makes records of lines: container wrapping is removed and split lines are joined; with `multiline`, also stack traces and
 * JSON that is printed over several lines, and an array of objects becomes its objects.
 */
export class RecordJoiner {
  readonly #multiline: boolean;
  readonly #now: Date;
  readonly #json = new JsonJoiner();
  readonly #partials = new Map<string, LogRecord>();
  #open: { lines: string[]; chars: number; first: LogRecord } | undefined;

  constructor({ multiline, now }: JoinerOptions) {
    this.#multiline = multiline;
    this.#now = now;
  }

  /** The first line that is needed for records that are still to come; undefined when that is the next one. */
  get firstHeld(): Line | undefined {
    const held = [this.#open?.first, this.#json.firstHeld, ...this.#partials.values()];
    return held.reduce(
      (first, line) => (first && line && first.start <= line.start ? first : (line ?? first)),
      undefined,
    );
  }

  /** The records that are complete with this line. */
  add(line: Line): readonly LogRecord[] {
    const unwrapped = this.#unwrap(line);
    if (unwrapped === undefined) return [];
    if (!this.#multiline) return [unwrapped];
    const bracket = this.#json.releaseBracket(unwrapped);
    const released = bracket ? this.#join(bracket) : [];
    const taken = unwrapped.members === undefined ? this.#json.add(unwrapped) : undefined;
    return [...released, ...(taken ? [...this.#close(), ...taken] : this.#join(unwrapped))];
  }

  /** The input pauses: an open stack trace is complete, and JSON or a split line is not. */
  pause(): readonly LogRecord[] {
    return this.#close();
  }

  /** The input ended. */
  end(): readonly LogRecord[] {
    const rest = [...this.#close(), ...this.#json.end(), ...this.#partials.values()];
    this.#partials.clear();
    return rest;
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
    const objects = objectsOf(record.text.trim(), record);
    if (objects) return [...done, ...objects];
    this.#open = { lines: [record.text], chars: record.text.length, first: record };
    return done;
  }

  #close(): readonly LogRecord[] {
    const open = this.#open;
    this.#open = undefined;
    return open === undefined ? [] : [{ ...open.first, text: open.lines.join("\n") }];
  }

  /** The line without the wrapping of Docker or CRI; undefined while it is a part of a line. */
  #unwrap(line: Line): LogRecord | undefined {
    const found = unwrapped(line.text);
    if (!found) return line;
    const { text, time, stream, isPartial } = found;
    const before = this.#partials.get(stream);
    const whole: LogRecord = before
      ? { ...before, text: before.text + text }
      : { text, number: line.number, start: line.start, end: line.end, members: { stream, timestamp: time } };
    if (isPartial && whole.text.length < maxRecordChars) {
      this.#partials.set(stream, whole);
      return undefined;
    }
    this.#partials.delete(stream);
    return whole;
  }
}

interface Unwrapped {
  readonly text: string;
  readonly time: string;
  readonly stream: string;
  /** The runtime split the line; the next part follows. */
  readonly isPartial: boolean;
}

/** `2026-11-30T09:00:00.123456789Z stdout F text` of CRI; `{"log":"text\n","stream":"stdout","time":"…"}` of Docker. */
function unwrapped(line: string): Unwrapped | undefined {
  const cri = /^(\d{4}-\d\d-\d\dT\S{8,30}) (stdout|stderr) ([PF])(?::\S*)? /.exec(line);
  if (cri) {
    const [head, time = "", stream = "", flag] = cri;
    return { text: line.slice(head.length), time, stream, isPartial: flag === "P" };
  }
  if (!line.startsWith('{"log":"')) return undefined;
  try {
    const { log, stream, time, ...others } = JSON.parse(line) as Readonly<Record<string, unknown>>;
    const isDocker = typeof log === "string" && typeof stream === "string" && typeof time === "string";
    if (!isDocker || Object.keys(others).some((name) => name !== "attrs")) return undefined;
    return { text: log.replace(/\r?\n$/, ""), time, stream, isPartial: !log.endsWith("\n") };
  } catch {
    return undefined;
  }
}

/** Beginnings of the lines of a stack trace that are not indented: Java, .NET, Python, Ruby, PHP, Go. */
const traceLines = new RegExp(
  `^(?:${[
    "Caused by: ",
    "Suppressed: ",
    "\\.\\.\\. \\d+ (?:more|common frames)",
    "Traceback \\(most recent call last\\):",
    "During handling of the above exception",
    "The above exception was the direct cause",
    "Stack trace:",
    "\\[stacktrace\\]",
    "#\\d+ ",
    "--- End of ",
    "goroutine \\d+ \\[",
    "\\[signal SIG",
    "created by ",
    "exit status \\d",
    '"?[\\])}]+[,;]?"?\\s*$',
  ].join("|")})`,
);

/** Whether a line continues the entry before it: it is indented, or a line of a stack trace. */
function isContinuation(line: string, before: readonly string[], now: Date): boolean {
  const [first = ""] = before;
  // A file of indented lines has no continuations, and JSON is complete.
  if (/^\s/.test(first) || isObject(first.trim())) return false;
  if (/^[ \t]+\S/.test(line)) return leadingTime(line.trim(), now) === undefined;
  if (traceLines.test(line)) return true;
  // Python names the error below the frames; Go names a function above each frame.
  const last = before.at(-1) as string;
  if (isTraceback(before)) return /^[ \t]/.test(last) && /^(?:[\w]+\.)*[A-Z]\w*(?:: |:?$)/.test(line);
  if (before.some((text) => /^goroutine \d+ \[/.test(text))) return /^[\w./*()\-[\]·{}]+\(.*\)$/.test(line);
  // Java prints the exception on a line of its own below the message of a logger.
  return before.length === 1 && /^(?:[a-z][\w$]*\.)+[A-Z][\w$]*(?:Exception|Error|Throwable)(?:: |$)/.test(line);
}

function isTraceback(lines: readonly string[]): boolean {
  return lines.some((line) => /^\s*(?:\+ )?Traceback \(most recent call last\):/.test(line));
}

/** JSON of one entry over several lines, and arrays of entries. */
class JsonJoiner {
  #lines: Line[] = [];
  #chars = 0;
  #depth = 0;
  /** A `[` on a line of its own: an array, when an object follows. */
  #bracket: Line | undefined;
  /** The bracket of the array that the next lines are in. */
  #array: Line | undefined;
  /** An object was found in that array: it is one. */
  #hasObjects = false;

  get firstHeld(): Line | undefined {
    return this.#array ?? this.#bracket ?? this.#lines[0];
  }

  /** The bracket as a line of its own, when what follows shows that it begins no array. */
  releaseBracket(next: LogRecord): Line | undefined {
    const bracket = this.#bracket;
    this.#bracket = undefined;
    if (!bracket || next.members !== undefined || !next.text.trimStart().startsWith("{")) return bracket;
    this.#array = bracket;
    this.#hasObjects = false;
    return undefined;
  }

  /** Undefined: the line is not part of JSON over several lines. */
  add(line: Line): readonly LogRecord[] | undefined {
    const text = line.text.trim();
    if (this.#lines.length > 0) return this.#collect(line, text);
    const inArray = this.#array ? this.#addInArray(line, text) : undefined;
    if (inArray) return inArray;
    const start = line.text.trimEnd();
    if (start === "{" || start === "[{") return this.#collect(line, text);
    if (start !== "[") return undefined;
    this.#bracket = line;
    return [];
  }

  #addInArray(line: Line, text: string): readonly LogRecord[] | undefined {
    if (text === "]") {
      this.#array = undefined;
      return [];
    }
    const object = text.replace(/,$/, "");
    if (isObject(object)) {
      this.#hasObjects = true;
      return [{ ...line, text: object }];
    }
    if (text.startsWith("{")) return this.#collect(line, text);
    // Some write the commas in front. Anything else is no longer in the array.
    if (!text.startsWith(",")) this.#array = undefined;
    return undefined;
  }

  #collect(line: Line, text: string): readonly LogRecord[] {
    this.#lines.push(line);
    this.#chars += line.text.length;
    this.#depth += depthChange(text);
    const isTooLong = this.#chars > maxRecordChars || this.#lines.length > maxRecordLines;
    if (this.#depth > 0) return isTooLong ? this.end() : [];
    const whole = this.#lines
      .map((one) => one.text.trim())
      .join(" ")
      .replace(/,$/, "");
    const first = this.#lines[0] as Line;
    const records = isObject(whole) ? [{ ...first, text: whole }] : objectsOf(whole, first);
    if (!records) return this.end();
    this.#hasObjects = true;
    this.#clear();
    return records;
  }

  /** What turned out to be no JSON: its lines. */
  end(): readonly LogRecord[] {
    const bracket = this.#bracket ?? (this.#hasObjects ? undefined : this.#array);
    const lines = bracket ? [bracket, ...this.#lines] : this.#lines;
    if (bracket) this.#array = undefined;
    this.#bracket = undefined;
    this.#clear();
    return lines;
  }

  #clear(): void {
    this.#lines = [];
    this.#chars = 0;
    this.#depth = 0;
  }
}

/** Brackets that a line opens and does not close, outside of strings. */
function depthChange(line: string): number {
  let depth = 0;
  for (const [token] of line.matchAll(/"(?:[^"\\]|\\.)*"|[{}[\]]/g)) {
    if (token === "{" || token === "[") depth += 1;
    else if (token === "}" || token === "]") depth -= 1;
  }
  return depth;
}

/** The objects of a JSON array that holds nothing else. */
function objectsOf(text: string, line: LogRecord): readonly LogRecord[] | undefined {
  if (!text.endsWith("]") || !/^\[\s*\{/.test(text)) return undefined;
  try {
    const values = parseExactJson(text) as readonly unknown[];
    const areObjects =
      values.length > 0 &&
      values.every((value) => typeof value === "object" && value !== null && !Array.isArray(value));
    return areObjects ? values.map((value) => ({ ...line, text: JSON.stringify(value) })) : undefined;
  } catch {
    return undefined;
  }
}

function isObject(text: string): boolean {
  if (!text.startsWith("{") || !text.endsWith("}")) return false;
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
