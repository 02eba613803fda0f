import { levelOfLine } from "@sazabi/sdk/protocol";
import { parseObject } from "./json-object.ts";
import { leadingTime } from "./line-time.ts";

/** Prefixes of stack trace lines that are not indented: Java, .NET, Python, Ruby, PHP, Go. */
const traceLines = new RegExp(
  `^(?:${[
    "Caused by: ",
    "Suppressed: ",
    "\\.\\.\\. \\d+ (?:more|common frames)",
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

/** Returns true if a line continues the entry before it: it is indented, or belongs to a stack trace. */
export function isContinuation(line: string, before: readonly string[], now: Date): boolean {
  const [first = ""] = before;
  // Complete JSON has no continuation, and neither has a first line that is itself indented.
  if (parseObject(first.trim())) return false;
  if (beginsTraceback(line)) return continuesWithTraceback(before);
  if (/^\s/.test(first) && !beginsTraceback(first)) return false;
  if (/^[ \t]+\S/.test(line)) return leadingTime(line.trim(), now) === undefined;
  if (traceLines.test(line)) return true;
  // Python prints the error below the frames; Go prints a function above each frame.
  const last = before.at(-1) as string;
  if (hasTraceback(before)) return isFrame.test(last) && isException.test(line);
  if (before.some((text) => /^goroutine \d+ \[/.test(text))) return /^[\w./*()\-[\]·{}]+\(.*\)$/.test(line);
  // Java prints the exception on a line of its own below the logger's message.
  return before.length === 1 && /^(?:[a-z][\w$]*\.)+[A-Z][\w$]*(?:Exception|Error|Throwable)(?:: |$)/.test(line);
}

/** A frame of a Python traceback. Lines of an exception group begin with a bar and include the error. */
const isFrame = /^[ \t]+[^\s|+]/;
const isException = /^(?:[A-Za-z_][\w.<>]*: |(?:[\w<>]+\.)+\w+:?$|[A-Z]\w*:?$)/;

/** Returns true if a text begins with a Python traceback or exception group. */
export function beginsTraceback(text: string): boolean {
  return /^(?:Traceback|\s*\+ Exception Group Traceback) \(most recent call last\):/.test(text);
}

/** Returns true if a traceback may follow: below a line of level error. Below other lines it is a separate event. */
function continuesWithTraceback(before: readonly string[]): boolean {
  if (hasTraceback(before)) return /^(?:During handling of|The above exception was) /.test(before.at(-1) as string);
  const level = levelOfLine(before[0] as string);
  return level === "error" || level === "fatal";
}

function hasTraceback(lines: readonly string[]): boolean {
  return lines.some((line) => beginsTraceback(line.trimStart()) || beginsTraceback(line));
}
